#!/bin/bash
# The programs in README.md, as a reader would take them: compiled, run, and heard.
#
#   tests/readme.sh [LIBRARY-DIRECTORY]     default build/lib; run from the top of the tree
#
# Prints one line per check; exit status 0 if all of them hold.
set -euo pipefail

directory=$(cd "${1:-build/lib}" && pwd)
work=$(mktemp -d /tmp/saevt-readme.XXXXXX)
subscriber=

clean_up() {
    local pid
    for pid in $subscriber $(scripts/private-daemons.sh "$directory/../sbin/saevtd" "$work"); do
        kill "$pid" || true
    done
    rm -rf "$work"
}
trap clean_up EXIT

# Writes each block of C to the file that its first line names.
extract() {
    awk -v work="$work" '
        /^```c$/ { getline first; split(first, words, " "); file = work "/" words[2] }
        /^```c$/ { print first > file; next }
        /^```python$/ { file = work "/program.py"; next }
        /^```$/ { file = ""; next }
        file != "" { print > file }' README.md
}

# heard PATTERN: waits for a line of the subscriber, for as long as it runs.
heard() {
    until grep -q "$1" "$work/heard"; do
        kill -0 "$subscriber"
        sleep 0.02
    done
}

extract
for program in publisher subscriber; do
    "${CC:-cc}" -std=c99 -Wall -Wextra -Werror -pedantic -Iinclude -o "$work/$program" \
        "$work/$program.c" -L"$directory" -Wl,-rpath,"$directory" -lSaEvt
    echo "ok - $program.c of README.md compiles without a warning"
done

unset SAEVT_SOCKET SAEVT_AUTOSTART SAEVT_DAEMON
mkdir -m 700 "$work/run"
export SAEVT_RUNTIME_DIR=$work/run
timeout 60 "$work/subscriber" > "$work/heard" &
subscriber=$!
heard '^waiting$'
timeout 60 "$work/publisher"
heard '^event [0-9]*: dinner is ready$'
echo 'ok - the subscriber of README.md hears its publisher'

SAEVT_LIBRARY=$directory/libSaEvt.so PYTHONPATH=bindings/python timeout 60 python3 -B \
    "$work/program.py" > "$work/python"
grep -q '^[0-9]* dinner is ready$' "$work/python"
echo 'ok - the Python of README.md hears itself'
