"""Takes the samples: each runs in processes and a directory of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

from contestants import Missing

# A sample during which others used more than this share of one CPU is not calm.
CALM_CORES = 0.1


def last_cpu():
    """The processor that round trips on one CPU use: the last, as the first gets interrupts."""
    return max(os.sched_getaffinity(0))


def command_of(contestant, case, seconds, broker, address):
    """The driver and its arguments for one sample."""
    return [contestant.program, "--task", case.task, "--bytes", str(case.bytes),
            "--readers", str(case.readers), "--seconds", str(seconds),
            "--warm-up", str(min(0.1, seconds / 2)),
            "--cpu", str(last_cpu() if case.one_cpu else -1),
            "--broker", str(broker.pid if broker else 0), "--window", str(case.window),
            "--pause", str(case.pause_us), "--place", address, "--variant", contestant.variant]


def run_driver(command, environment, limit):
    """Gives the output of the driver; it and its processes have ended when this returns."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))
    try:
        output, errors = process.communicate(timeout=limit)
    except BaseException:
        process.send_signal(signal.SIGKILL)  # Its children die with it.
        process.wait()
        raise
    if process.returncode != 0:
        text = errors.decode(errors="replace").strip() or "status %d" % process.returncode
        raise Missing(text[-300:])
    return output.decode()


def take(contestant, case, seconds):
    """One sample as the driver tells it, or {"error": WHY}."""
    place = tempfile.mkdtemp(prefix="contest.")
    broker = None
    try:
        broker = contestant.start_broker(place)
        command = command_of(contestant, case, seconds, broker, contestant.address(place))
        output = run_driver(command, contestant.environment(place), seconds + 60)
        sample = json.loads(output)
    except (Missing, ValueError, subprocess.TimeoutExpired) as error:
        sample = {"error": str(error)}
    finally:
        if broker:
            broker.stop()
        contestant.clean_up(place)
        shutil.rmtree(place, ignore_errors=True)
    sample["case"] = case.name
    sample["of"] = contestant.name
    sample["calm"] = sample.get("foreign", 0) <= CALM_CORES
    return sample
