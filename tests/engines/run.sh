#!/bin/bash
# Runs tests/transport.rs on real engines.
#
#   tests/engines/run.sh [ENGINE...]     corosync, tipc; default: both
#
# Makes the nodes, runs the suite, removes the nodes. Prints `skip: ENGINE: WHY` for an engine that
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

# suite ENGINE RIG: runs the tests with that rig.
suite() {
    # shellcheck disable=SC2086 # a list of words
    SAEVT_TRANSPORT_ENGINE=$1 SAEVT_TRANSPORT_RIG=$2 \
        cargo test --locked --test transport -- ${WORDS:-}
}

run_corosync() {
    local rig=$PWD/tests/engines/corosync.sh status=0
    if [[ $(id -u) -ne 0 ]]; then
        echo 'skip: corosync: only root can make network namespaces'
        return 0
    fi
    need corosync:corosync corosync-cmapctl:corosync ip:iproute2 unshare:util-linux
    cargo test --locked --test transport --no-run
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

# The file system of the guest: busybox, modules, the suite and its rig.
make_guest() {
    local root=$SAEVT_ENGINES/guest kernel=$1 suite=$2
    mkdir -p "$root"/{bin,proc,sys,dev,run,etc,var,test}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp -r "$kernel/modules" "$root/modules"
    cp tests/engines/tipc-init.sh "$root/init"
    cp tests/engines/tipc.sh "$root/test"
    echo "${WORDS:-}" > "$root/test/words"
    strip --strip-debug -o "$SAEVT_ENGINES/transport" "$suite"
    copy "$SAEVT_ENGINES/transport" "$root/test/transport"
    copy "$(command -v ip)" "$root/test/ip"
    copy "$(command -v tipc)" "$root/test/tipc"
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) > "$SAEVT_ENGINES/guest.gz"
    rm -rf "$root" "$SAEVT_ENGINES/transport"
}

# The kernel of this host may have no TIPC, so the nodes live in an emulated machine: no access to
# /dev/kvm is asked for, and nothing of the host is reached from inside.
run_tipc() {
    local suite kernel=$PWD/build/tipc-kernel log=$SAEVT_ENGINES/tipc.log
    local tools=(qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio
        modinfo:kmod tipc:iproute2 strip:binutils)
    if [[ $(id -u) -ne 0 ]] && ! are_there "${tools[@]}"; then
        echo 'skip: tipc: an emulator or what goes into its guest is not installed'
        return 0
    fi
    need "${tools[@]}"
    tests/engines/tipc-kernel.sh "$kernel"
    suite=$(cargo test --locked --test transport --no-run 2>&1 |
        sed -n 's/.*Executable tests.transport.rs (\(.*\))$/\1/p')
    make_guest "$kernel" "$suite"
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
    rm -rf "$SAEVT_ENGINES"/{guest,guest.gz,transport,tipc.log}
    rmdir "$SAEVT_ENGINES" || true
}

main() {
    local engine engines=("$@")
    [[ $# -gt 0 ]] || engines=(corosync tipc)
    trap clean EXIT
    for engine in "${engines[@]}"; do "run_$engine"; done
}

main "$@"
