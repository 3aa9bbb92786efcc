"""A publisher without regard against a subscriber that is too slow, and what others notice.

The others are a pair that plays ping-pong: first alone, then beside programs that use as much CPU
as they get, then beside the flood. Once all share one CPU, against one such hog; once they run
where the system puts them, against two, as the flood keeps the daemon busy too.
"""

import os
import threading
import time

from bench import Service, memory_of, median, pin

# Parts in which the ping-pong is measured while the flood goes on.
PART_MS = 1000
# What the daemon may hold at its limits: 16 MiB of queued bytes, 10 000 records, rings of 4 MiB.
DAEMON_MIB_MAX = 64
TIMES_OF_HOG_MAX = 2
TIMES_OF_QUIET_MAX = 1.5


class MemoryWatch(threading.Thread):
    """Looks at the daemon's resident memory from time to time."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = pid, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            self.most = max(self.most, memory_of(self.pid)[0])


def beside_hogs(service, ping, hogs, cpus):
    """Round trip beside programs that only use CPU."""
    hogs = [service.role("hog") for _ in range(hogs)]
    pin([hog.pid for hog in hogs], cpus)
    times = [ping.ask(f"for {PART_MS}")[0] for _ in range(5)]
    for hog in hogs:
        hog.process.stdin.close()
        hog.process.wait()
    return median(times)


def flooded(driver, report, seconds, place, hogs, cpus):
    """Quiet, hogs, flood, quiet again."""
    with Service(driver) as service:
        service.role("pong")
        ping = service.role("ping")
        slow = service.role("slow", pause=1000)
        flood = service.role("flood")
        pin(service.pids(), cpus)
        quiet = median([ping.ask(f"for {PART_MS}")[0] for _ in range(5)])
        hog = beside_hogs(service, ping, hogs, cpus)
        idle = memory_of(service.daemon.pid)[0]
        watch = MemoryWatch(service.daemon.pid)
        watch.start()
        flood_ms = int(seconds * 1000)
        end = time.monotonic() + seconds
        flood.tell(f"for {flood_ms}")
        slow.tell(f"for {flood_ms}")
        parts = []
        while not parts or time.monotonic() < end - 1.5 * PART_MS / 1000:
            parts.append(ping.ask(f"for {PART_MS}"))
        published, refused = (int(word) for word in flood.line())
        slow.line()
        # What happens within the first second may be anything.
        time.sleep(0.5)
        after = ping.ask("for 500")[0]
        slow.ask("quick 500")
        published = flood.ask("one")[0]
        events, lost, gaps, silent, following = slow.ask("quick 500")
        patience = time.monotonic() + 20
        while following != published and time.monotonic() < patience:
            events, lost, gaps, silent, following = slow.ask("quick 500")
        watch.ended.set()
        watch.join()
    times = [p50 for p50, _, _ in parts]
    beside, worst = median(times), max(p99 for _, p99, _ in parts)
    lasting = f"overload, {place}"
    report.add(f"{lasting}: daemon at most", "bounded: 64 MiB", watch.most / 1024, "MiB",
               DAEMON_MIB_MAX, before_MiB=idle / 1024, published=published, refused=refused)
    report.add(f"{lasting}: round trip of others", "2 x beside a hog", beside / hog, "times",
               TIMES_OF_HOG_MAX, us=beside / 1000, beside_hog_us=hog / 1000,
               quiet_us=quiet / 1000, p99_us=worst / 1000, runs=times)
    report.add(f"{lasting}: losses not announced", "0", silent, "gaps", 0, delivered=events,
               gaps=gaps, lost_events=lost)
    report.add(f"{lasting}: events behind in the end", "0", published - following, "events", 0)
    report.add(f"{lasting}: round trip after it", "1.5 x as before", after / quiet, "times",
               TIMES_OF_QUIET_MAX, us=after / 1000)


def run(driver, report, options):
    """On one CPU and on all."""
    flooded(driver, report, options.seconds, "one CPU", 1, {0})
    if os.cpu_count() > 1:
        flooded(driver, report, options.seconds, "all CPUs", 2, os.sched_getaffinity(0))
