"""Each contestant that is more than a C file: daemons, packages, crates."""

import glob
import os
import re
import socket
import subprocess

from contestants import HERE, TOP, Broker, Contestant, Missing, output_of

CRATES = os.path.join(HERE, "peers")


class Saevt(Contestant):
    """This project: public headers, built library, built daemon with its default limits."""

    role = "ours"
    flags = ["-I" + os.path.join(TOP, "include")]
    libraries = ["-L" + os.path.join(TOP, "build", "lib"),
                 "-Wl,-rpath," + os.path.join(TOP, "build", "lib"), "-lSaEvt"]
    daemon = os.path.join(TOP, "build", "sbin", "saevtd")

    def build(self):
        if not os.path.exists(self.daemon):
            raise Missing("build/sbin/saevtd is not there: run make")
        super().build()

    def start_broker(self, place):
        path = os.path.join(place, "socket")
        config = os.path.join(place, "saevtd.conf")
        open(config, "w").close()  # Nothing of /etc: the limits are the defaults.
        return Broker([self.daemon, "--socket", path, "--state-dir", os.path.join(place, "state"),
                       "--config", config], place, lambda _: os.path.exists(path))

    def environment(self, place):
        return {"SAEVT_SOCKET": os.path.join(place, "socket")}

    def version(self):
        commit = output_of(["git", "-C", TOP, "describe", "--always", "--dirty"])
        return "%s (%s)" % (output_of([self.daemon, "--version"]), commit)


class ZeroMq(Contestant):
    """No daemon: the publisher binds."""

    role = "peer"
    packages = ["libzmq3-dev"]
    libraries = ["-lzmq"]


class Nats(Contestant):
    """Knows TCP only: on the loopback interface, on a port that is free."""

    role = "peer"
    packages = ["nats-server", "libnats-dev"]
    commands = ["nats-server"]
    libraries = ["-lnats"]
    port = 0

    def start_broker(self, place):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        return Broker(["nats-server", "-a", "127.0.0.1", "-p", str(self.port)], place,
                      self.is_ready)

    def is_ready(self, _):
        """Whether somebody listens."""
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.port)) == 0

    def address(self, place):
        return "nats://127.0.0.1:%d" % self.port

    def version(self):
        return output_of(["nats-server", "--version"])


class Redis(Contestant):
    """A server without persistence, on a unix socket."""

    role = "peer"
    packages = ["redis-server", "libhiredis-dev"]
    commands = ["redis-server"]
    libraries = ["-lhiredis"]

    def start_broker(self, place):
        return Broker(["redis-server", "--port", "0", "--unixsocket", self.address(place),
                       "--save", "", "--appendonly", "no"], place,
                      lambda _: os.path.exists(self.address(place)))

    def address(self, place):
        return os.path.join(place, "redis")

    def version(self):
        found = re.search(r"v=(\S+)", output_of(["redis-server", "--version"]))
        return "redis-server " + found.group(1) if found else ""


class DbusBroker(Contestant):
    """dbus-broker through libdbus, on a bus of its own."""

    role = "peer"
    packages = ["dbus-broker", "libdbus-1-dev"]
    commands = ["dbus-broker-launch"]

    def build(self):
        found = output_of(["pkg-config", "--cflags", "--libs", "dbus-1"]).split()
        if not found or not found[0].startswith("-"):
            raise Missing("there is no libdbus for programs (Debian package libdbus-1-dev)")
        self.flags = [word for word in found if word.startswith("-I")]
        self.libraries = [word for word in found if not word.startswith("-I")]
        super().build()

    def start_broker(self, place):
        return Broker(["python3", os.path.join(HERE, "dbus_broker.py")], place, self.is_ready)

    def is_ready(self, broker):
        """Whether the launcher has started the daemon, whose process is the one that counts."""
        with open("/proc/%d/comm" % broker.process.pid) as name:
            if not name.read().startswith("dbus-broker"):
                return False
        with open("/proc/%d/task/%d/children" % (broker.process.pid, broker.process.pid)) as file:
            children = file.read().split()
        if children:
            broker.pid = int(children[0])
        return bool(children)

    def address(self, place):
        return "unix:path=%s/bus" % place

    def version(self):
        return output_of(["dbus-broker", "--version"]).split("\n")[0]


class Crate(Contestant):
    """A peer in Rust: a static library from the workspace `peers`."""

    role = "peer"
    crate = ""

    def build(self):
        # Always the whole workspace: features, and with them what has to be compiled, would be
        # others for one of its packages alone.
        target = os.path.join(TOP, os.environ.get("CARGO_TARGET_DIR", "target"), "peers")
        command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--locked"]
        try:
            result = subprocess.run(command, cwd=CRATES, stdin=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE,
                                    env=dict(os.environ, CARGO_TARGET_DIR=target))
        except OSError as error:
            raise Missing("cargo: %s" % error)
        if result.returncode != 0:
            raise Missing("cargo: " + result.stderr.decode(errors="replace").strip()[-600:])
        archive = os.path.join(target, "release", "libcontest_%s.a" % self.crate)
        self.libraries = [archive, "-ldl", "-lm", "-lrt"]
        super().build()

    def version(self):
        with open(os.path.join(CRATES, "Cargo.lock")) as lock:
            found = re.search('name = "%s"\nversion = "([^"]*)"' % self.crate, lock.read())
        return "%s %s" % (self.crate, found.group(1))


class Zenoh(Crate):
    """Peer to peer over a unix socket."""

    crate = "zenoh"


class Iceoryx2(Crate):
    """No daemon; shared memory is named after the directory of the sample."""

    crate = "iceoryx2"

    def clean_up(self, place):
        for path in glob.glob("/dev/shm/%s_*" % os.path.basename(place)):
            os.unlink(path)


class Iceoryx2InBatches(Iceoryx2):
    """One notification for 32 samples; in an echo each sample needs its own."""

    kinds = ["tput", "fan"]


def every_contestant():
    """All of them, in the order of the table."""
    return [
        Saevt("saevt", "saevt"),
        Contestant("seqpacket", "SEQPACKET sockets, poll()"),
        Contestant("pipe", "pipe"),
        Contestant("ring", "bare ring, direct", "ring", "direct"),
        Contestant("ring-broker", "bare ring, through a broker", "ring", "broker"),
        Iceoryx2InBatches("iceoryx2-32", "iceoryx2, notify each 32nd", "iceoryx2", "32"),
        Iceoryx2("iceoryx2", "iceoryx2, notify each", "iceoryx2", "1"),
        ZeroMq("zeromq", "ZeroMQ PUB/SUB ipc"),
        Zenoh("zenoh", "zenoh p2p, unix socket"),
        Nats("nats", "NATS core"),
        Redis("redis", "Redis pub/sub, unix socket"),
        DbusBroker("dbus", "D-Bus, dbus-broker"),
    ]
