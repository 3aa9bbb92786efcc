#!/bin/bash
# Builds the Debian packages of packaging/debian into build/deb, without the network once cargo has
# its crates.
#
#   build-packages.sh       run by `make deb` from the top of the tree; CARGO_TARGET_DIR is honoured
#
# Needs dpkg-dev, debhelper, dh-python and fakeroot, which it names when one is missing.
set -euo pipefail

readonly place=$PWD/build/deb
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
readonly tree=$place/saevt-$version

for tool in dpkg-buildpackage:dpkg-dev dh:debhelper dh_python3:dh-python fakeroot:fakeroot; do
    command -v "${tool%:*}" > /dev/null || {
        echo "build-packages.sh: ${tool%:*} is missing: apt-get install ${tool#*:}" >&2
        exit 1
    }
done

rm -rf "$place"
mkdir -p "$tree"
# With their times: what cargo has built from the same files it does not build again.
for entry in *; do
    case $entry in
    build | target | debian) ;;
    *) cp -a "$entry" "$tree/" ;;
    esac
done
cp -a packaging/debian "$tree/debian"

# The build has a home of its own; cargo keeps its crates and compilers in the caller's.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR
unset MAKEFLAGS MAKELEVEL SAEVT_PREFIX
cargo fetch --locked --quiet

cd "$tree"
# Without a look at the build dependencies: cargo may come from elsewhere than a package.
dpkg-buildpackage --build=binary --no-check-builddeps --unsigned-source --unsigned-changes
rm -rf "$tree"
printf '%s\n' "$place"/*.deb
