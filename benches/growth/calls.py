"""System calls: for one event while events run, and of programs that are idle.

strace counts them for daemon, publisher and subscriber at once. It slows what it watches, so that
more events go with each wake-up; the same count by the kernel's own switch counters, which watch
nothing, is printed beside.
"""

import os
import re
import shutil
import signal
import subprocess
import time

from bench import Service, cpu_ticks, transfer

EVENTS = 1_000_000
# How many events go with a wake-up depends on what else the machine does: the middle one counts.
SAMPLES = 5
WARM_UP = 50_000
IDLE_SECONDS = 3
ROUNDS = 2000
CALLS_MAX = 0.01
NAMES = ("daemon", "publisher", "subscriber")


def trace(service, pids, work):
    """System calls of each process while `work` runs, by name of the call."""
    logs, tracers = [], []
    for pid in pids:
        logs.append(service.shared(f"calls-{pid}"))
        tracers.append(subprocess.Popen(["strace", "-f", "-c", "-p", str(pid), "-o", logs[-1]],
                                        stderr=subprocess.PIPE, text=True))
    try:
        for tracer in tracers:
            if "attached" not in tracer.stderr.readline():
                raise RuntimeError("strace cannot attach")
        work()
    finally:
        for tracer in tracers:
            tracer.send_signal(signal.SIGINT)
        for tracer in tracers:
            tracer.communicate(timeout=20)
    return [read(log) for log in logs]


def read(log):
    """The table of `strace -c`."""
    found = {}
    with open(log, encoding="ascii") as file:
        for line in file:
            row = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if row and row.group(2) != "total":
                found[row.group(2)] = int(row.group(1))
    return found


def spelled(calls, events):
    """The most frequent calls, for one event."""
    most = sorted(calls.items(), key=lambda item: -item[1])[:4]
    return " ".join(f"{name} {count / events:.4f}" for name, count in most) or "none"


def waits(pid):
    """How often a process has gone to sleep of its own accord."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)", file.read()).group(1))


def busy(driver, report, traced):
    """A throughput run, traced if strace is there; sleeps of each process otherwise too."""
    with Service(driver) as service:
        shared = service.shared("count")
        subscriber = service.role("subscriber", shared=shared)
        publisher = service.role("publisher", shared=shared)
        pids = [service.daemon.pid, publisher.pid, subscriber.pid]
        transfer(publisher, subscriber, WARM_UP)
        before = [waits(pid) for pid in pids]
        transfer(publisher, subscriber, EVENTS)
        sleeps = [(waits(pid) - early) / EVENTS for pid, early in zip(pids, before)]
        report.add("sleeps, busy", "(no target)", sum(sleeps), "an event",
                   **dict(zip(NAMES, sleeps)))
        if traced:
            samples = []
            for _ in range(SAMPLES):
                calls = trace(service, pids, lambda: transfer(publisher, subscriber, EVENTS))
                # The publisher of the bench looks at its window and sleeps in between.
                calls[1].pop("clock_nanosleep", None)
                samples.append((sum(sum(each.values()) for each in calls) / EVENTS, calls))
            samples.sort(key=lambda sample: sample[0])
            total, calls = samples[SAMPLES // 2]
            report.add("system calls, busy", "below 0.01 an event", total, "an event", CALLS_MAX,
                       samples=" ".join(f"{sample[0]:.4f}" for sample in samples),
                       **{name: spelled(each, EVENTS) for name, each in zip(NAMES, calls)})
    if traced:
        with Service(driver) as service:
            pong = service.role("pong")
            ping = service.role("ping")
            pids = [service.daemon.pid, ping.pid, pong.pid]
            # Longer than a link rests before its pages are given back.
            ping.ask("for 1500")
            calls = trace(service, pids, lambda: ping.ask(f"run {ROUNDS}"))
            total = sum(sum(each.values()) for each in calls) / ROUNDS
            report.add("system calls, round trip", "(no target)", total, "a trip",
                       **{name: spelled(each, ROUNDS)
                          for name, each in zip(("daemon", "ping", "pong"), calls)})


def idle(driver, report, traced):
    """Programs that have something open and do nothing, and their daemon."""
    with Service(driver) as service:
        shared = service.shared("count")
        subscriber = service.role("subscriber", shared=shared)
        publisher = service.role("publisher", shared=shared)
        transfer(publisher, subscriber, WARM_UP)
        # The roles wait for commands in read(); this one waits in the library.
        waiting = service.role("pong")
        pids = [service.daemon.pid, publisher.pid, subscriber.pid, waiting.pid]
        # What was used is given back after a second of rest.
        time.sleep(1.5)
        ticks = sum(cpu_ticks(pid) for pid in pids)
        sleeps = sum(waits(pid) for pid in pids)
        time.sleep(IDLE_SECONDS)
        report.add("CPU time, idle", "0", sum(cpu_ticks(pid) for pid in pids) - ticks,
                   f"ticks/{IDLE_SECONDS} s", 0, wakes=sum(waits(pid) for pid in pids) - sleeps)
        if traced:
            calls = trace(service, pids, lambda: time.sleep(IDLE_SECONDS))
            # The call that each was in when strace came counts once, as it is restarted.
            calls = [{name: count for name, count in each.items() if not (
                name in ("restart_syscall", "read", "poll", "epoll_wait") and count <= 1)}
                for each in calls]
            report.add("system calls, idle", "0", sum(sum(each.values()) for each in calls),
                       f"/{IDLE_SECONDS} s", 0)


def run(driver, report, _):
    """Busy and idle."""
    traced = shutil.which("strace") is not None
    if not traced:
        report.skip("system calls", "strace is not installed")
    elif os.geteuid() != 0 and os.path.exists("/proc/sys/kernel/yama/ptrace_scope"):
        with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as file:
            traced = file.read().strip() == "0"
        if not traced:
            report.skip("system calls", "strace may not attach to other processes here")
    busy(driver, report, traced)
    idle(driver, report, traced)
