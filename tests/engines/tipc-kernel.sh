#!/bin/bash
# Takes out of a Debian package what a guest needs to speak TIPC: a kernel, and modules in the
# order in which they load. Nothing is installed.
#
#   tests/engines/tipc-kernel.sh DIRECTORY
set -euo pipefail

place=$1
if [[ -e $place/release ]]; then exit 0; fi
# The kernel for clouds is the smallest that has TIPC, and starts in seconds also when emulated.
find_package() {
    apt-cache depends linux-image-cloud-amd64 2> /dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}
package=$(find_package)
if [[ -z $package ]]; then
    apt-get -qq update
    package=$(find_package)
fi
if [[ -z $package ]]; then
    echo 'apt knows no linux-image-cloud-amd64'
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package" > /dev/null)
release=${package#linux-image-}
dpkg --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards "./boot/vmlinuz-$release" \
    "./lib/modules/$release/kernel/drivers/net/*.ko" "./lib/modules/$release/kernel/net/*.ko"

mkdir -p "$place/modules"
cp "$work/boot/vmlinuz-$release" "$place/vmlinuz"
: > "$place/modules/order"

# add MODULE: once, behind all that it needs.
add() {
    local file needed
    if grep -qx "$1" "$place/modules/order"; then return 0; fi
    file=$(find "$work/lib" -name "$1.ko" -print -quit)
    if [[ -z $file ]]; then
        echo "$package has no module $1"
        return 1
    fi
    for needed in $(modinfo -F depends "$file" | tr , ' '); do add "$needed"; done
    strip --strip-debug -o "$place/modules/$1.ko" "$file"
    echo "$1" >> "$place/modules/order"
}

for module in bridge veth tipc; do add "$module"; done
echo "$release" > "$place/release"
