"""What is measured: cases by kind and message size, and how they are chosen by name."""

import collections

# `pause_us`: how long it is quiet between two round trips.
Case = collections.namedtuple("Case", "name kind bytes task readers one_cpu window unit title "
                                      "pause_us", defaults=(0,))

SIZES = {"64": 64, "1k": 1024, "16k": 16384}

# How far a sender may run ahead of the slowest reader, for contestants that drop what a slow
# reader does not take. Large enough to keep every process busy, small enough that no default
# bound of any of them (10000 events or 16 MiB here, 8 MiB in Redis) is met.
WINDOWS = {64: 8192, 1024: 4096, 16384: 512}

KINDS = {
    "tput": ("stream", 1, False, "rate", "throughput, one reader"),
    "fan": ("stream", 8, False, "rate", "fan-out to 8 readers"),
    "rtt1": ("echo", 1, True, "p50", "round trip on one CPU"),
    "rtt": ("echo", 1, False, "p50", "round trip, not pinned"),
}


def every_case():
    """All cases in the order of the table."""
    found = []
    for kind, (task, readers, one_cpu, unit, title) in KINDS.items():
        for size, number in SIZES.items():
            found.append(Case("%s-%s" % (kind, size), kind, number, task, readers, one_cpu,
                              WINDOWS[number], unit, "%s, %d B" % (title, number)))
    return found


def chosen(names):
    """The cases whose name or kind is in the comma-separated `names`; empty: all."""
    wanted = [name for name in names.split(",") if name]
    known = every_case()
    unknown = [name for name in wanted
               if name not in KINDS and name not in [case.name for case in known]]
    if unknown:
        raise SystemExit("no case is called %s; there are %s and %s" % (
            ", ".join(unknown), ", ".join(KINDS), ", ".join(case.name for case in known)))
    return [case for case in known if not wanted or case.name in wanted or case.kind in wanted]
