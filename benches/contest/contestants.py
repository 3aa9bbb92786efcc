"""Who takes part: how each is built, and which daemon it needs."""

import os
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILT = os.path.join(TOP, "build", "bench", "contest")
CORE = ["common.c", "roles.c", "measure.c"]
C_FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
PATIENCE_SECONDS = 10


class Missing(Exception):
    """A contestant cannot take part; the text says why."""


def output_of(command, **settings):
    """Standard output and error of a program, or "" if it is not there."""
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, **settings)
    except OSError:
        return ""
    return result.stdout.decode(errors="replace").strip()


class Broker:
    """A daemon that runs for one sample, with its files in a directory of its own."""

    def __init__(self, command, place, is_ready):
        self.place = place
        self.log = open(os.path.join(place, "log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, cwd=place)
        self.pid = self.process.pid
        try:
            self.wait(is_ready)
        except BaseException:
            self.stop()
            raise

    def wait(self, is_ready):
        """Returns when the daemon can be used."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while not is_ready(self):
            if self.process.poll() is not None or time.monotonic() > limit:
                with open(os.path.join(self.place, "log"), errors="replace") as log:
                    raise Missing("its daemon does not start: " + log.read()[-300:].strip())
            time.sleep(0.005)

    def stop(self):
        """Ends the daemon, by force if it does not go."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Contestant:
    """One that needs nothing but a C compiler; the others derive from it."""

    role = "limit"
    packages = []    # Debian packages.
    commands = []    # Programs that must be there.
    libraries = []
    flags = []
    kinds = None     # The kinds of cases it takes part in; None: all.

    def __init__(self, name, title, source=None, variant=""):
        self.name = name
        self.title = title
        self.source = (source or name) + ".c"
        self.variant = variant
        self.program = os.path.join(BUILT, name)

    def takes_part(self, case):
        """Whether the case says something about it."""
        return self.kinds is None or case.kind in self.kinds

    def build(self):
        """Compiles the driver; raises Missing if something is not there."""
        for command in self.commands:
            if shutil.which(command) is None:
                raise Missing("there is no %s (Debian package %s)" % (command, self.packages[0]))
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            raise Missing("there is no C compiler")
        os.makedirs(BUILT, exist_ok=True)
        sources = [os.path.join(HERE, name) for name in CORE + [self.source]]
        command = [compiler, *C_FLAGS, *self.flags, *sources, "-o", self.program, *self.libraries]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            text = result.stdout.decode(errors="replace").strip()
            if self.packages and "No such file" in text:
                text = "its headers are not there (Debian packages %s)" % " ".join(self.packages)
            raise Missing(text[-1000:])

    def start_broker(self, place):
        """Starts the daemon for one sample and gives it, or None."""
        return None

    def address(self, place):
        """What the driver is told with --place."""
        return place

    def environment(self, place):
        """Variables for the driver, besides those that are there."""
        return {}

    def clean_up(self, place):
        """Removes what a killed driver may have left outside its directory."""

    def version(self):
        """Of its daemon; the driver tells that of its library."""
        return ""


def chosen(names, known):
    """Those of `known` that are in the comma-separated `names`; empty: all."""
    wanted = [name for name in names.split(",") if name]
    unknown = set(wanted) - {contestant.name for contestant in known}
    if unknown:
        raise SystemExit("no contestant is called %s; there are %s" % (
            ", ".join(sorted(unknown)), ", ".join(contestant.name for contestant in known)))
    return [contestant for contestant in known if not wanted or contestant.name in wanted]
