"""Throughput and round trip, beside little and beside much of each thing that may grow.

Both variants stand side by side, each with a daemon of its own, and are measured in turn. The
round trip is a ping-pong over two channels with all processes on one CPU.
"""

from bench import Service, median, pin, transfer

# What a line may lose against its small variant.
LOSS_MAX = 0.10
# How long one throughput run is to take, in seconds, and one of round trips.
RUN_SECONDS = 0.5
ROUNDS = 4000

# What each role holds and who stands by, small and large.
LINES = {
    "channels": ({"channels": 1}, {"channels": 10_000}),
    "channels, all in use": ({"channels": 1, "turn": 1}, {"channels": 10_000, "turn": 1}),
    "subscriptions": ({"subscriptions": 1}, {"subscriptions": 10_000}),
    "idle clients": ({"clients": 1}, {"clients": 1000}),
    "retained events": ({"retained": 1}, {"retained": 100_000}),
    "unfreed events": ({"unfreed": 1}, {"unfreed": 100_000}),
}
# For information: no target speaks of it, as it is the caches of the CPU that are small.
UNJUDGED = ("channels, all in use",)


class Variant:
    """One daemon, the two pairs, and what stands by."""

    def __init__(self, driver, holds, traffic):
        self.service = service = Service(driver)
        held = {key: holds[key] for key in ("channels", "turn") if key in holds}
        listens = {"subscriptions": holds.get("subscriptions", 1)}
        unfreed = holds.get("unfreed", 0)
        self.events = 0
        if "clients" in holds:
            name = "a" if traffic == "throughput" else "there"
            service.role("crowd", clients=holds["clients"], channel=name)
        if "retained" in holds:
            for name in ("a",) if traffic == "throughput" else ("there", "back"):
                service.role("retainer", events=holds["retained"] // (1 + (name != "a")) or 1,
                             channel=name)
        if traffic == "throughput":
            shared = service.shared("count")
            self.subscriber = service.role("subscriber", shared=shared, **held, **listens)
            self.publisher = service.role("publisher", shared=shared, **held)
            if unfreed:
                transfer(self.publisher, self.subscriber, unfreed, "keep")
        else:
            held.pop("turn", None)
            self.pong = service.role("pong", hold=unfreed, **held, **listens)
            self.ping = service.role("ping", **held, **listens)
            pin([service.daemon.pid, self.pong.pid, self.ping.pid], {0})
            if unfreed:
                self.ping.ask(f"keep {unfreed}")

    def calibrate(self):
        """How many events one run sends; also warms up."""
        rate = max(transfer(self.publisher, self.subscriber, count) for count in (20_000, 50_000))
        self.events = max(20_000, min(4_000_000, int(rate * RUN_SECONDS)))

    def rate(self):
        """Events per second of one run."""
        return transfer(self.publisher, self.subscriber, self.events)

    def round_trip(self):
        """The middle one of many round trips, in ns."""
        return self.ping.ask(f"run {ROUNDS}")[0]


def compare(driver, small, large, traffic, repetitions):
    """Medians of the small and the large variant, measured in turn."""
    variants = []
    try:
        for holds in (small, large):
            variants.append(Variant(driver, holds, traffic))
        for variant in variants:
            if traffic == "throughput":
                variant.calibrate()
            else:
                variant.round_trip()
        runs = [[], []]
        for repetition in range(repetitions):
            # Whoever is first changes, so that a trend favours nobody.
            for which in (0, 1) if repetition % 2 == 0 else (1, 0):
                variant = variants[which]
                run = variant.rate if traffic == "throughput" else variant.round_trip
                runs[which].append(run())
        return runs
    finally:
        for variant in variants:
            variant.service.close()


def run(driver, report, options):
    """All lines, throughput and round trip of each."""
    for line, (small, large) in LINES.items():
        if options.only and options.only not in line:
            continue
        limit = None if line in UNJUDGED else 100 * LOSS_MAX
        target = "loses at most 10 %" if limit else "(no target)"
        rates = compare(driver, small, large, "throughput", options.repetitions)
        before, after = median(rates[0]), median(rates[1])
        report.add(f"throughput, {line}", target, 100 * (1 - after / before), "% lost", limit,
                   small=before, large=after, runs=rates)
        if line in UNJUDGED:
            continue
        times = compare(driver, small, large, "round trip", options.repetitions)
        before, after = median(times[0]) / 1000, median(times[1]) / 1000
        report.add(f"round trip, {line}", target, 100 * (1 - before / after), "% lost", limit,
                   small_us=before, large_us=after, runs=times)
