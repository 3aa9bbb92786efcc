"""Installs what the peers need from Debian packages, if this is root on such a system."""

import os
import shutil
import subprocess
import sys


def is_installed(package):
    """Whether dpkg knows it as installed."""
    result = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return result.stdout.endswith(b"ok installed")


def install(contestants):
    """Says what it does; what cannot be installed is skipped later, by name."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-query") is None:
        return
    wanted = [package for contestant in contestants for package in contestant.packages]
    missing = [package for package in dict.fromkeys(wanted) if not is_installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        print("not root, so these Debian packages are not installed: " + " ".join(missing))
        return
    print("installing: " + " ".join(missing))
    # The contest starts daemons of its own; those of the packages are not started now.
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", SYSTEMD_OFFLINE="1")
    for command in (["apt-get", "-qq", "update"],
                    ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing]):
        result = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if result.returncode != 0:
            sys.stderr.write(result.stderr.decode(errors="replace")[-500:])
