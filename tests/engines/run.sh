#!/bin/bash
# Runs tests/transport.rs and tests/cluster.rs on real engines.
#
#   tests/engines/run.sh [ENGINE...]     corosync, tipc; default: both
#
# Makes the nodes, runs the suites, removes the nodes. SUITES chooses some: transport, cluster; the
# latter needs what `make` builds. Prints `skip: ENGINE: WHY` for an engine that
# cannot be had here. As root it installs what is missing with apt-get. SAEVT_ENGINES is the
# directory for what lives during a run; WORDS chooses tests whose names contain one of them.
set -euo pipefail

cd "$(dirname "$0")/../.."
SAEVT_ENGINES=${SAEVT_ENGINES:-$(mktemp -d /tmp/saevt-engines.XXXXXX)}
readonly SAEVT_ENGINES
export SAEVT_ENGINES
# Tools of the network are there also for ordinary users.
PATH=$PATH:/usr/sbin:/sbin

# are_there COMMAND:PACKAGE...: whether nothing has to be installed.
are_there() {
    local pair
    for pair in "$@"; do command -v "${pair%%:*}" > /dev/null || return 1; done
}

# need COMMAND:PACKAGE...: installs what is missing.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" > /dev/null || missing+=("${pair#*:}")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if ! command -v apt-get > /dev/null; then
        echo "not installed, and there is no apt-get: ${missing[*]}"
        return 1
    fi
    {
        apt-get -qq update
        # The engine is run by these tests alone, not by this host.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
            --no-install-recommends "${missing[@]}"
    } > /dev/null
}

# chosen SUITE: whether it is to run.
chosen() {
    [[ " ${SUITES:-transport cluster} " == *" $1 "* ]]
}

# build_tests: the suites, without a run.
build_tests() {
    cargo test --locked --test transport --test cluster --no-run
    if chosen cluster; then build_actor; fi
}

# The C program that the nodes of tests/cluster.rs run, with what `make` has built.
build_actor() {
    local lib=${SAEVT_LIB:-$PWD/build/lib}
    ${CC:-cc} -std=c99 -D_POSIX_C_SOURCE=200809L -O1 -Wall -Wextra -Werror -I include \
        -o "$SAEVT_ENGINES/actor" tests/cluster/actor.c -L "$lib" -Wl,-rpath,"$lib" -lSaEvt
    # Programs of several processes, which are on different nodes then.
    local program
    for program in processes death; do
        ${CC:-cc} -std=c99 -O1 -pthread -I include -o "$SAEVT_ENGINES/$program" \
            "capi-tests/$program.c" capi-tests/evt_test*.c -L "$lib" -Wl,-rpath,"$lib" -lSaEvt
    done
}

# suite ENGINE RIG: runs the tests with that rig.
suite() {
    local status=0
    # shellcheck disable=SC2086 # lists of words
    if chosen transport; then
        SAEVT_TRANSPORT_ENGINE=$1 SAEVT_TRANSPORT_RIG=$2 \
            cargo test --locked --test transport -- ${WORDS:-} || status=$?
    fi
    # shellcheck disable=SC2086 # lists of words
    if chosen cluster; then
        SAEVT_CLUSTER_ENGINE=$1 SAEVT_CLUSTER_RIG=$2 SAEVT_CLUSTER_ACTOR=$SAEVT_ENGINES/actor \
            SAEVT_CLUSTER_DAEMON=${SAEVT_DAEMON:-$PWD/build/sbin/saevtd} \
            SAEVT_CLUSTER_PLACE=$SAEVT_ENGINES/sites \
            cargo test --locked --test cluster -- ${CLUSTER_WORDS:-${WORDS:-}} || status=$?
    fi
    return "$status"
}

run_corosync() {
    local rig=$PWD/tests/engines/corosync.sh status=0
    if [[ $(id -u) -ne 0 ]]; then
        echo 'skip: corosync: only root can make network namespaces'
        return 0
    fi
    need corosync:corosync corosync-cmapctl:corosync ip:iproute2 unshare:util-linux
    build_tests
    "$rig" up
    suite corosync "$rig" || status=$?
    [[ $status -eq 0 ]] || tail -n 20 "$SAEVT_ENGINES"/corosync/n*/log
    "$rig" down
    return "$status"
}

# copy FILE DIRECTORY: a program and the libraries it needs, into the tree of the guest.
copy() {
    local library
    cp -L "$1" "$2"
    # A program that needs none makes ldd fail.
    for library in $(ldd "$1" 2> /dev/null | grep -o '/[^ ]*' || true); do
        mkdir -p "$SAEVT_ENGINES/guest${library%/*}"
        cp -L "$library" "$SAEVT_ENGINES/guest$library"
    done
}

# executable SUITE: where cargo has put it.
executable() {
    cargo test --locked --test "$1" --no-run 2>&1 |
        sed -n "s/.*Executable tests.$1.rs (\\(.*\\))\$/\\1/p"
}

# carry FILE NAME: into the tests of the guest, without what only a debugger reads.
carry() {
    strip --strip-debug -o "$SAEVT_ENGINES/$2" "$1"
    copy "$SAEVT_ENGINES/$2" "$SAEVT_ENGINES/guest/test/$2"
}

# The file system of the guest: busybox, modules, the suites and their rig.
make_guest() {
    local root=$SAEVT_ENGINES/guest kernel=$1
    mkdir -p "$root"/{bin,proc,sys,dev,run,etc,var,test}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp -r "$kernel/modules" "$root/modules"
    cp tests/engines/tipc-init.sh "$root/init"
    cp tests/engines/tipc.sh "$root/test"
    if chosen transport; then
        echo "${WORDS:-}" > "$root/test/transport.words"
        carry "$(executable transport)" transport
    fi
    if chosen cluster; then
        echo "${CLUSTER_WORDS:-${WORDS:-}}" > "$root/test/cluster.words"
        carry "$(executable cluster)" cluster
        carry "${SAEVT_DAEMON:-build/sbin/saevtd}" saevtd
        local program
        for program in actor processes death; do
            copy "$SAEVT_ENGINES/$program" "$root/test/$program"
        done
    fi
    copy "$(command -v ip)" "$root/test/ip"
    copy "$(command -v tipc)" "$root/test/tipc"
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) > "$SAEVT_ENGINES/guest.gz"
    rm -rf "$root" "$SAEVT_ENGINES"/{transport,cluster,saevtd}
}

# The kernel of this host may have no TIPC, so the nodes live in an emulated machine: no access to
# /dev/kvm is asked for, and nothing of the host is reached from inside.
run_tipc() {
    local kernel=$PWD/build/tipc-kernel log=$SAEVT_ENGINES/tipc.log
    local tools=(qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio
        modinfo:kmod tipc:iproute2 strip:binutils)
    if [[ $(id -u) -ne 0 ]] && ! are_there "${tools[@]}"; then
        echo 'skip: tipc: an emulator or what goes into its guest is not installed'
        return 0
    fi
    need "${tools[@]}"
    tests/engines/tipc-kernel.sh "$kernel"
    build_tests
    make_guest "$kernel"
    # `timeout` is for a guest that does not even start; the suite has a watchdog of its own.
    timeout 900 qemu-system-x86_64 -M pc -accel tcg,tb-size=64 -cpu max -m 384 -nodefaults \
        -no-user-config -display none -no-reboot -serial stdio -kernel "$kernel/vmlinuz" \
        -initrd "$SAEVT_ENGINES/guest.gz" -append 'console=ttyS0 quiet panic=-1' \
        < /dev/null | tr -d '\r' | tee "$log"
    grep -q '^guest: ended with status 0$' "$log"
}

# However it ends, nothing stays.
clean() {
    if [[ -d $SAEVT_ENGINES/corosync ]]; then tests/engines/corosync.sh down; fi
    rm -rf "$SAEVT_ENGINES"/{guest,guest.gz,transport,cluster,saevtd,sites,tipc.log}
    rm -rf "$SAEVT_ENGINES"/{actor,processes,death}
    rmdir "$SAEVT_ENGINES" || true
}

main() {
    local engine engines=("$@")
    [[ $# -gt 0 ]] || engines=(corosync tipc)
    trap clean EXIT
    for engine in "${engines[@]}"; do "run_$engine"; done
}

main "$@"
