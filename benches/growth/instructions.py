#!/usr/bin/env python3
"""Counts instructions for one event under Callgrind and holds them against benches/budget.json.

    instructions.py [--renew]

The count does not depend on the load of the machine: what is counted is one thread that finds all
its work done beforehand. Lines, each with the bytes of data and the number of takers:

  core NAME      the state machine alone (benches/core): `put` into open windows; `queue` behind
                 full ones, and drain; `retain` and clear
  publish        saEvtEventPublish(), while the daemon is stopped
  dispatch       saEvtDispatch() of a full window, with saEvtEventDataGet() and saEvtEventFree() in
                 the callback
  node           the daemon's whole turn for events that wait in the outbox

A line above its budget by more than the tolerance fails. Another compiler, C library or Valgrind
than those of the budget count otherwise: then a wider tolerance holds. The budget is renewed by
`make bench-budget`, in the commit that changes the cost and says why.
"""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time

from bench import SAEVTD, TOP, Service, build_driver, output_of

BUDGET = os.path.join(TOP, "benches", "budget.json")
# A regression of this size is found; what counts vary by themselves is far below.
TOLERANCE = 0.05
# Between compilers a few tens of percent are usual.
TOLERANCE_OTHER_TOOLS = 0.25
COLLECTED = re.compile(r"Collected : (\d+)")

# Work, settings, events.
CORE = [("put", takers, size, 2000) for takers in (1, 8) for size in (64, 1024)] + [
    ("queue", takers, size, 2048) for takers in (1, 8) for size in (64, 1024)] + [
    ("retain", 1, size, 2000) for size in (64, 1024)]
# Bytes, and events that fit into the rings of outbox and inbox together.
LINKED = [(64, 2400), (1024, 800)]
# How often the daemon finds an outbox full of them: more than once, as other work varies a little.
ROUNDS = 5


class Count:
    """Callgrind around a program; counts all, or what happens inside of a function."""

    def __init__(self, function=None):
        self.log = tempfile.NamedTemporaryFile(prefix="saevt-count-", mode="r")
        self.wrap = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                     "--log-file=" + self.log.name]
        if function:
            self.wrap += ["--collect-atstart=no", "--toggle-collect=" + function]

    def result(self):
        """Instructions, once the program has ended."""
        found = COLLECTED.search(self.log.read())
        if not found:
            raise RuntimeError("Callgrind has counted nothing")
        return int(found.group(1))


def core_program():
    """Builds benches/core; gives the path of the program."""
    done = subprocess.run(
        [os.environ.get("CARGO", "cargo"), "bench", "--locked", "--bench", "core_cost", "--no-run",
         "--message-format=json"], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True)
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return next(message["executable"] for message in messages
                if message.get("executable") and message["target"]["name"] == "core_cost")


def core(program, work, takers, size, events, **holds):
    """Instructions for one event in the core, which holds so much of other things."""
    count = Count("*measured_*")
    settings = [f"{key}={value}" for key, value in holds.items()]
    subprocess.run([*count.wrap, program, "drive", work, f"takers={takers}", f"bytes={size}",
                    f"events={events}", *settings], check=True, stdout=subprocess.DEVNULL)
    return count.result() / events


class Scene:
    """A service with one publisher and its takers, and what else it holds (`holds`).

    `counted` maps roles, `daemon`, `publisher` and `subscriber`, to their counts.
    """

    def __init__(self, driver, size, events, counted, holds=None, takers=1):
        def wrap(name):
            return counted[name].wrap if name in counted else ()

        # Names are looked up beforehand: the first call costs what the others do.
        bound, holds = {"LD_BIND_NOW": "1"}, holds or {}
        self.service = service = Service(driver, wrap=wrap("daemon"))
        self.shared = shared = service.shared("count")
        if "clients" in holds:
            service.role("crowd", clients=holds["clients"])
        if "retained" in holds:
            service.role("retainer", events=holds["retained"])
        channels = {"channels": holds.get("channels", 1)}
        self.subscribers = [
            service.role("subscriber", wrap("subscriber"), bound, shared=shared, **channels,
                         subscriptions=holds.get("subscriptions", 1)) for _ in range(takers)]
        self.publisher = service.role("publisher", wrap("publisher"), bound, window=events,
                                      shared=shared, bytes=size, **channels)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.service.close()

    def publish_to_outbox(self, events):
        """Publishes while the daemon is stopped, so that all waits for it."""
        daemon = self.service.daemon.process
        daemon.send_signal(signal.SIGSTOP)
        try:
            while state_of(daemon.pid) != "T":
                time.sleep(0.001)
            self.publisher.ask(f"run {events}")
        finally:
            daemon.send_signal(signal.SIGCONT)

    def publish_to_inbox(self, events):
        """Publishes and waits until the daemon has delivered."""
        self.publisher.ask(f"run {events}")
        self.publisher.ask("settle")


def state_of(pid):
    """The letter for what a process does; T: stopped."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def publish(driver, size, events, holds=None):
    """Instructions for one saEvtEventPublish()."""
    count = Count("saEvtEventPublish")
    with Scene(driver, size, events, {"publisher": count}, holds) as scene:
        scene.publish_to_outbox(events)
    return count.result() / events


def dispatch_total(driver, size, events, runs, holds):
    """Instructions in saEvtDispatch() for these commands, each after `number` events came."""
    count = Count("saEvtDispatch")
    with Scene(driver, size, events, {"subscriber": count}, holds) as scene:
        for word, number in runs:
            for begin in range(0, number, events):
                part = min(events, number - begin)
                scene.publish_to_inbox(part)
                scene.subscribers[0].ask(f"{word} {part}")
    return count.result()


def dispatch(driver, size, events, holds=None):
    """Instructions for one event in saEvtDispatch(), callback included."""
    before = [("keep", holds["unfreed"])] if holds and "unfreed" in holds else []
    total = dispatch_total(driver, size, events, [*before, ("run", events)], holds)
    if before:
        total -= dispatch_total(driver, size, events, before, holds)
    return total / events


def node_total(driver, takers, size, events, rounds, holds):
    """Instructions of a daemon in its life, with so many events in it."""
    count = Count()
    with Scene(driver, size, events, {"daemon": count}, holds, takers) as scene:
        for _ in range(rounds):
            scene.publish_to_outbox(events)
            scene.publisher.ask("settle")
            for subscriber in scene.subscribers:
                subscriber.ask(f"run {events}")
    return count.result()


def node(driver, takers, size, events, holds=None):
    """Instructions of the daemon for one event more; a start and an end cost the same."""
    total = node_total(driver, takers, size, events, ROUNDS, holds)
    return (total - node_total(driver, takers, size, events, 1, holds)) / (events * (ROUNDS - 1))


def measure():
    """All lines with their instructions for one event, one after the other."""
    driver, program = build_driver(), core_program()
    for work, takers, size, events in CORE:
        yield f"core {work} {size} to {takers}", core(program, work, takers, size, events)
    for size, events in LINKED:
        yield f"publish {size}", publish(driver, size, events)
        yield f"dispatch {size}", dispatch(driver, size, events)
        for takers in (1, 8):
            yield f"node {size} to {takers}", node(driver, takers, size, events)


def tools():
    """What the counts depend on, besides the source."""
    return {"rustc": output_of("rustc", "--version"), "libc": " ".join(platform.libc_ver()),
            "valgrind": output_of("valgrind", "--version"), "machine": platform.machine()}


def renew():
    """Writes the budget as measured."""
    budget = {"tools": tools(), "tolerance": TOLERANCE,
              "tolerance_other_tools": TOLERANCE_OTHER_TOOLS, "instructions": {}}
    for line, measured in measure():
        budget["instructions"][line] = round(measured)
        print(f"{line:24}{measured:10.0f}", flush=True)
    with open(BUDGET, "w", encoding="ascii") as file:
        json.dump(budget, file, indent=2)
        file.write("\n")
    return 0


def judge():
    """Measures and compares; 1 if a line is above its budget."""
    with open(BUDGET, encoding="ascii") as file:
        budget = json.load(file)
    tolerance, here = budget["tolerance"], tools()
    for key, value in budget["tools"].items():
        if here[key] != value:
            tolerance = budget["tolerance_other_tools"]
            print(f"the budget was made with {key} {value}, this is {here[key]}")
    print(f"tolerance {100 * tolerance:.0f} %\n{'line':24}{'budget':>10}{'measured':>10}")
    above, missing = 0, set(budget["instructions"])
    for line, measured in measure():
        allowed = budget["instructions"].get(line)
        if allowed is None:
            print(f"not ok - {line} has no budget: {measured:.0f}")
            above += 1
            continue
        missing.discard(line)
        change = measured / allowed - 1
        verdict = "not ok" if change > tolerance else "ok"
        above += change > tolerance
        note = "; renew the budget: make bench-budget" if change < -tolerance else ""
        print(f"{verdict} - {line:24}{allowed:>10}{measured:10.0f}{100 * change:+8.1f} %{note}",
              flush=True)
    for line in sorted(missing):
        print(f"not ok - {line} was not measured")
    return 1 if above or missing else 0


if __name__ == "__main__":
    if not os.path.exists(SAEVTD):
        sys.exit("build/ is not there: run make")
    sys.exit(renew() if sys.argv[1:] == ["--renew"] else judge())
