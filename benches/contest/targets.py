"""What this project wants to reach beside its peers, and whether it does."""

import collections

OURS = "saevt"
# openais 1.1.4 on corosync 1.4.10 delivers so many events of 64 bytes in a second to one reader.
# Measured in November 2026 on two virtual CPUs of an AMD EPYC; it is not part of this comparison,
# as current systems do not build it.
CONSTANTS = {("openais", "rate"): 17000}

# `against` has contestants; the best of them counts. Without any, `factor` is the value itself.
Target = collections.namedtuple("Target", "case key relation factor against")

PEERS = ("iceoryx2-32", "iceoryx2", "zeromq", "zenoh", "nats", "redis", "dbus")
AT_LEAST, AT_MOST = ">=", "<="

RATES = [
    Target("tput-64", "rate", AT_LEAST, 2, ("zeromq", "zenoh", "iceoryx2-32")),
    Target("tput-64", "rate", AT_LEAST, 5, ("nats",)),
    Target("tput-64", "rate", AT_LEAST, 300, ("openais",)),
    Target("tput-1k", "rate", AT_LEAST, 1.2, ("iceoryx2-32",)),
    Target("tput-1k", "rate", AT_LEAST, 4, ("zeromq",)),
    Target("tput-1k", "rate", AT_LEAST, 8, ("nats",)),
    Target("tput-16k", "rate", AT_LEAST, 4, ("zeromq", "zenoh")),
    Target("tput-16k", "rate", AT_LEAST, 8, ("nats",)),
    Target("tput-16k", "rate", AT_LEAST, 0.3, ("iceoryx2-32",)),
    Target("fan-64", "rate", AT_LEAST, 1.8, PEERS),
    Target("fan-1k", "rate", AT_LEAST, 1, ("iceoryx2-32",)),
    Target("fan-16k", "rate", AT_LEAST, 10, ("zeromq",)),
    Target("fan-16k", "rate", AT_LEAST, 0.3, ("iceoryx2-32",)),
    Target("tput-64", "cpu_us", AT_MOST, 0.5, ("zeromq",)),
    Target("tput-64", "cpu_us", AT_MOST, 0.25, ("nats",)),
    Target("tput-64", "broker_us", AT_MOST, 0.15, ()),
]


def round_trips(case, beside_iceoryx2):
    """The targets of one size on one CPU."""
    return [
        Target(case, "p50_us", AT_MOST, 1.8, ("seqpacket",)),
        Target(case, "p99_us", AT_MOST, 3, ("seqpacket",)),
        Target(case, "p50_us", AT_MOST, beside_iceoryx2, ("iceoryx2",)),
        Target(case, "p50_us", AT_MOST, 0.5, ("redis",)),
        Target(case, "p50_us", AT_MOST, 0.5, ("zeromq",)),
    ]


TARGETS = RATES + round_trips("rtt1-64", 1.3) + round_trips("rtt1-1k", 1.3) \
    + round_trips("rtt1-16k", 1.6)

WORDS = {"rate": "deliveries/s", "cpu_us": "CPU us/delivery", "broker_us": "daemon's us/delivery",
         "p50_us": "p50", "p99_us": "p99"}

Verdict = collections.namedtuple("Verdict", "target value reference ratio verdict")


def judge(target, value_of):
    """Compares our value with the best of those named; value_of(contestant, case, key)."""
    ours = value_of(OURS, target.case, target.key)
    if target.against:
        others = [CONSTANTS.get((name, target.key)) or value_of(name, target.case, target.key)
                  for name in target.against]
        others = [value for value in others if value]
        best = max if target.relation == AT_LEAST else min
        reference = best(others) if others else None
    else:
        reference = target.factor
    if not ours or not reference:
        return Verdict(target, ours, reference, None, "not measured")
    ratio = ours / reference
    wanted = target.factor if target.against else 1
    holds = ratio >= wanted if target.relation == AT_LEAST else ratio <= wanted
    return Verdict(target, ours, reference, ratio, "pass" if holds else "miss")


def all_verdicts(value_of):
    """One for each target."""
    return [judge(target, value_of) for target in TARGETS]


def text_of(target):
    """Such as: tput-64 deliveries/s >= 2 x best of zeromq, zenoh."""
    if target.against == PEERS:
        against = "x best peer"
    elif target.against == ("openais",):
        against = "x openais (17,000/s, measured before)"
    elif len(target.against) > 1:
        against = "x best of " + ", ".join(target.against)
    else:
        against = "x " + target.against[0] if target.against else ""
    return ("%s %s %s %g %s" % (target.case, WORDS[target.key], target.relation, target.factor,
                                against)).strip()
