#!/bin/bash
# A Debian system of its own in namespaces: systemd as its first process, no network, nothing of
# the host to be seen.
#
#   machine.sh start ROOT ARCHIVE     unpacks the archive to ROOT and boots it
#   machine.sh reboot ROOT            ends all that runs in it, and boots it again
#   machine.sh run ROOT COMMAND...    runs a command in it, as root
#   machine.sh shell ROOT USER        a shell of that user in it, as after a login
#   machine.sh stop ROOT              ends it and removes ROOT
#
# Needs root. Exit status 3 of start: systemd does not come up in namespaces here.
set -euo pipefail

# The first process of the system: what stands for all of its namespaces.
first() {
    local unshare
    unshare=$(< "$root.pid")
    cat "/proc/$unshare/task/$unshare/children"
}

run() {
    local pid
    pid=$(first)
    nsenter --target="${pid% }" --all --wdns=/ \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

# In the new namespaces: mounts what a system expects, and becomes it.
become() {
    local node
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=1777 tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir dev/pts dev/shm .host
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    for node in null zero full random urandom tty; do
        : > "dev/$node"
        mount --bind "/dev/$node" "dev/$node"
    done
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    hostname saevt-machine
    pivot_root . .host
    umount -l /.host
    rmdir /.host
    exec env -i container=saevt PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --log-target=null < /dev/null > /dev/null 2>&1
}

start() {
    rm -rf "$root"
    mkdir -p "$root"
    tar -C "$root" -xpf "$1" --numeric-owner
    tr -d '-' < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
    # Nobody logs in at a console.
    ln -sf /dev/null "$root/etc/systemd/system/console-getty.service"
    boot
}

boot() {
    local tries state=''
    setsid unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child \
        --propagation private "$0" become "$root" > "$root.log" 2>&1 &
    echo $! > "$root.pid"
    for ((tries = 0; tries < 300; tries++)); do
        state=$(run systemctl is-system-running 2> /dev/null || true)
        case $state in
        running | degraded) return 0 ;;
        esac
        kill -0 "$(< "$root.pid")" 2> /dev/null || break
        sleep 0.1
    done
    cat "$root.log" >&2
    echo "machine.sh: systemd did not come up: ${state:-no answer}" >&2
    stop
    return 3
}

# Its first process takes all others with it, and its mounts.
halt() {
    local unshare pid
    unshare=$(< "$root.pid")
    pid=$(first 2> /dev/null || true)
    [[ -z $pid ]] || kill -KILL "${pid% }" 2> /dev/null || true
    while kill -0 "$unshare" 2> /dev/null; do sleep 0.05; done
}

reboot() {
    halt
    boot
}

stop() {
    [[ -e $root.pid ]] || return 0
    halt
    rm -rf --one-file-system "$root" "$root.pid" "$root.log"
}

action=$1
root=$(realpath -m "$2")
shift 2
case $action in
start | reboot | stop | run | become) "$action" "$@" ;;
shell) run runuser --login "$1" -c 'exec bash --noprofile --norc' ;;
*)
    echo "machine.sh: what is $action?" >&2
    exit 2
    ;;
esac
