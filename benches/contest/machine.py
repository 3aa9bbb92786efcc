"""What a result was measured on, and with what."""

import datetime
import os
import platform
import shlex
import sys

from contestants import output_of


def processor_model():
    """The name that the kernel gives to the first processor."""
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    """All of it."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def command():
    """How to repeat this: the variables that count, and the words of the command."""
    words = ["%s=%s" % (name, shlex.quote(value)) for name, value in sorted(os.environ.items())
             if name.startswith("BENCH_")]
    return " ".join(words + [shlex.quote(word) for word in sys.argv])


def describe():
    """A dictionary for the results."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command(),
        "cpu": processor_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_gib(), 1),
        "kernel": platform.release(),
        "compiler": output_of([os.environ.get("CC", "cc"), "--version"]).split("\n")[0],
        "load": os.getloadavg(),
    }
