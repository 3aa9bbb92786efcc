"""Three nodes on this host: corosync in network namespaces by tests/engines, a daemon on each."""

import os
import re
import shutil
import subprocess
import tempfile
import time

from contestants import TOP, Missing

SCRIPT = os.path.join(TOP, "tests", "engines", "corosync.sh")
DAEMON = os.path.join(TOP, "build", "sbin", "saevtd")
NODES = (1, 2, 3)
PATIENCE_SECONDS = 60


def wait_until(what, holds):
    """Looks again and again; what never comes ends the bench."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > limit:
            raise Missing("waited in vain: " + what)
        time.sleep(0.01)


class Engine:
    """Corosync on three nodes."""

    packages = ["corosync", "iproute2", "util-linux"]

    def __init__(self, place):
        self.place = place
        self.environment = dict(os.environ, SAEVT_ENGINES=place)

    def call(self, *words):
        """A verb of the script; gives what it prints."""
        done = subprocess.run([SCRIPT, *words], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode != 0:
            raise Missing("%s %s: %s" % (SCRIPT, " ".join(words), text[-500:]))
        return text

    def up(self):
        """Makes the nodes and waits until they are one cluster."""
        # A daemon in the background keeps the pipe of whoever reads its output.
        with open(os.path.join(self.place, "log"), "wb") as log:
            done = subprocess.run([SCRIPT, "up"], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log)
        if done.returncode != 0:
            raise Missing("the nodes cannot be made; see " + log.name)

    def down(self):
        """Removes them."""
        self.call("down")

    def start(self, node):
        """Starts the corosync of a node again."""
        subprocess.run([SCRIPT, "start", str(node)], env=self.environment, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def space(self, node):
        """The file of the node's network namespace."""
        return "/run/netns/" + self.call("in", str(node), "ip", "netns", "identify")

    def pid(self, node):
        """Its corosync."""
        with open(os.path.join(self.place, "corosync", "n%d" % node, "pid")) as file:
            return int(file.read())


class Daemon:
    """The saevtd of a node."""

    def __init__(self, engine, node, service):
        self.engine = engine
        self.node = node
        self.home = os.path.join(engine.place, "d%d" % node)
        self.socket = os.path.join(self.home, "socket")
        self.config = os.path.join(self.home, "saevtd.conf")
        self.log = os.path.join(self.home, "log")
        self.state = os.path.join(self.home, "state")
        self.process = None
        os.makedirs(self.home)
        with open(self.config, "w") as file:
            if service:
                file.write('[cluster]\nengine = "corosync"\nservice = "%s"\n' % service)

    def start(self):
        """Starts it, as on a host that knows nothing yet."""
        self.forget()
        words = [] if self.node == 0 else [SCRIPT, "in", str(self.node)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*words, DAEMON, "--config", self.config, "--socket", self.socket,
                 "--state-dir", self.state],
                env=self.engine.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def forget(self):
        """Removes what an earlier start has left."""
        for path in (self.socket, self.state):
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)

    def told(self):
        """Its log."""
        with open(self.log, errors="replace") as file:
            return file.read()

    def serves(self, members):
        """Whether it is in a view of so many members, and serves."""
        if self.process.poll() is not None:
            raise Missing("saevtd has ended: " + self.told()[-300:].strip())
        views = re.findall(r"cluster: (\d+) members, ", self.told())
        return "programs are served" in self.told() and views and int(views[-1]) == members

    def end(self, by_force=False):
        """Ends it: in order, or as a fault would."""
        if self.process is None:
            return
        if by_force:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Site:
    """The nodes with their daemons, and a daemon of no cluster beside them (node 0)."""

    def __init__(self):
        # State and sockets in memory, as they are in /run.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.place = tempfile.mkdtemp(prefix="saevt-cluster.", dir=memory)
        self.engine = Engine(self.place)
        service = "bench-%d" % os.getpid()
        self.daemons = {node: Daemon(self.engine, node, service) for node in NODES}
        self.daemons[0] = Daemon(self.engine, 0, "")

    def up(self):
        """Everything runs when this returns."""
        self.engine.up()
        for daemon in self.daemons.values():
            daemon.start()
        self.wait_for(NODES, len(NODES))
        wait_until("a socket", lambda: os.path.exists(self.daemons[0].socket))

    def wait_for(self, nodes, members):
        """Until these nodes are in a view of so many, and serve."""
        wait_until("%d members" % members,
                   lambda: all(self.daemons[node].serves(members) for node in nodes))

    def pids(self):
        """All daemons and corosyncs."""
        return [daemon.process.pid for daemon in self.daemons.values() if daemon.process] \
            + [self.engine.pid(node) for node in NODES]

    def close(self):
        """Nothing stays."""
        for daemon in self.daemons.values():
            daemon.end()
        self.engine.down()
        shutil.rmtree(self.place, ignore_errors=True)
