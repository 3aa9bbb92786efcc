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


class Broker:
    """A daemon that runs for one sample, with its files in a directory of its own."""

    def __init__(self, command, place, environment=None, is_ready=None):
        self.place = place
        self.log = open(os.path.join(place, "log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, cwd=place,
                                        env=dict(os.environ, **(environment or {})))
        self.pid = self.process.pid
        try:
            self.wait(is_ready)
        except BaseException:
            self.stop()
            raise

    def wait(self, is_ready):
        """Returns when the daemon can be used."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > limit:
                with open(os.path.join(self.place, "log"), errors="replace") as log:
                    raise Missing("its daemon does not start: " + log.read()[-300:].strip())
            time.sleep(0.01)

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
    source = None
    libraries = []
    flags = []
    variant = ""

    def __init__(self, name, title):
        self.name = name
        self.title = title
        self.program = os.path.join(BUILT, name)

    def build(self):
        """Compiles the driver; raises Missing if something is not there."""
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            raise Missing("there is no C compiler")
        os.makedirs(BUILT, exist_ok=True)
        sources = [os.path.join(HERE, name) for name in CORE + [self.source or self.name + ".c"]]
        command = [compiler, *C_FLAGS, *self.flags, *sources, "-o", self.program, *self.libraries]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            raise Missing("its driver cannot be compiled: "
                          + result.stdout.decode(errors="replace").strip()[-1000:])

    def start_broker(self, place, case):
        """Starts the daemon for one sample and gives it, or None."""
        return None

    def address(self, place, case):
        """What the driver is told with --place."""
        return place

    def environment(self, place):
        """Variables for the driver, besides those that are there."""
        return {}

    def clean_up(self, place):
        """Removes what a killed driver may have left outside its directory."""


class Saevt(Contestant):
    """This project: public headers, built library, built daemon with its default limits."""

    role = "ours"
    flags = ["-I" + os.path.join(TOP, "include")]
    libraries = ["-L" + os.path.join(TOP, "build", "lib"),
                 "-Wl,-rpath," + os.path.join(TOP, "build", "lib"), "-lSaEvt"]

    def start_broker(self, place, case):
        socket = os.path.join(place, "socket")
        daemon = os.path.join(TOP, "build", "sbin", "saevtd")
        config = os.path.join(place, "saevtd.conf")
        open(config, "w").close()  # Nothing of /etc: the limits are the defaults.
        return Broker([daemon, "--socket", socket, "--state-dir", os.path.join(place, "state"),
                       "--config", config], place, is_ready=lambda: os.path.exists(socket))

    def environment(self, place):
        return {"SAEVT_SOCKET": os.path.join(place, "socket")}


def every_contestant():
    """All of them, in the order of the table."""
    return [
        Saevt("saevt", "saevt"),
        Contestant("seqpacket", "SEQPACKET socket pair, poll()"),
        Contestant("pipe", "pipe"),
    ]


def chosen(names):
    """Those in the comma-separated `names`; empty: all."""
    wanted = [name for name in names.split(",") if name]
    known = every_contestant()
    unknown = set(wanted) - {contestant.name for contestant in known}
    if unknown:
        raise SystemExit("no contestant is called %s; there are %s" % (
            ", ".join(sorted(unknown)), ", ".join(contestant.name for contestant in known)))
    return [contestant for contestant in known if not wanted or contestant.name in wanted]
