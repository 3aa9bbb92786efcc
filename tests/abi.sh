#!/bin/bash
# What the built libSaEvt.so shows to the world, and whether programs built for openais and OpenSAF
# run on it. Reads the file itself, not the options it was linked with.
#
#   tests/abi.sh [LIBRARY-DIRECTORY]        default build/lib; run from the top of the tree
#
# Prints one line per check; exit status 0 if all of them hold.
set -euo pipefail

directory=$(cd "${1:-build/lib}" && pwd)
library=$directory/libSaEvt.so
symbols=capi-tests/symbols.txt
cc=${CC:-cc}
checks=0
failures=0
work=$(mktemp -d /tmp/saevt-abi.XXXXXX)

clean_up() {
    local pid
    for pid in $(scripts/private-daemons.sh "$directory/../sbin/saevtd" "$work"); do
        kill "$pid" || true
    done
    rm -rf "$work"
}
trap clean_up EXIT

# check NAME EXPECTED ACTUAL
check() {
    checks=$((checks + 1))
    if [[ $2 == "$3" ]]; then
        echo "ok - $1"
    else
        failures=$((failures + 1))
        echo "not ok - $1"
        diff <(echo "$2") <(echo "$3") | sed 's/^/    /' || true
    fi
}

dynamic() { readelf -dW "$library"; }

# Defined dynamic symbols as name@@version; the version nodes themselves are no symbols.
exported() {
    readelf --dyn-syms -W "$library" |
        awk '$7 != "UND" && $7 != "ABS" && $5 ~ /GLOBAL|WEAK|UNIQUE/ { print $8 }' | LC_ALL=C sort
}

check_file() {
    local listed allowed='^(libc\.so\.6|libgcc_s\.so\.1|libm\.so\.6|ld-linux.*)$'
    listed=$(sed -e 's/#.*//' -e 's/[[:space:]].*//' -e '/^$/d' "$symbols" | LC_ALL=C sort)
    check 'exports exactly what symbols.txt lists, with these versions' "$listed" "$(exported)"
    check 'soname' 'libSaEvt.so.3' "$(dynamic | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')"
    check 'version nodes' 'libSaEvt.so.3 OPENAIS_EVT_B.01.01 SAEVT_B.03.01' \
        "$(readelf -VW "$library" | sed -n '/definition section/,/needs section/p' |
            sed -n 's/.*Index: [0-9]* .*Name: //p' | xargs)"
    check 'weak symbols' 'saAisNameBorrow saAisNameLend' \
        "$(readelf --dyn-syms -W "$library" |
            awk '$5 == "WEAK" && $7 != "UND" { sub("@.*", "", $8); print $8 }' | LC_ALL=C sort |
            xargs)"
    check 'depends on nothing but the C library and its parts' '' \
        "$(dynamic | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE "$allowed" | xargs)"
    check 'stays loaded, and is bound at once' 'NODELETE NOW' \
        "$(dynamic | sed -n 's/.*(FLAGS_1).*Flags: //p' | tr ' ' '\n' | LC_ALL=C sort | xargs)"
    check 'needs no relocation of its text' '' "$(dynamic | grep -o TEXTREL | head -n 1)"
    check 'relocations become read-only, the stack is not executable' 'GNU_RELRO RW' \
        "$(readelf -lW "$library" |
            awk '/GNU_RELRO/ { relro = $1 } /GNU_STACK/ { stack = $7 } END { print relro, stack }')"
    local link
    for link in libSaEvt.so libSaEvt.so.1 libSaEvt.so.2 libSaEvt.so.3; do
        check "$link leads to the library" "$(realpath "$library")" \
            "$(realpath "$directory/$link")"
    done
}

functions_of() { sed -n "/^$1 {/,/^}/s/^ *\(sa[A-Za-z]*\);$/\1/p" packaging/libSaEvt.map; }

# make_stub NAME SONAME FUNCTIONS [VERSION-SCRIPT]: a library with these names and no meaning.
make_stub() {
    local stub=$work/$1 function
    mkdir "$stub"
    for function in $3; do
        case $function in
        saAis*) printf '__attribute__((weak)) ' ;;
        esac
        printf 'int %s(void) { return 2; }\n' "$function"
    done > "$stub/stub.c"
    "$cc" -shared -fPIC -Wl,-soname,"$2" ${4:+-Wl,--version-script="$4"} \
        -o "$stub/libSaEvt.so" "$stub/stub.c"
    ln -s libSaEvt.so "$stub/$2"
}

# run_old_program STUB WANTED-REFERENCE [COMPILER OPTION...]
run_old_program() {
    local name=$1 reference=$2 program=$work/$1/program status=0
    shift 2
    "$cc" -std=gnu11 -Wall -Wextra -Werror "$@" -Iinclude -o "$program" tests/abi/old_program.c \
        -L"$work/$name" -lSaEvt
    check "$name: the program asks for $reference" "$reference" \
        "$(readelf --dyn-syms -W "$program" |
            awk '$7 == "UND" && $8 ~ /^saEvtEventAllocate/ { print $8 }')"
    SAEVT_RUNTIME_DIR=$work/run LD_BIND_NOW=1 LD_LIBRARY_PATH=$directory timeout 120 "$program" \
        > "$program.out" 2> "$program.err" || status=$?
    check "$name: the program runs its whole round" 'status 0: whole round done' \
        "status $status: $(cat "$program.out")"
    check "$name: neither loader nor library says a word" '' "$(cat "$program.err")"
}

check_old_programs() {
    local openais ours soname
    openais=$(functions_of OPENAIS_EVT_B.01.01)
    ours=$(functions_of SAEVT_B.03.01)
    # shellcheck disable=SC2086 # The list is meant to be split into words.
    printf 'OPENAIS_EVT_B.01.01 { global: %s };\n' "$(printf '%s; ' $openais)" \
        > "$work/right.map"
    # The name as openais misspells it: the function itself is exported without a version.
    sed 's/saEvtEventAllocate;//' "$work/right.map" > "$work/misspelt.map"

    unset SAEVT_SOCKET SAEVT_AUTOSTART SAEVT_DAEMON
    mkdir -m 700 "$work/run"
    for soname in libSaEvt.so.2 libSaEvt.so.3; do
        make_stub "openais-$soname" "$soname" "$openais" "$work/right.map"
        run_old_program "openais-$soname" saEvtEventAllocate@OPENAIS_EVT_B.01.01
        make_stub "openais-$soname-misspelt" "$soname" "$openais" "$work/misspelt.map"
        run_old_program "openais-$soname-misspelt" saEvtEventAllocate
    done
    make_stub opensaf-libSaEvt.so.1 libSaEvt.so.1 "$openais $ours"
    run_old_program opensaf-libSaEvt.so.1 saEvtEventAllocate -DOPENSAF
}

check_file
check_old_programs
echo "abi: $((checks - failures)) of $checks checks hold"
[[ $failures -eq 0 ]]
