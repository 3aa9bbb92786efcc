#!/bin/bash
# Three corosync daemons on this machine, each on a node of its own, for tests/transport.rs.
#
#   corosync.sh up | down            makes and removes everything, waits until all is well
#   corosync.sh in NODE COMMAND...   runs a command on a node, 1 to 3
#   corosync.sh kill | start NODE    ends its corosync with SIGKILL; starts it again
#   corosync.sh stop | continue NODE  its corosync answers nothing; goes on
#   corosync.sh cut | join NODE      off the network with carrier, as if a switch fell silent; back
#
# A node is a network namespace: corosync's sockets are abstract, so they belong to it. What would
# clash beyond that, its pid file and its ring number, lies in directories that are mounted over
# the usual ones for that daemon alone. A switch in a fourth namespace joins the nodes. Nothing of
# this host is configured, and `down` leaves nothing behind. Needs root, corosync, iproute2.
set -euo pipefail

readonly nodes=3
readonly place=${SAEVT_ENGINES:-/tmp/saevt-engines}/corosync
# Runs of different trees do not meet.
name=saevt$(($(printf '%s' "$place" | cksum | cut -d ' ' -f 1) % 10000))c
readonly name

write_configuration() {
    local node
    {
        # A second until a node that is gone is missed. Less takes a busy machine for a dead one.
        printf 'totem {\n version: 2\n cluster_name: %s\n transport: knet\n' "$name"
        printf ' crypto_cipher: none\n crypto_hash: none\n token: 1000\n token_coefficient: 0\n}\n'
        printf 'nodelist {\n'
        for node in $(seq $nodes); do
            printf ' node {\n  nodeid: %d\n  name: n%d\n  ring0_addr: 10.77.0.%d\n }\n' \
                "$node" "$node" "$node"
        done
        printf '}\nquorum {\n provider: corosync_votequorum\n}\n'
        # The class of real time, which is the default, starves a small machine.
        printf 'system {\n sched_rr: no\n}\nlogging {\n to_syslog: no\n to_stderr: yes\n}\n'
    } > "$place/corosync.conf"
}

start() {
    local home=$place/n$1
    mkdir -p "$home/run" "$home/lib"
    # shellcheck disable=SC2016 # The inner shell reads its own arguments.
    ip netns exec "$name$1" unshare --mount --propagation private sh -c '
        mount --bind "$1/run" /run && mount --bind "$1/lib" /var/lib/corosync &&
        exec corosync -f -c "$2"
    ' _ "$home" "$place/corosync.conf" < /dev/null >> "$home/log" 2>&1 &
    echo $! > "$home/pid"
    echo $! >> "$place/pids"
}

# Gone, or not yet collected by its parent.
has_ended() {
    [[ ! -d /proc/$1 ]] || grep -qs '^State:.Z' "/proc/$1/status"
}

# The next one is refused until the lock of this one is gone.
kill_daemon() {
    local pid
    pid=$(< "$place/n$1/pid")
    kill -KILL "$pid" 2> /dev/null || true
    until has_ended "$pid"; do sleep 0.02; done
}

# Whether every daemon has all nodes in its ring.
is_formed() {
    local node joined
    for node in $(seq $nodes); do
        joined=$(ip netns exec "$name$node" corosync-cmapctl runtime.members 2> /dev/null |
            grep -c 'status (str) = joined') || true
        [[ $joined == "$nodes" ]] || return 1
    done
}

up() {
    local node tries
    mkdir -p "$place"
    write_configuration
    ip netns add "${name}s"
    ip -n "${name}s" link add switch type bridge
    ip -n "${name}s" link set switch up
    for node in $(seq $nodes); do
        ip netns add "$name$node"
        ip -n "$name$node" link add eth0 type veth peer name "port$node" netns "${name}s"
        ip -n "$name$node" addr add "10.77.0.$node/24" dev eth0
        ip -n "$name$node" link set lo up
        ip -n "$name$node" link set eth0 up
        ip -n "${name}s" link set "port$node" master switch up
        start "$node"
    done
    for tries in $(seq 600); do
        if is_formed; then return 0; fi
        sleep 0.1
    done
    echo "no cluster after $tries attempts:"
    tail -n 20 "$place"/n*/log
    return 1
}

down() {
    local node file owner
    for node in $(seq $nodes); do
        if [[ -e $place/n$node/pid ]]; then kill_daemon "$node"; fi
        ip netns del "$name$node" 2> /dev/null || true
    done
    ip netns del "${name}s" 2> /dev/null || true
    # What a killed corosync leaves in shared memory, by the process ids in the names.
    for file in /dev/shm/qb-corosync-*-blackbox-* /dev/shm/qb-*-*-*-*; do
        [[ -e $file ]] || continue
        owner=$(basename "$file" | sed -n 's/^qb-\(corosync-\)\{0,1\}\([0-9]*\)-.*/\2/p')
        if grep -qsx "$owner" "$place/pids" && has_ended "$owner"; then rm -rf "$file"; fi
    done
    rm -rf "$place"
}

verb=$1
shift
case $verb in
up | down) "$verb" ;;
in)
    node=$1
    shift
    exec ip netns exec "$name$node" "$@"
    ;;
kill) kill_daemon "$1" ;;
start) start "$1" ;;
stop) kill -STOP "$(< "$place/n$1/pid")" ;;
continue) kill -CONT "$(< "$place/n$1/pid")" ;;
cut) ip -n "${name}s" link set "port$1" nomaster ;;
join) ip -n "${name}s" link set "port$1" master switch ;;
*)
    echo "corosync.sh: no verb $verb" >&2
    exit 2
    ;;
esac
