"""What is measured by the drivers of the contest, and the targets."""

import collections

import table
from cases import Case

WINDOWS = {64: 8192, 1024: 4096, 16384: 512, 65536: 64}
SIZES = {"64": 64, "1k": 1024, "16k": 16384, "64k": 65536}
# Longer than corosync goes on sending its token around fast after the last message.
IDLE_US = 20000


def every_case():
    """In the order of the table."""
    found = []
    for size, number in SIZES.items():
        found.append(Case("tput-" + size, "tput", number, "stream", 2, False, WINDOWS[number],
                          "rate", "throughput to the 2 other nodes"))
    for size in ("64", "1k"):
        found.append(Case("idle-" + size, "idle", SIZES[size], "echo", 1, False, 8192, "p50",
                          "round trip between two nodes, idle", IDLE_US))
        found.append(Case("busy-" + size, "busy", SIZES[size], "echo", 1, False, 8192, "p50",
                          "round trip between two nodes, one after the other"))
    for size in ("64", "1k"):
        found.append(Case("local-" + size, "local", SIZES[size], "stream", 1, False,
                          WINDOWS[SIZES[size]], "rate", "one node, one reader"))
    found.append(Case("localrtt-64", "localrtt", 64, "echo", 1, True, 8192, "p50",
                      "round trip on one node and one CPU"))
    return found


BETWEEN = [case.name for case in every_case() if not case.kind.startswith("local")]
LOCAL = [case.name for case in every_case() if case.kind.startswith("local")]

# For the picture, as in the contest's.
PICTURE = [("tput", "rate", "to both other nodes: thousand deliveries/s"),
           ("idle", "p50_us", "round trip between two idle nodes: us, p50 (shorter is better)")]

Target = collections.namedtuple("Target", "text ours theirs key relation factor")
AT_LEAST, AT_MOST = ">=", "<="

TARGETS = [
    Target("events/s, 64 B, beside bare CPG", ("saevt", "tput-64"), ("cpg", "tput-64"), "rate",
           AT_LEAST, 2.5),
    Target("bytes/s, 1 KiB, beside bare CPG at 64 KiB", ("saevt", "tput-1k"),
           ("cpg", "tput-64k"), "mb_per_s", AT_LEAST, 0.75),
    Target("bytes/s, 16 KiB, beside bare CPG at 64 KiB", ("saevt", "tput-16k"),
           ("cpg", "tput-64k"), "mb_per_s", AT_LEAST, 0.75),
    Target("bytes/s, 64 KiB, beside bare CPG", ("saevt", "tput-64k"), ("cpg", "tput-64k"),
           "mb_per_s", AT_LEAST, 0.75),
    Target("time to another node, idle, 64 B", ("saevt", "idle-64"), ("cpg", "idle-64"), "p50_us",
           AT_MOST, 1.5),
    Target("time to another node, idle, 1 KiB", ("saevt", "idle-1k"), ("cpg", "idle-1k"),
           "p50_us", AT_MOST, 1.5),
    Target("local events/s, 64 B, beside a single node", ("saevt", "local-64"),
           ("single", "local-64"), "rate", AT_LEAST, 0.9),
    Target("local events/s, 1 KiB, beside a single node", ("saevt", "local-1k"),
           ("single", "local-1k"), "rate", AT_LEAST, 0.9),
    Target("local round trip, 64 B, beside a single node", ("saevt", "localrtt-64"),
           ("single", "localrtt-64"), "p50_us", AT_MOST, 1.1),
]

Verdict = collections.namedtuple("Verdict", "text value reference ratio bound verdict")


def judge(target, cells):
    """Compares two medians of one run."""
    bound = "%s %g" % (target.relation, target.factor)
    pair = [cells.get(target.ours), cells.get(target.theirs)]
    values = [cell.median(target.key) if cell and cell.used else None for cell in pair]
    if not all(values):
        return Verdict(target.text, *values, None, bound, "not measured")
    ratio = values[0] / values[1]
    holds = ratio >= target.factor if target.relation == AT_LEAST else ratio <= target.factor
    # What is fast because it loses is not fast.
    holds = holds and not pair[0].lost
    return Verdict(target.text, *values, ratio, bound, "pass" if holds else "miss")


def at_most(text, values, bound, unit):
    """A median of seconds beside a bound of its own."""
    if not values:
        return Verdict(text, None, None, None, "<= %g %s" % (bound, unit), "not measured")
    value = sorted(values)[len(values) // 2]
    return Verdict(text, value, bound, value / bound, "<= %g %s" % (bound, unit),
                   "pass" if value <= bound else "miss")


def number_text(value):
    """Three digits at least."""
    if value is None:
        return "-"
    return "{:,.0f}".format(value) if value >= 100 else "%.3g" % value


def print_verdicts(verdicts):
    """One line for each target, and how many hold."""
    print("\nTargets")
    rows = [["target", "saevt", "beside", "ratio", "wanted", ""]]
    for verdict in verdicts:
        ratio = "-" if verdict.ratio is None else "%.2f" % verdict.ratio
        rows.append([verdict.text, number_text(verdict.value), number_text(verdict.reference),
                     ratio, verdict.bound, verdict.verdict])
    table.print_rows(rows)
    counts = {word: sum(verdict.verdict == word for verdict in verdicts)
              for word in ("pass", "miss", "not measured")}
    print(", ".join("%d %s" % (number, word) for word, number in counts.items()))
