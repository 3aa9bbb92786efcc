#!/bin/sh
# Links the shipped libSaEvt.so from cargo's static archive with the C compiler.
#
#   link-library.sh ARCHIVE LIBRARY [COMPILER OPTION...]
#
# rustc cannot do this itself: it passes a version script of its own to the linker, and a second
# one is refused or dropped. Run from the top of the source tree; CC and OBJCOPY are honoured.
set -eu

archive=$1
library=$2
shift 2
map=packaging/libSaEvt.map
weakened=$library.weak.a

# Programs that were built against OpenSAF's extended names may also bring their own copy of these.
"${OBJCOPY:-objcopy}" --weaken-symbol=saAisNameLend --weaken-symbol=saAisNameBorrow \
    "$archive" "$weakened"
trap 'rm -f "$weakened"' EXIT

# An archive member is taken only when somebody asks for it: ask for every name of the map, and
# fail when one is not there.
required=$(sed -n 's/^ *\(sa[A-Za-z]*\);$/-Wl,--require-defined=\1/p' "$map")

# shellcheck disable=SC2086 # The list is meant to be split into words.
"${CC:-cc}" -shared -o "$library" \
    -Wl,-soname,libSaEvt.so.3 -Wl,--version-script="$map" -Wl,--no-undefined-version \
    $required -Wl,--gc-sections -Wl,--as-needed -Wl,-z,defs \
    -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack "$@" \
    "$weakened" -lgcc_s -lpthread -ldl -lm -lc
