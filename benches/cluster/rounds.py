"""What is measured by programs that are told what to do: operations, recovery, joining."""

import json
import os
import subprocess
import threading
import time

from contestants import BUILT, TOP, C_FLAGS, Missing
import rig

HERE = os.path.dirname(os.path.abspath(__file__))
RETAINED = 100000
LIB = ["-I" + os.path.join(TOP, "include"), "-L" + os.path.join(TOP, "build", "lib"),
       "-Wl,-rpath," + os.path.join(TOP, "build", "lib"), "-lSaEvt"]
OK, TRY_AGAIN, TIMEOUT = 1, 6, 5


def build():
    """The programs: one that obeys, one that retains, one that watches corosync."""
    growth = os.path.join(TOP, "benches", "growth")
    sources = {
        "actor": [os.path.join(TOP, "tests", "cluster", "actor.c")],
        "retainer": [os.path.join(growth, name + ".c")
                     for name in ("driver", "traffic", "bystanders", "overload")],
        "watch": [os.path.join(HERE, "watch.c"), os.path.join(HERE, "group.c")],
    }
    os.makedirs(BUILT, exist_ok=True)
    for name, files in sources.items():
        last = {"watch": ["-ldl"], "actor": ["-O1", *LIB]}.get(name, LIB)
        done = subprocess.run([os.environ.get("CC", "cc"), *C_FLAGS, *files, "-o",
                               os.path.join(BUILT, name), *last], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Missing(done.stdout.decode(errors="replace")[-1000:])


class Speaker:
    """A program whose lines are read; commands are given a line each."""

    def __init__(self, words, socket=None, errors=None):
        environment = dict(os.environ, SAEVT_SOCKET=socket or "")
        self.process = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=errors, text=True,
                                        bufsize=1)

    def line(self):
        """The next line; its end is an error."""
        text = self.process.stdout.readline()
        if not text:
            raise Missing("%s has ended" % self.process.args[0])
        return text.split()

    def tell(self, text):
        """Gives a command."""
        self.process.stdin.write(text + "\n")

    def end(self):
        """Ends it by the end of its input."""
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Actor(Speaker):
    """A program of a node: tests/cluster/actor.c."""

    def __init__(self, site, node):
        super().__init__([os.path.join(BUILT, "actor")], site.daemons[node].socket)
        self.insist("init 3")

    def ask(self, text):
        """The code of the answer; callbacks that come first are passed over."""
        self.tell(text)
        while True:
            words = self.line()
            if words[0] == "=":
                return int(words[1])

    def insist(self, text):
        """Until the answer is OK: that service calls ask for that is their meaning."""
        limit = time.monotonic() + rig.PATIENCE_SECONDS
        while True:
            code = self.ask(text)
            if code == OK:
                return
            if code not in (TRY_AGAIN, TIMEOUT) or time.monotonic() > limit:
                raise Missing("%s: AIS error %d" % (text, code))
            time.sleep(0.001)

    def await_event(self, number):
        """Until the event of that number comes."""
        while True:
            words = self.line()
            if words[:2] == ["!", "event"] and int(words[5]) == number:
                return


def at_once(calls):
    """Runs functions in threads; raises what one of them raised."""
    failed = []

    def run(call):
        try:
            call()
        except Exception as error:  # noqa: B902 - told by the thread that waits.
            failed.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def operations(site, repetitions):
    """Seconds of the calls that others must agree to, by a program of node 2, one at a time."""
    taken = {"create and open": [], "open again": [], "publish to subscribe": [],
             "close": [], "unlink": []}
    actor = Actor(site, 2)

    def timed(what, command):
        begin = time.monotonic()
        actor.insist(command)
        taken[what].append(time.monotonic() - begin)

    for number in range(4 * repetitions):
        name = "operations-%d" % number
        timed("create and open", "open %s psc 10000" % name)
        timed("open again", "open %s ps 10000" % name)
        timed("publish to subscribe", "sub %s 1" % name)
        timed("close", "close %s" % name)
        timed("unlink", "unlink %s" % name)
    actor.end()
    return taken


class Usable:
    """Programs on the survivors, and whether they can use the service."""

    def __init__(self, site, nodes, name):
        self.actors = [Actor(site, node) for node in nodes]
        self.name = name
        self.number = 0
        for actor in self.actors:
            actor.insist("open %s psc 10000" % name)
            actor.insist("sub %s 1" % name)

    def use(self):
        """Creates a channel on each, and has an event of each come to all; gives the moment."""
        self.number += 1
        made = "%s-%d" % (self.name, self.number)
        at_once([lambda a=actor, i=index: a.insist("open %s-%d psc 10000" % (made, i))
                 for index, actor in enumerate(self.actors)])
        first = 10 * self.number
        for index, actor in enumerate(self.actors):
            actor.insist("pub %s 3 0 64 %d" % (self.name, first + index))
            for other in self.actors:
                if other is not actor:
                    other.await_event(first + index)
        done = time.monotonic()
        for index, actor in enumerate(self.actors):
            actor.insist("close %s-%d" % (made, index))
        return done

    def end(self):
        """They leave."""
        for actor in self.actors:
            actor.end()


def lose_node(site, lost, survivor):
    """Kills the corosync of a node; gives when that of a survivor has reported it."""
    words = [os.path.join(BUILT, "watch")]
    watch = Speaker(words + [site.engine.space(survivor)])
    # A change of the group is reported where a member of it is gone; that one will complain.
    member = Speaker(words + [site.engine.space(lost)], errors=subprocess.DEVNULL)
    while watch.line()[1] != "2":
        pass
    site.engine.call("kill", str(lost))
    told = watch.line()
    while told[2] != "1":
        told = watch.line()
    watch.end()
    # Its corosync has gone, and it with that.
    member.end()
    return int(told[0]) / 1e9


def recovery(site, lost, fault, repetitions, tell):
    """Seconds from the engine's report of a change, or from the kill of a daemon, until all
    survivors are served. `fault`: "node" (its corosync is killed) or "daemon"."""
    taken = []
    survivors = [node for node in rig.NODES if node != lost]
    for number in range(repetitions):
        tell("recovery: %s %d, %d of %d" % (fault, lost, number + 1, repetitions))
        usable = Usable(site, survivors, "recovery-%s-%d-%d" % (fault, lost, number))
        usable.use()
        if fault == "node":
            reported = lose_node(site, lost, survivors[0])
        else:
            reported = time.monotonic()
            site.daemons[lost].end(by_force=True)
        taken.append(usable.use() - reported)
        usable.end()
        if fault == "node":
            site.engine.start(lost)
        else:
            site.daemons[lost].start()
        site.wait_for(rig.NODES, len(rig.NODES))
        # A daemon that goes on alone for a moment begins views of its own.
        time.sleep(1)
    return taken


def held_by(site, node):
    """Retained events that a node has."""
    tool = os.path.join(TOP, "build", "bin", "saevt")
    done = subprocess.run([tool, "status", "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL,
                          env=dict(os.environ, SAEVT_SOCKET=site.daemons[node].socket))
    try:
        return json.loads(done.stdout)["counters"]["retained_events"]
    except (ValueError, KeyError):
        return 0


def joining(site, repetitions, tell):
    """Seconds from the start of a daemon without state until it has 100,000 retained events and
    serves, while another node publishes to the third one 1000 times a second."""
    tell("a node that joins: %d retained events" % RETAINED)
    retainer = Speaker([os.path.join(BUILT, "retainer"), "retainer", "events=%d" % RETAINED,
                        "channel=kept", "bytes=64"], site.daemons[1].socket)
    if retainer.line() != ["ready"]:
        raise Missing("the events to be retained are not taken")
    rig.wait_until("retained events on node 2", lambda: held_by(site, 2) >= RETAINED)
    taken, lost = [], 0
    for number in range(repetitions):
        tell("a node that joins, %d of %d" % (number + 1, repetitions))
        site.daemons[3].end()
        site.wait_for((1, 2), 2)
        traffic = Traffic(site, "traffic-%d" % number)
        begin = time.monotonic()
        site.daemons[3].start()
        rig.wait_until("service on node 3", lambda: site.daemons[3].serves(len(rig.NODES)))
        rig.wait_until("retained events on node 3", lambda: held_by(site, 3) >= RETAINED)
        taken.append(time.monotonic() - begin)
        lost += traffic.end()
    retainer.end()
    return taken, lost


class Traffic:
    """Events from node 1 to node 2, about 1000 in a second."""

    def __init__(self, site, name):
        self.sender, self.taker = Actor(site, 1), Actor(site, 2)
        self.sender.insist("open %s pc 10000" % name)
        self.taker.insist("open %s s 10000" % name)
        self.taker.insist("sub %s 1" % name)
        self.name = name
        self.sent, self.losses, self.received = 0, 0, 0
        self.over = False
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.take)]
        for thread in self.threads:
            thread.start()

    def send(self):
        """Until it is over."""
        while not self.over:
            self.sender.insist("pub %s 3 0 64 %d" % (self.name, self.sent))
            self.sent += 1
            time.sleep(0.001)

    def take(self):
        """Until everything has come."""
        while not self.over or self.received + self.losses < self.sent:
            words = self.taker.line()
            self.received += words[:2] == ["!", "event"]
            self.losses += words[:2] == ["!", "lost"]

    def end(self):
        """Gives how many lost-events came."""
        self.over = True
        self.threads[0].join()
        self.sender.insist("pub %s 3 0 64 %d" % (self.name, self.sent))
        self.sent += 1
        self.threads[1].join()
        self.sender.end()
        self.taker.end()
        return self.losses
