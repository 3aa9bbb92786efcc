#!/bin/bash
# Runs what can be checked on one machine, stage by stage.
#
#   scripts/test.sh [STAGE...]     default: all stages, in the order of the list below
#   scripts/test.sh --list
#
# Each stage prints what it does, how long it took and how it ended; the rest runs on after a
# failure. A part that cannot run here prints `skip: WHAT: WHY`; a skip that is not listed in
# scripts/expected-skips.txt is a failure, and so are a stage without tests and a missing file.
# Missing tools are installed with apt-get if we are root. Logs: build/test-logs/STAGE.log.
#
# CARGO_TARGET_DIR is honoured; instrumented builds go to directories below it.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 2
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TERM_COLOR=never
readonly logs=build/test-logs
readonly stages=(format clippy tidy cargo loom build headers install abi readme capi python service
    valgrind asan engines instructions demo packages guides bench-smoke)
readonly triple=x86_64-unknown-linux-gnu

# shellcheck source=scripts/test-stages.sh
source scripts/test-stages.sh

# need_tool COMMAND PACKAGE: true when COMMAND is there or could be installed.
need_tool() {
    command -v "$1" > /dev/null && return 0
    if [[ $(id -u) -eq 0 ]] && command -v apt-get > /dev/null; then
        {
            apt-get -qq update
            DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$2"
        } > /dev/null
    fi
    command -v "$1" > /dev/null && return 0
    echo "$1 is not installed (package $2)"
    return 1
}

# need_file FILE...: what a stage reads must exist; its absence is never a skip.
need_file() {
    local file
    for file in "$@"; do
        if [[ ! -e $file ]]; then
            echo "missing: $file"
            return 1
        fi
    done
}

# Tests that a log tells of: cargo's summaries, lines `ok - CHECK`, programs `ok NAME (N checks)`,
# tests in Python.
count_tests() {
    awk '/^test result: / { for (i = 2; i <= NF; i++) if ($i ~ /^passed/) sum += $(i - 1) }
         /^ok - / { sum++ }
         /^test_[a-z_]+ .* \.\.\. ok$/ { sum++ }
         /^ok [a-z_]+ \([0-9]+ checks\)/ { sum++ }
         END { print sum + 0 }' "$1"
}

# Skips that a log tells of, as `STAGE: WHAT`: our own lines, without the time they took, and
# tests that cargo ignored.
list_skips() {
    sed -n -e '/^skip: /s/ ([0-9]* ms)$//' -e "s/^skip: /$1: /p" \
        -e "s/^test \([^ ]*\)\( - [^.]*\)\{0,1\} \.\.\. ignored\(, \)\{0,1\}/$1: \1: /p" "$2"
}

# Skips that nobody expects, one a line.
unexpected_skips() {
    grep -vxF -f <(sed -e '/^#/d' -e '/^$/d' scripts/expected-skips.txt) "$logs/skips.txt"
}

run_stage() {
    local stage=$1 log=$logs/$1.log start=$SECONDS status result tests
    printf '\n==== %s: %s\n' "$stage" "$(title_of "$stage")"
    { (set -e; "stage_$stage") 2>&1; echo $? > "$logs/status"; } | tee "$log"
    status=$(< "$logs/status")
    tests=$(count_tests "$log")
    list_skips "$stage" "$log" >> "$logs/skips.txt"
    result=passed
    if [[ $status -ne 0 ]]; then
        result="FAILED with status $status"
    elif [[ $tests -eq 0 ]] && has_tests "$stage" && ! grep -q '^skip: ' "$log"; then
        result='FAILED: no test was run'
    fi
    [[ $result == passed ]] || failed+=("$stage")
    printf -- '---- %s: %s, %d tests, %d s\n' "$stage" "$result" "$tests" $((SECONDS - start))
    printf '%-12s %6d tests %5d s  %s\n' "$stage" "$tests" $((SECONDS - start)) "$result" \
        >> "$logs/summary.txt"
    tests_run=$((tests_run + tests))
}

main() {
    local chosen=("$@") stage surprises
    if [[ ${1:-} == --list ]]; then
        for stage in "${stages[@]}"; do printf '%-12s %s\n' "$stage" "$(title_of "$stage")"; done
        return 0
    fi
    [[ $# -gt 0 ]] || chosen=("${stages[@]}")
    for stage in "${chosen[@]}"; do
        if ! declare -F "stage_$stage" > /dev/null; then
            echo "test.sh: no stage is called $stage; see --list" >&2
            return 2
        fi
    done

    mkdir -p "$logs"
    : > "$logs/skips.txt"
    : > "$logs/summary.txt"
    failed=()
    tests_run=0
    for stage in "${chosen[@]}"; do run_stage "$stage"; done

    printf '\n==== summary\n'
    cat "$logs/summary.txt"
    surprises=$(unexpected_skips)
    if [[ -s $logs/skips.txt ]]; then
        echo 'skipped:'
        sed 's/^/    /' "$logs/skips.txt"
    fi
    if [[ -n $surprises ]]; then
        echo 'FAILED: skips that scripts/expected-skips.txt does not list:'
        printf '%s\n' "$surprises" | sed 's/^/    /'
        failed+=(skips)
    fi
    echo "$tests_run tests executed in $SECONDS s, $(wc -l < "$logs/skips.txt") skipped"
    if [[ ${#failed[@]} -gt 0 ]]; then
        echo "FAILED: ${failed[*]}"
        return 1
    fi
    echo 'all stages passed'
}

main "$@"
