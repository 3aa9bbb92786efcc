#!/bin/bash
# Runs tests/transport.rs on real engines.
#
#   tests/engines/run.sh [ENGINE...]     corosync; default: all
#
# Makes the nodes, runs the suite, removes the nodes. Prints `skip: ENGINE: WHY` for an engine that
# cannot be had here. As root it installs what is missing with apt-get. SAEVT_ENGINES is the
# directory for what lives during a run; WORDS chooses tests whose names contain one of them.
set -euo pipefail

cd "$(dirname "$0")/../.."
SAEVT_ENGINES=${SAEVT_ENGINES:-$(mktemp -d /tmp/saevt-engines.XXXXXX)}
readonly SAEVT_ENGINES
export SAEVT_ENGINES

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
    trap '"$PWD/tests/engines/corosync.sh" down' EXIT
    "$rig" up
    suite corosync "$rig" || status=$?
    "$rig" down
    trap - EXIT
    return "$status"
}

main() {
    local engine engines=("$@")
    [[ $# -gt 0 ]] || engines=(corosync)
    for engine in "${engines[@]}"; do "run_$engine"; done
    rmdir "$SAEVT_ENGINES" 2> /dev/null || true
}

main "$@"
