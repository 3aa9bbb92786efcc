"""What all lines of the bench use: the built files, daemons, roles, verdicts and the report."""

import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(TOP, "benches", "growth")
LIB = os.path.join(TOP, "build", "lib")
SAEVTD = os.path.join(TOP, "build", "sbin", "saevtd")
BUILT = os.path.join(TOP, "build", "bench")
RESULTS = os.path.join(TOP, "benches", "results")
# A role that says nothing for so long is given up.
ANSWER_SECONDS = 180


def build_driver():
    """Compiles the driver, if a source is newer than it. Gives its path."""
    os.makedirs(BUILT, exist_ok=True)
    driver = os.path.join(BUILT, "driver")
    names = ["driver.c", "traffic.c", "bystanders.c", "overload.c"]
    sources = [os.path.join(HERE, name) for name in names]
    compile_newer(driver, sources + [os.path.join(HERE, "driver.h")], [
        "-I" + os.path.join(TOP, "include"), *sources, "-L" + LIB, "-Wl,-rpath," + LIB, "-lSaEvt"])
    return driver


def compile_newer(target, sources, arguments):
    """Runs the C compiler unless `target` is newer than all `sources`."""
    if not os.path.exists(os.path.join(LIB, "libSaEvt.so")) or not os.path.exists(SAEVTD):
        sys.exit("build/ is not there: run make")
    newest = max(os.path.getmtime(source) for source in sources)
    if os.path.exists(target) and os.path.getmtime(target) >= newest:
        return
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-o", target,
                    *arguments], check=True)


class Process:
    """A role of the driver that talks over pipes, or the daemon."""

    def __init__(self, command, environment, **options):
        self.command = command
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            **options)
        self.pid = self.process.pid

    def line(self):
        """The next line of answer, as its words."""
        text = self.process.stdout.readline()
        if not text:
            raise RuntimeError("ended early: " + " ".join(self.command))
        return text.split()

    def tell(self, text):
        """Gives a command."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(self, text):
        """Gives a command and waits for its answer, numbers."""
        self.tell(text)
        return [int(word) for word in self.line()]

    def end(self):
        """Ends it, if it has not ended."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()


class Service:
    """A daemon of our own in a directory of its own, and the roles that use it."""

    def __init__(self, driver, limits=None, wrap=(), environment=None, started=True):
        # The real place of the state is memory too: /run.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.place = tempfile.mkdtemp(prefix="saevt-bench-", dir=memory)
        self.driver = driver
        self.roles = []
        self.socket = os.path.join(self.place, "sock")
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("SAEVT_")}
        self.environment["SAEVT_SOCKET"] = self.socket
        self.command = [*wrap, SAEVTD, "--socket", self.socket, "--state-dir", self.place]
        if limits:
            config = os.path.join(self.place, "saevtd.conf")
            with open(config, "w", encoding="ascii") as file:
                file.write("[limits]\n")
                file.writelines(f"{key} = {value}\n" for key, value in limits.items())
            self.command += ["--config", config]
        self.daemon = None
        if started:
            self.start(environment)

    def start(self, environment=None):
        """Starts the daemon and waits until its socket is there."""
        self.daemon = Process(self.command, {**self.environment, **(environment or {})})
        while not os.path.exists(self.socket):
            if self.daemon.process.poll() is not None:
                raise RuntimeError("saevtd ended at its start")
            time.sleep(0.01)

    def role(self, name, wrap=(), environment=None, ready=True, **arguments):
        """Starts a role; waits until it is ready."""
        words = [f"{key}={value}" for key, value in arguments.items()]
        process = Process([*wrap, self.driver, name, *words],
                          {**self.environment, **(environment or {})})
        self.roles.append(process)
        if ready and process.line() != ["ready"]:
            raise RuntimeError(f"{name} is not ready")
        return process

    def shared(self, name):
        """A file of that name beside the socket."""
        return os.path.join(self.place, name)

    def pids(self):
        """The daemon and all roles."""
        return [self.daemon.pid, *(role.pid for role in self.roles)]

    def close(self):
        """Ends everything and removes the directory."""
        for role in reversed(self.roles):
            role.end()
        if self.daemon:
            self.daemon.end()
        shutil.rmtree(self.place, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def transfer(publisher, subscriber, events, word="run"):
    """Sends so many events; gives events/s from the first publish to the last delivery."""
    subscriber.tell(f"{word} {events}")
    publisher.tell(f"run {events}")
    begin = int(publisher.line()[0])
    end, lost, gaps = (int(number) for number in subscriber.line())
    if lost or gaps:
        raise RuntimeError(f"{lost} lost-events and {gaps} gaps in a throughput run")
    return events / ((end - begin) / 1e9)


def pin(pids, cpus):
    """Lets processes run on these CPUs alone."""
    for pid in pids:
        os.sched_setaffinity(pid, cpus)


def cpu_ticks(pid):
    """CPU time of a process so far, in clock ticks."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def memory_of(pid, keys=("Rss", "Pss")):
    """Values of smaps_rollup, in KiB."""
    found = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            key, _, rest = line.partition(":")
            if key in keys:
                found[key] = int(rest.split()[0])
    return [found[key] for key in keys]


def median(values):
    """The median."""
    return statistics.median(values)


class Report:
    """Lines of results with their targets; printed as they come, kept as JSON at the end."""

    def __init__(self, name):
        self.name = name
        self.rows = []
        self.facts = machine()
        for key, value in self.facts.items():
            print(f"{key}: {value}")
        print()

    def add(self, line, target, value, unit, limit=None, least=False, **more):
        """One result; `limit` is the most (or the least) that passes; without it: information."""
        verdict = "-"
        if limit is not None:
            passes = value >= limit if least else value <= limit
            verdict = "pass" if passes else "MISS"
        row = {"line": line, "target": target, "value": value, "unit": unit, "verdict": verdict,
               "load": os.getloadavg()[0], **more}
        self.rows.append(row)
        extra = ", ".join(f"{key} {shown(each)}" for key, each in more.items() if key != "runs")
        print(f"{verdict:5}{line:34}{shown(value):>12} {unit:11}{target:24}{extra}", flush=True)

    def skip(self, line, why):
        """Something that cannot be measured here."""
        self.rows.append({"line": line, "verdict": "skip", "why": why})
        print(f"skip: {line}: {why}", flush=True)

    def close(self):
        """Writes the results; gives how many targets were missed."""
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, time.strftime(f"{self.name}-%Y%m%d-%H%M%S.json"))
        self.facts["load after"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"facts": self.facts, "rows": self.rows}, file, indent=1)
        missed = [row["line"] for row in self.rows if row["verdict"] == "MISS"]
        judged = [row for row in self.rows if row["verdict"] in ("pass", "MISS")]
        print(f"\n{len(judged) - len(missed)} of {len(judged)} targets met; {path}")
        print("load after:", self.facts["load after"])
        return len(missed)


def shown(value):
    """A value as it stands in the table."""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list):
        return "/".join(shown(each) for each in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def output_of(*command):
    """The first line a command prints, or why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TOP)
    except OSError as error:
        return str(error)
    return (done.stdout or done.stderr).partition("\n")[0]


def machine():
    """Machine, versions, command."""
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    return {
        "command": " ".join(sys.argv),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": f"{os.cpu_count()} CPUs, {model}, {pages} GiB",
        "kernel": platform.release(),
        "versions": "; ".join([output_of(SAEVTD, "--version"), output_of("rustc", "--version"),
                               output_of(os.environ.get("CC", "cc"), "--version")]),
        "commit": output_of("git", "describe", "--always", "--dirty"),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


# A bench that is told to end ends what it has started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
