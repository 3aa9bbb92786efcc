"""Who is measured: this project on three nodes and on one, and bare CPG."""

import os

from contestants import Contestant, Missing, output_of
from peers import Saevt
import rig

HERE = os.path.dirname(os.path.abspath(__file__))


class Standing:
    """Daemons that run all the time; samples count their processor time."""

    def __init__(self, pids):
        self.pids = pids
        self.pid = ",".join(str(pid) for pid in pids)

    def stop(self):
        """They go on, wherever the kernel likes again."""
        for pid in self.pids:
            for thread in os.listdir("/proc/%d/task" % pid):
                os.sched_setaffinity(int(thread), os.sched_getaffinity(0))


class Placed:
    """What contestants on the nodes of a site have in common."""

    site = None
    names = ()

    def start_broker(self, place):
        return Standing(self.site.pids())

    def takes_part(self, case):
        return case.name in self.names


class Member(Placed, Saevt):
    """This project in the cluster, between nodes."""

    def __init__(self, names):
        super().__init__("saevt", "saevt in a cluster", "saevt")
        self.names = names

    def environment(self, place):
        return {"CONTEST_SOCKETS": ":".join(self.site.daemons[n].socket for n in rig.NODES)}


class Local(Placed, Saevt):
    """This project on one node, of the cluster or of none."""

    def __init__(self, name, title, node, names):
        super().__init__(name, title, "saevt")
        self.node = node
        self.names = names

    def start_broker(self, place):
        return Standing([self.site.daemons[self.node].process.pid])

    def environment(self, place):
        return {"SAEVT_SOCKET": self.site.daemons[self.node].socket}


class Cpg(Placed, Contestant):
    """Bare corosync."""

    packages = rig.Engine.packages
    commands = ["corosync"]
    libraries = [os.path.join(HERE, "group.c"), "-ldl"]

    def __init__(self, names):
        super().__init__("cpg", "bare CPG", os.path.join(HERE, "cpg"))
        self.names = names
        self.spaces = ""

    def build(self):
        if os.geteuid() != 0:
            raise Missing("only root can make network namespaces")
        super().build()

    def address(self, place):
        if not self.spaces:
            self.spaces = ",".join(self.site.engine.space(node) for node in rig.NODES)
        return self.spaces

    def version(self):
        return output_of(["corosync", "-v"]).split("\n")[0]


def every_member(between, local):
    """In the order of the table; two lines of one name are one contestant."""
    return [Member(between), Cpg(between), Local("saevt", "saevt in a cluster", 1, local),
            Local("single", "saevt on a single node", 0, local)]
