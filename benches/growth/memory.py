"""What an idle library handle costs the machine, and what many idle programs cost the daemon.

Memory is the proportional set size of the programs and the daemon together: pages they share count
once. Beside it stands how the shared memory of the whole machine has changed, which would show
pages that nobody has mapped; on a machine that does other things it moves by itself.
"""

import os
import re
import time

from bench import Service, memory_of

HANDLES = 200
PROGRAMS = 100
CLIENTS = 1000
HANDLE_KIB_MAX = 128
DAEMON_MIB_MAX = 64
# A link gives its pages back after a second without use.
REST_SECONDS = 1.6


def shmem_kib():
    """Shared memory of the machine."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"\nShmem:\s*(\d+)", file.read()).group(1))


def children_of(pid):
    """The processes that a process has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def used(pids):
    """Memory of these processes, and the machine's shared memory, in KiB, when they rest."""
    time.sleep(REST_SECONDS)
    return sum(memory_of(pid)[1] for pid in pids), shmem_kib()


def in_one_program(driver, bare):
    """KiB for each of many handles of one program."""
    with Service(driver) as service:
        role = service.role("handles", handles=HANDLES, bare=bare)
        pids = [service.daemon.pid, role.pid]
        before = used(pids)
        # The end of its input lets it go on.
        role.process.stdin.close()
        role.line()
        after = used(pids)
        return [(late - early) / HANDLES for early, late in zip(before, after)]


def in_many_programs(driver, bare):
    """KiB for each of many programs with one handle, against programs that have none."""
    found = []
    for uninitialized in (1, 0):
        with Service(driver) as service:
            shmem = shmem_kib()
            crowd = service.role("crowd", clients=PROGRAMS, bare=bare, uninitialized=uninitialized)
            pids = [service.daemon.pid, *children_of(crowd.pid)]
            pss, late = used(pids)
            found.append((pss, late - shmem))
    return [(late - early) / PROGRAMS for early, late in zip(*found)]


def run(driver, report, _):
    """Handles and programs, with a selection object (and a channel) and without; the daemon."""
    for bare, what in ((0, "with selection object"), (1, "bare")):
        pss, shmem = in_one_program(driver, bare)
        report.add(f"handle in one program, {what}", "at most 128 KiB", pss, "KiB",
                   HANDLE_KIB_MAX, shmem_of_machine=shmem)
        pss, shmem = in_many_programs(driver, bare)
        what = what if bare else "with channel"
        report.add(f"handle and program, {what}", "at most 128 KiB", pss, "KiB", HANDLE_KIB_MAX,
                   shmem_of_machine=shmem)
    with Service(driver) as service:
        empty = memory_of(service.daemon.pid)[0]
        service.role("crowd", clients=CLIENTS)
        time.sleep(REST_SECONDS)
        rss, pss = memory_of(service.daemon.pid)
        descriptors = len(os.listdir(f"/proc/{service.daemon.pid}/fd"))
        report.add(f"daemon with {CLIENTS} idle clients", "below 64 MiB resident", rss / 1024,
                   "MiB", DAEMON_MIB_MAX, pss_MiB=pss / 1024, empty_MiB=empty / 1024,
                   descriptors=descriptors)
