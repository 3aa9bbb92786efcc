"""From saEvtInitialize() to the first delivered event, with a daemon and with none yet."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from bench import SAEVTD, TOP, Service, median

REPETITIONS = 15
RUNNING_MS_MAX = 2
AUTOSTART_MS_MAX = 50


def private_daemons(place):
    """The daemons that the library has started for this directory."""
    command = [os.path.join(TOP, "scripts", "private-daemons.sh"), SAEVTD, place]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def autostart(driver):
    """One start of a program for which there is no daemon yet, in ns."""
    place = tempfile.mkdtemp(prefix="saevt-bench-", dir="/tmp")
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("SAEVT_")}
    environment["SAEVT_RUNTIME_DIR"] = place
    try:
        done = subprocess.run([driver, "start"], env=environment, stdout=subprocess.PIPE,
                              text=True, check=True)
        return int(done.stdout)
    finally:
        for pid in private_daemons(place):
            os.kill(pid, signal.SIGTERM)
        while private_daemons(place):
            time.sleep(0.01)
        shutil.rmtree(place, ignore_errors=True)


def run(driver, report, _):
    """Both, with the extremes."""
    with Service(driver) as service:
        times = []
        for number in range(REPETITIONS):
            role = service.role("start", ready=False, channel=f"s{number}")
            times.append(int(role.line()[0]) / 1e6)
            role.end()
    report.add("start, daemon running", "below 2 ms", median(times), "ms", RUNNING_MS_MAX,
               shortest=min(times), longest=max(times))
    times = [autostart(driver) / 1e6 for _ in range(REPETITIONS)]
    report.add("start, daemon started", "below 50 ms", median(times), "ms", AUTOSTART_MS_MAX,
               shortest=min(times), longest=max(times))
