#!/bin/busybox sh
# Three TIPC nodes as network namespaces of a guest, and a fourth that has no address yet, for
# tests/transport.rs and tests/cluster.rs. Runs in the guest.
#
#   tipc.sh up                  makes them
#   tipc.sh in NODE COMMAND...  runs a command on a node, 1 to 4
#   tipc.sh number NODE         gives it an address, and the network
#   tipc.sh cut | join NODE     off the network with carrier, as if a switch fell silent; back
#
# The kernel keeps what it knows of TIPC for each namespace, so each is a node.
ip=/test/ip

up() {
    $ip link add switch type bridge && $ip link set switch up || return 1
    for node in 1 2 3 4; do
        $ip netns add "n$node"
        $ip link add "port$node" type veth peer name eth0 netns "n$node"
        $ip link set "port$node" master switch up
        $ip -n "n$node" link set lo up
        $ip -n "n$node" link set eth0 up
        [ "$node" -eq 4 ] || number "$node" || return 1
    done
}

number() {
    $ip netns exec "n$1" /test/tipc node set address "1.1.$1"
    $ip netns exec "n$1" /test/tipc bearer enable media eth device eth0
}

verb=$1
shift
case $verb in
up) up ;;
in)
    node=$1
    shift
    exec $ip netns exec "n$node" "$@"
    ;;
number) number "$1" ;;
cut) $ip link set "port$1" nomaster ;;
join) $ip link set "port$1" master switch ;;
*) exit 2 ;;
esac
