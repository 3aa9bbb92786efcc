"""Starts dbus-broker in the current directory, with its socket there.

Its launcher is given the socket as a service manager would, and insists on a socket of the journal.
On a host without systemd it gets one of its own, in a name space that nobody else sees.
"""

import os
import socket
import subprocess
import sys

JOURNAL = "/run/systemd/journal/socket"
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
</policy></busconfig>
"""
FIRST_PASSED = 3  # Where a service manager passes sockets.
JOURNAL_PLACE = 40


def pass_on(descriptor, number):
    """Makes `descriptor` known to the next program as `number`."""
    os.dup2(descriptor, number, inheritable=True)
    os.set_inheritable(number, True)


def main():
    place = os.getcwd()
    if not os.path.exists(JOURNAL):
        if "--in-name-space" not in sys.argv:
            command = ["unshare", "--mount", sys.executable, *sys.argv, "--in-name-space"]
            os.execvp(command[0], command)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.makedirs(os.path.dirname(JOURNAL))
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        journal.bind(JOURNAL)
        pass_on(journal.fileno(), JOURNAL_PLACE)
    with open("bus.conf", "w") as config:
        config.write(CONFIG.format(place=place))
    bus = socket.socket(socket.AF_UNIX)
    bus.bind(place + "/bus")
    bus.listen(64)
    pass_on(bus.fileno(), FIRST_PASSED)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()),
                      DBUS_SESSION_BUS_ADDRESS="unix:path=%s/bus" % place)
    os.execvp("dbus-broker-launch", ["dbus-broker-launch", "--scope", "user", "--config-file",
                                     place + "/bus.conf"])


if __name__ == "__main__":
    main()
