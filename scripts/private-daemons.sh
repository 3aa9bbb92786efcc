#!/bin/bash
# Prints the process ids of the daemons that a library has started for a private directory.
#
#   private-daemons.sh SAEVTD DIRECTORY
#
# A daemon belongs to the directory when its executable is SAEVTD and it has a file open there, or
# was told of it; so tests that run at the same time leave each other's daemons alone.
set -u

saevtd=$(realpath "$1")
directory=$2

for process in /proc/[0-9]*; do
    [[ $(readlink "$process/exe" 2>/dev/null) == "$saevtd" ]] || continue
    {
        find "$process/fd" "$process/cwd" -maxdepth 1 -type l -printf '%l\n'
        tr '\0' '\n' < "$process/environ"
        tr '\0' '\n' < "$process/cmdline"
    } 2>/dev/null | grep -qF "$directory" && echo "${process#/proc/}"
done
exit 0
