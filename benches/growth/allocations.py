"""Allocations for one event in the daemon, the publisher and the subscriber.

A preloaded counter (count.c) stands before the C library's allocator, which Rust uses too, so what
is counted are the built programs themselves.
"""

import os
import struct

from bench import BUILT, HERE, Service, compile_newer, transfer

# Events that an inbox holds: sent and taken in one go, they are never queued in the daemon.
BURST = 2048
BURSTS = 50
# Tables and rings have their size after so many bursts.
WARM_UP = 10
# Events at full speed, where the daemon queues what a subscriber has not taken yet.
EVENTS = 200_000
ROUNDS = 5000
# A look at the descriptors or a timer may allocate, but no event: less than one in a burst of 256.
LIMIT = 1 / 256


class Counter:
    """The numbers of one program."""

    def __init__(self, service, name):
        self.path = service.shared("allocations-" + name)
        self.environment = {"LD_PRELOAD": os.path.join(BUILT, "count.so"),
                            "SAEVT_BENCH_COUNT": self.path}

    def read(self):
        """How often memory was asked for."""
        with open(self.path, "rb") as file:
            return struct.unpack("=QQ", file.read(16))[0]


def counted(driver, names):
    """A service whose daemon is counted, and the counters of the daemon and of these roles."""
    service = Service(driver, started=False)
    counters = {name: Counter(service, name) for name in ("daemon", *names)}
    service.start(counters["daemon"].environment)
    return service, counters


def during(counters, work, events):
    """Allocations of each program while `work` runs, for one event."""
    before = [counter.read() for counter in counters.values()]
    work()
    after = [counter.read() for counter in counters.values()]
    return {name: (late - early) / events
            for name, early, late in zip(counters, before, after)}


def in_bursts(publisher, subscribers, bursts):
    """Sends bursts; waits after each until every subscriber has it."""
    for _ in range(bursts):
        for subscriber in subscribers:
            subscriber.tell(f"run {BURST}")
        publisher.ask(f"run {BURST}")
        for subscriber in subscribers:
            subscriber.line()


def throughput(driver, takers, queued):
    """Allocations for one event."""
    service, counters = counted(driver, ("publisher", "subscriber"))
    with service:
        shared = service.shared("count")
        subscribers = [
            service.role("subscriber", shared=shared + str(number or ""),
                         environment=counters["subscriber"].environment if number == 0 else None)
            for number in range(takers)]
        publisher = service.role("publisher", shared=shared,
                                 environment=counters["publisher"].environment)
        in_bursts(publisher, subscribers, WARM_UP)
        if not queued:
            return during(counters, lambda: in_bursts(publisher, subscribers, BURSTS),
                          BURST * BURSTS)
        for other in subscribers[1:]:
            other.tell(f"run {EVENTS}")
        return during(counters, lambda: transfer(publisher, subscribers[0], EVENTS), EVENTS)


def round_trip(driver):
    """Allocations for one round trip, of which each is two events."""
    service, counters = counted(driver, ("pong", "ping"))
    with service:
        service.role("pong", environment=counters["pong"].environment)
        ping = service.role("ping", environment=counters["ping"].environment)
        ping.ask("for 1500")
        return during(counters, lambda: ping.ask(f"run {ROUNDS}"), ROUNDS)


def run(driver, report, _):
    """One taker and several, with and without a queue in the daemon; a round trip."""
    source = os.path.join(HERE, "count.c")
    compile_newer(os.path.join(BUILT, "count.so"), [source],
                  ["-shared", "-fPIC", "-fno-builtin", source, "-ldl"])
    for takers in (1, 4):
        found = throughput(driver, takers, False)
        report.add(f"allocations, {takers} taker(s), in bursts", "0 an event in the daemon",
                   found.pop("daemon"), "an event", LIMIT, **found)
        found = throughput(driver, takers, True)
        report.add(f"allocations, {takers} taker(s), full speed", "(no target)",
                   found.pop("daemon"), "an event", **found)
    found = round_trip(driver)
    report.add("allocations, round trip", "(no target)", found.pop("daemon"), "a trip", **found)
