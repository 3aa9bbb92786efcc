#!/bin/bash
# Makes a clean Debian root as an archive, from the package sources of this machine.
#
#   debian-root.sh ARCHIVE [PACKAGE...]       needs root, mmdebstrap, and Debian's packages in apt
#
# The sources are those from which apt takes Debian's own packages; nothing else gets in. Exit
# status 3 if this machine has none.
set -euo pipefail

archive=$1
shift
packages=$(IFS=,; echo "$*")
# Release and file of each source that apt has for Debian's own packages. The shortest name of a
# release is that of the release itself: the others have suffixes.
# shellcheck disable=SC2016 # apt expands these.
targets=$(apt-get indextargets --format '$(ORIGIN)|$(RELEASE)|$(SOURCESENTRY)' \
    'Created-By: Packages' | sed -n 's/^Debian|//p' | sort)
if [[ -z $targets ]]; then
    echo 'debian-root.sh: apt has no source of Debian packages here' >&2
    exit 3
fi
release=$(cut -d "|" -f 1 <<< "$targets" | awk "{ print length, \$0 }" | sort -n |
    sed "s/^[0-9]* //;q")
readarray -t sources < <(sed -e 's/^[^|]*|//' -e 's/:[0-9]*$//' <<< "$targets" | sort -u)

mmdebstrap --variant=minbase --mode=root ${packages:+--include="$packages"} "$release" "$archive" \
    "${sources[@]}"
