"""How many instructions one event costs beside little and beside much: growth without a clock.

What is counted is as in instructions.py, so the load of the machine does not matter.
"""

import shutil

import instructions
from growth import LOSS_MAX

# Settings of benches/core.
CORE = {"subscriptions": 10_000, "channels": 10_000, "clients": 1000, "retained": 20_000}
SIZE = 64
EVENTS = 2000


def linked(driver, call, holds):
    """Instructions for one event in the library or the daemon."""
    if call == "publish":
        return instructions.publish(driver, SIZE, EVENTS, holds)
    if call == "dispatch":
        return instructions.dispatch(driver, SIZE, EVENTS, holds)
    return instructions.node(driver, 1, SIZE, EVENTS, holds)


# What is counted, beside what.
LINKED = [
    ("publish", {"channels": 1}, {"channels": 2000}),
    ("dispatch", {"channels": 1}, {"channels": 2000}),
    ("dispatch", {"subscriptions": 1}, {"subscriptions": 2000}),
    ("dispatch", {"unfreed": 1}, {"unfreed": 5000}),
    ("node", {"channels": 1}, {"channels": 2000}),
    ("node", {"subscriptions": 1}, {"subscriptions": 2000}),
    ("node", {"clients": 1}, {"clients": 200}),
    ("node", {"retained": 1}, {"retained": 5000}),
]


def run(driver, report, _):
    """The core, then library and daemon; fewer of each than elsewhere, as Callgrind is slow."""
    if not shutil.which("valgrind"):
        report.skip("instructions", "valgrind is not installed")
        return
    program = instructions.core_program()
    target, limit = "grows at most 10 %", 100 * LOSS_MAX
    for key, much in CORE.items():
        for work in ("put", "queue", "retain"):
            few, many = (instructions.core(program, work, 1, SIZE, EVENTS, **{key: count})
                         for count in (1, much))
            # Retaining beside much that is retained goes down trees: logarithmic, without target.
            free = key == "retained" and work == "retain"
            report.add(f"core {work}, {much} {key}", "(no target)" if free else target,
                       100 * (many / few - 1), "% more", None if free else limit, few=few,
                       many=many)
    for call, small, large in LINKED:
        few, many = linked(driver, call, small), linked(driver, call, large)
        key, much = next(iter(large.items()))
        report.add(f"{call}, {much} {key}", target, 100 * (many / few - 1), "% more", limit,
                   few=few, many=many)
