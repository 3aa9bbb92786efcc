#!/bin/bash
# Prepares what README.md and the guides in docs need, and has tests/guides/run.py run them.
#
#   tests/guides/run.sh private     in a home of its own, with what is built in build
#   tests/guides/run.sh system      in a Debian system, with the packages in build/deb; as root
#
# Run from the top of the tree; prints one line for each command.
set -euo pipefail

readonly guides=(README.md docs/getting-started.md docs/migration.md docs/operations.md)

run_private() {
    local work
    work=$(mktemp -d /tmp/saevt-guides.XXXXXX)
    # shellcheck disable=SC2064 # The directory of now.
    trap "end_private '$work'" EXIT
    mkdir -m 700 "$work/home" "$work/run"
    # What is built already is good for every prefix that the guides name.
    SAEVT_PREFIX=$(< build/prefix)
    export SAEVT_PREFIX SAEVT_RUNTIME_DIR=$work/run
    export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    unset SAEVT_SOCKET SAEVT_AUTOSTART SAEVT_DAEMON
    make_old_program "$work/home"
    HOME=$work/home python3 -B tests/guides/run.py private "${guides[@]}"
}

end_private() {
    local pid
    for pid in $(scripts/private-daemons.sh "$1/home/saevt/sbin/saevtd" "$1/run"); do
        kill "$pid" || true
    done
    rm -rf "$1"
}

# A program as a site has one: built for openais, by a stand-in for its library that is gone then.
make_old_program() {
    local place=$1/alarm
    mkdir "$place"
    printf 'OPENAIS_EVT_B.01.01 { global: sa*; };\n' > "$place/names.map"
    sed -n '/^OPENAIS/,/^}/s/^ *\(sa[A-Za-z]*\);$/int \1(void) { return 2; }/p' \
        packaging/libSaEvt.map > "$place/library.c"
    cc -shared -fPIC -Wl,-soname,libSaEvt.so.2 -Wl,--version-script="$place/names.map" \
        -o "$place/libSaEvt.so" "$place/library.c"
    cc -Iinclude -o "$place/alarmd" examples/publisher.c -L"$place" -lSaEvt
    rm "$place/libSaEvt.so" "$place/library.c" "$place/names.map"
}

# The source tree as it is after `make PREFIX=/usr`, without what cargo has left: whoever installs
# what somebody else has built needs no cargo.
copy_tree() {
    local tree=$1
    mkdir -p "$tree/build"
    cp -a Cargo.lock Cargo.toml LICENSE Makefile README.md bindings docs examples include \
        packaging scripts src "$tree/"
    cp -a build/bin build/cargo.stamp build/lib build/sbin "$tree/build/"
    echo /usr > "$tree/build/prefix"
    touch --reference="$tree/build/cargo.stamp" "$tree/build/prefix"
}

run_system() {
    local machine=$PWD/build/machine status=0 name
    # shellcheck disable=SC2064 # The directory of now.
    trap "tests/packages/machine.sh stop '$machine'" EXIT
    tests/packages/machine.sh start "$machine" build/debian-root.tar || status=$?
    if [[ $status -eq 3 ]]; then
        echo 'skip: guides in a Debian system: systemd does not come up in namespaces here'
        return 0
    fi
    [[ $status -eq 0 ]]
    mkdir "$machine/packages"
    for name in libsaevt3 libsaevt-dev saevtd saevt python3-saevt; do
        cp build/deb/"${name}"_*.deb "$machine/packages"
    done
    tests/packages/machine.sh run "$machine" useradd --create-home --shell /bin/bash alice
    make_old_program "$machine/home/alice"
    copy_tree "$machine/usr/src/saevt"
    GUIDE_MACHINE=$machine python3 -B tests/guides/run.py system "${guides[@]}"
}

case ${1:-} in
private) run_private ;;
system) run_system ;;
*)
    echo 'run.sh: private or system?' >&2
    exit 2
    ;;
esac
