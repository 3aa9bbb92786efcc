#!/bin/bash
# The demonstration: builds the examples against an installed saevt and tells a story with them.
#
#   demo.sh ROOT        ROOT is the prefix of an installation, as `make demo` makes it
#   demo.sh --system    with what is installed in the system, on the service of this host
#
# With ROOT nobody starts a daemon: the first program does. The demo has a service of its own in a
# directory of its own and leaves nothing behind; with --system it leaves its retained events. Exit
# status 0 only if every step did what it says.
set -euo pipefail

# Everything that is still running then is ended, and the demo has failed.
readonly seconds_max=30

if [[ ${1:?usage: demo.sh ROOT | --system} == --system ]]; then
    root=
else
    root=$(cd "$1" && pwd -P)
fi
here=$(cd "$(dirname "$0")" && pwd -P)
work=$(mktemp -d /tmp/saevt-demo.XXXXXX)
console_pid=
tee_pid=

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' bad=$'\e[1;31m' off=$'\e[0m'
    export CLICOLOR_FORCE=1 # For the console, which writes into a pipe here.
else
    bold='' bad='' off=''
fi

unset SAEVT_SOCKET SAEVT_AUTOSTART SAEVT_DAEMON
if [[ -n $root ]]; then
    # A private place, whatever else this machine or this user runs.
    export SAEVT_RUNTIME_DIR=$work/run
    export LD_LIBRARY_PATH=$root/lib
    export PKG_CONFIG_PATH=$root/lib/pkgconfig
fi

scene() { printf '\n%s== %s%s\n' "$bold" "$*" "$off"; }
broken() { printf '%sdemo: %s%s\n' "$bad" "$*" "$off" >&2; exit 1; }

seconds_left() { echo $((SECONDS < seconds_max ? seconds_max - SECONDS : 1)); }

# Runs one of our programs for no longer than is left of the time.
limited() { timeout --foreground "$(seconds_left)" "$work/$1" "${@:2}"; }

# The daemons that run from this installation: nobody else's. That of the system says itself who it
# is.
daemon_pids() {
    local exe
    if [[ -z $root ]]; then
        saevt status --json | tr -d ' \n' | sed 's/.*"pid":\([0-9]*\).*/\1\n/'
        return
    fi
    for exe in /proc/[0-9]*/exe; do
        if [[ $(readlink "$exe" 2>/dev/null) == "$root/sbin/saevtd" ]]; then
            exe=${exe#/proc/}
            echo "${exe%/exe}"
        fi
    done
}

clean_up() {
    local pid
    for pid in $console_pid ${root:+$(daemon_pids)}; do
        kill "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true # A stopped process leaves only when it may run.
    done
    [[ -z $console_pid ]] || wait "$console_pid" 2>/dev/null || true
    [[ ! -p $work/hold ]] || : <> "$work/hold" # Lets go of whoever still waits for it.
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Waits for a line of the console: it says so itself when it is ready.
wait_for_line() {
    until grep -q "$2" "$1"; do
        kill -0 "$console_pid" 2>/dev/null || broken "the console ended early: $(cat "$1")"
        sleep 0.05
    done
}

build() {
    local program flags
    read -ra flags <<< "$(pkg-config --cflags --libs libSaEvt)"
    for program in publisher subscriber retained machine_monitor operator_console late_viewer; do
        "${CC:-cc}" -O2 -Wall -Wextra -o "$work/$program" "$here/$program.c" "${flags[@]}"
    done
    echo "cc ... \$(pkg-config --cflags --libs libSaEvt)  =  ${flags[*]}"
}

# start_console INPUT [OPTION...]
start_console() {
    local input=$1
    shift
    : > "$work/console.log"
    rm -f "$work/console.out"
    mkfifo "$work/console.out"
    tee "$work/console.log" < "$work/console.out" &
    tee_pid=$!
    timeout --foreground "$(seconds_left)" "$work/operator_console" "$@" < "$input" \
        > "$work/console.out" &
    console_pid=$!
    wait_for_line "$work/console.log" ready
}

end_console() {
    wait "$console_pid" || broken 'the console did not see what it should have'
    console_pid=
    wait "$tee_pid"
}

[[ -z $root ]] || mkdir -m 700 "$SAEVT_RUNTIME_DIR"

scene '1. Compile six C programs against the installed library'
build
[[ -z $root || -z $(daemon_pids) ]] || broken 'a daemon of this installation is running already'

if [[ -n $root ]]; then
    scene '2. An operator sits down; nothing is running yet, so the library starts the service'
else
    scene '2. An operator sits down; the service is that of this host'
fi
start_console /dev/null
daemon=$(daemon_pids)
[[ -n $daemon ]] || broken 'no saevtd was started'
echo "saevtd    runs as process $daemon${root:+, started by the library}"

scene '3. A monitor reports this machine, and that a service crashed (most urgent of all)'
limited machine_monitor --rounds 3 --every 700 --run 'ulimit -c 0; sleep 1; kill -SEGV $$' \
    || broken 'the monitor failed'
end_console

scene '4. A console that does not read for a while; 50000 lines of trace come meanwhile'
mkfifo "$work/hold"
start_console <(cat "$work/hold") --slow
limited machine_monitor --burst 50000 || broken 'the burst could not be published'
: > "$work/hold"
end_console

scene '5. Everybody has gone. A late viewer is given the retained last states'
limited late_viewer || broken 'the retained states are not what they should be'

scene '6. The small examples'
limited retained || broken 'retained.c failed'
timeout --foreground "$(seconds_left)" "$work/subscriber" 1 > "$work/console.log" &
console_pid=$!
tee_pid=$!
wait_for_line "$work/console.log" waiting
limited publisher 'dinner is ready'
end_console
cat "$work/console.log"
grep -q 'dinner is ready' "$work/console.log" || broken 'the greeting did not arrive'

[[ $(daemon_pids) == "$daemon" ]] || broken "saevtd was replaced on the way: $(daemon_pids)"
printf '\n%sdemo: all six steps did what they should, in %s s%s\n' "$bold" "$SECONDS" "$off"
