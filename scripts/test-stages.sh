# shellcheck shell=bash
# The stages of scripts/test.sh: each is a function that fails or passes; `set -e` is in force.
# shellcheck disable=SC2154 # triple is set by test.sh

title_of() {
    case $1 in
    format) echo 'the source is formatted' ;;
    clippy) echo 'no warning of the compiler and of clippy' ;;
    tidy) echo 'the rules of the source' ;;
    cargo) echo 'tests in Rust' ;;
    loom) echo 'every interleaving of the lock-free parts' ;;
    build) echo 'release build, shared library' ;;
    headers) echo 'the public headers in C and C++' ;;
    install) echo 'what is installed, and that it can be removed' ;;
    abi) echo 'the built library, and programs built for older ones' ;;
    readme) echo 'the programs in README.md' ;;
    capi) echo 'C programs, one for each function' ;;
    python) echo 'the Python binding' ;;
    service) echo 'the daemon under a supervisor' ;;
    valgrind) echo 'the C programs under Valgrind' ;;
    asan) echo 'the C programs, library and daemon under AddressSanitizer' ;;
    engines) echo 'transports and clusters on real engines' ;;
    instructions) echo 'instructions for one event, against benches/budget.json' ;;
    demo) echo 'the demonstration' ;;
    packages) echo 'the Debian packages and the resource agent, in a Debian system' ;;
    guides) echo 'every command of README.md and the guides' ;;
    bench-smoke) echo 'the benches measure, and nothing is lost in them' ;;
    esac
}

# Whether a stage that ran no test has missed something.
has_tests() {
    case $1 in
    format | clippy | build) return 1 ;;
    esac
}

stage_format() {
    if ! cargo fmt --version > /dev/null 2>&1; then
        echo 'skip: cargo fmt: not installed'
        return 0
    fi
    cargo fmt --check
}

stage_clippy() {
    if ! cargo clippy --version > /dev/null 2>&1; then
        echo 'skip: cargo clippy: not installed'
        return 0
    fi
    need_tool cc gcc # Build scripts and macros are linked with it.
    cargo clippy --locked --all-targets -- -D warnings
}

stage_tidy() {
    need_file tests/tidy.rs
    cargo test --locked --test tidy
}

stage_cargo() {
    local file targets=(--lib --bins)
    need_tool cc gcc
    need_tool c++ g++
    # Tests that miss one of these say so by themselves.
    need_tool python3 python3 || true
    need_tool groff groff-base || true
    for file in tests/*.rs; do
        [[ -e $file && $file != tests/tidy.rs ]] || continue
        targets+=(--test "$(basename "$file" .rs)")
    done
    # What passing tests print is shown: it may be a skip.
    cargo test --locked --no-fail-fast "${targets[@]}" -- --show-output
    cargo test --locked --doc
}

stage_loom() {
    CARGO_TARGET_DIR=$CARGO_TARGET_DIR/loom CARGO_PROFILE_RELEASE_LTO=off RUSTFLAGS='--cfg loom' \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo test --locked --release --no-default-features --lib -- loom models
}

stage_build() {
    need_tool cc gcc
    need_tool make make
    need_tool objcopy binutils
    make --no-print-directory all
}

# compile_headers COMPILER LANGUAGE STANDARD [OPTION...]: alone, twice, and in any order.
compile_headers() {
    local compiler=$1 language=$2 standard=$3 order
    shift 3
    for order in saAis.h saEvt.h 'saEvt.h saAis.h saEvt.h'; do
        # shellcheck disable=SC2086 # The list is meant to be split into words.
        printf '#include <%s>\n' $order | "$compiler" -x "$language" -std="$standard" -Wall \
            -Wextra -Werror -pedantic-errors "$@" -Iinclude -fsyntax-only -
    done
    echo "ok - the headers compile as $standard $*"
}

stage_headers() {
    local standard
    need_file include/saAis.h include/saEvt.h
    need_tool cc gcc
    need_tool c++ g++
    for standard in c99 c11 gnu17; do
        compile_headers cc c "$standard"
        compile_headers cc c "$standard" -DSA_EXTENDED_NAME_SOURCE
    done
    for standard in c++11 c++17; do
        compile_headers c++ c++ "$standard"
        compile_headers c++ c++ "$standard" -DSA_EXTENDED_NAME_SOURCE
    done
    if [[ $(uname -m) == x86_64 ]]; then
        compile_headers cc c c99 -m32
    fi
}

stage_install() {
    local root=$PWD/build/install-root name libdir=/opt/saevt/lib64
    need_tool pkg-config pkg-config
    need_tool python3 python3
    rm -rf "$root"
    make --no-print-directory all
    make --no-print-directory install DESTDIR="$root" PREFIX=/opt/saevt LIBDIR="$libdir" \
        SAEVT_PREFIX="$(< build/prefix)" > /dev/null
    for name in libSaEvt.so libSaEvt.so.1 libSaEvt.so.2 libSaEvt.so.3; do
        [[ $(readlink "$root$libdir/$name") == libSaEvt.so.3.* ]]
        [[ -f $root$libdir/$name ]]
        echo "ok - $name is a link to the library"
    done
    for name in libSaEvt opensaf-evt; do
        [[ $(PKG_CONFIG_PATH=$root$libdir/pkgconfig pkg-config --cflags --libs "$name" |
            xargs) == "-I/opt/saevt/include -L$libdir -lSaEvt" ]]
        echo "ok - pkg-config $name gives the installed places"
    done
    python3 -B -c 'import saevt' 2> /dev/null && return 1
    PYTHONPATH=$root/opt/saevt/lib/python3/dist-packages python3 -B -c 'import saevt'
    echo 'ok - the Python module is found where it was installed'
    [[ -x $root/opt/saevt/sbin/saevtd && -f $root/opt/saevt/include/openais/saEvt.h ]]
    echo 'ok - daemon and headers are in their places'
    grep -q '^ExecStart=/opt/saevt/sbin/saevtd$' \
        "$root/opt/saevt/lib/systemd/system/saevtd.service"
    grep -q '^default_binary=/opt/saevt/sbin/saevtd$' \
        "$root/opt/saevt/lib/ocf/resource.d/saevt/saevtd"
    echo 'ok - the resource agent names the installed daemon'
    [[ -f $root/opt/saevt/lib/systemd/system/saevtd.socket &&
        -f $root/opt/saevt/lib/sysusers.d/saevt.conf ]]
    echo 'ok - the units name the installed daemon'
    [[ $("$root/opt/saevt/bin/saevt" --version) == "saevt $(make --no-print-directory version)" ]]
    for name in man/man1/saevt.1 man/man1/saevt-watch.1 bash-completion/completions/saevt \
        zsh/site-functions/_saevt fish/vendor_completions.d/saevt.fish doc/saevt/docs/schemas.md; do
        [[ -f $root/opt/saevt/share/$name ]]
    done
    echo 'ok - the command-line tool is there, with its pages and completions'
    [[ $(grep -caE 'ratatui|crossterm|serde_json|jiff|clap' build/lib/libSaEvt.so) == 0 ]]
    echo 'ok - the library has nothing of the command-line tool'
    [[ $(ls "$root") == opt ]]
    echo 'ok - nothing is outside the prefix'
    # Every line of the example that is meant to be used, in use.
    sed 's/^#\([a-z_]* = \)/\1/' "$root/opt/saevt/share/doc/saevt/saevtd.conf" \
        > build/example.conf
    build/sbin/saevtd --check-config --config build/example.conf
    echo 'ok - the daemon accepts the example configuration'
    make --no-print-directory uninstall DESTDIR="$root" PREFIX=/opt/saevt LIBDIR="$libdir" \
        SAEVT_PREFIX="$(< build/prefix)" > /dev/null
    [[ -z $(find "$root" -not -type d) ]]
    echo 'ok - uninstall leaves no file behind'
}

stage_abi() {
    need_file tests/abi.sh capi-tests/symbols.txt build/lib/libSaEvt.so
    need_tool cc gcc
    need_tool readelf binutils
    tests/abi.sh
}

stage_readme() {
    need_file README.md build/lib/libSaEvt.so build/sbin/saevtd
    need_tool cc gcc
    tests/readme.sh
}

# A daemon whose limits a program can reach; takes the same arguments as DAEMON.
small_daemon() {
    local place=$PWD/build/small-limits
    mkdir -p "$place"
    printf '[limits]\nchannels_max = 1100\n' > "$place/saevtd.conf"
    printf '#!/bin/sh\nexec "%s" --config "%s" "$@"\n' "$(realpath "$1")" "$place/saevtd.conf" \
        > "$place/saevtd"
    chmod +x "$place/saevtd"
    echo "$place/saevtd"
}

# The test programs that go to the limit of channels.
readonly small_programs=(channel_limit death)

# run_programs LIBRARY-DIRECTORY DAEMON PROGRAMS [OPTION-OF-RUN...]
run_programs() {
    local library=$1 daemon=$2 programs small
    readarray -t programs <<< "$3"
    shift 3
    need_file capi-tests/run "$library/libSaEvt.so" "$daemon"
    small=$(small_daemon "$daemon")
    # Two programs at a time: each has a daemon of its own.
    local number status=0 halves=('' '') other
    for number in "${!programs[@]}"; do
        halves[number % 2]+=" ${programs[number]}"
    done
    other=$(mktemp)
    # shellcheck disable=SC2086 # lists of words
    SAEVTD=$(realpath "$daemon") capi-tests/run --include include --lib "$library" "$@" \
        ${halves[1]} > "$other" 2>&1 &
    # shellcheck disable=SC2086 # lists of words
    SAEVTD=$(realpath "$daemon") capi-tests/run --include include --lib "$library" "$@" \
        ${halves[0]} || status=$?
    wait $! || status=$?
    cat "$other"
    rm -f "$other"
    SAEVTD=$small capi-tests/run --include include --lib "$library" "$@" \
        "${small_programs[@]}" || status=$?
    return "$status"
}

# The test programs for a daemon with the usual limits.
programs() {
    find capi-tests -name '*.c' ! -name 'evt_test*' -printf '%f\n' | sed 's/\.c$//' |
        grep -vxF -f <(printf '%s\n' "${small_programs[@]}") | LC_ALL=C sort
}

# Without those that limit their own address space, which does not go along with shadow memory;
# the plain stage runs them.
programs_without_memory_limit() {
    programs | while read -r program; do
        grep -q RLIMIT_AS "capi-tests/$program.c" || echo "$program"
    done
}

stage_capi() {
    run_programs build/lib build/sbin/saevtd "$(programs)"
}

stage_python() {
    local place=bindings/python
    need_file $place/saevt.py $place/test_saevt.py build/lib/libSaEvt.so build/sbin/saevtd
    need_tool python3 python3
    SAEVT_LIBRARY=$PWD/build/lib/libSaEvt.so SAEVT_DAEMON=$PWD/build/sbin/saevtd \
        SAEVT_INCLUDE=$PWD/include python3 -B $place/test_saevt.py
}

stage_service() {
    local unit=build/service-root/saevtd.service
    need_file tests/service/test_supervised.py build/lib/libSaEvt.so build/sbin/saevtd
    need_tool python3 python3
    need_tool systemd-socket-activate systemd ||
        echo 'skip: a start by systemd: systemd-socket-activate is not installed'
    SAEVT_LIBRARY=$PWD/build/lib/libSaEvt.so SAEVT_DAEMON=$PWD/build/sbin/saevtd \
        PYTHONPATH=bindings/python python3 -B tests/service/test_supervised.py
    if ! need_tool systemd-analyze systemd; then
        echo 'skip: what the unit lets the daemon do: systemd-analyze is not installed'
        return 0
    fi
    mkdir -p build/service-root
    sed "s|@SBINDIR@|$PWD/build/sbin|" packaging/systemd/saevtd.service.in > $unit
    cp packaging/systemd/saevtd.socket build/service-root
    systemd-analyze verify --man=no $unit build/service-root/saevtd.socket
    echo 'ok - the units are understood'
    systemd-analyze security --offline=true --threshold=20 $unit | tail -n 1
    echo 'ok - the exposure of the daemon is at most 2.0 of 10'
}

stage_valgrind() {
    # A program cannot raise what Valgrind found at its own start.
    [[ $(ulimit -Sn) -ge 4096 ]] || ulimit -Sn 4096 || true
    if ! need_tool valgrind valgrind; then
        echo 'skip: capi-tests under Valgrind: valgrind is not installed'
        return 0
    fi
    EVT_TEST_SHORT=1 run_programs build/lib build/sbin/saevtd "$(programs_without_memory_limit)" \
        --wrap 'valgrind -q --error-exitcode=99 --fair-sched=try --leak-check=full
            --errors-for-leak-kinds=definite --suppressions=capi-tests/valgrind.supp'
}

stage_asan() {
    local place=build/asan target=$CARGO_TARGET_DIR/asan
    if ! echo 'int main(void){}' | cc -fsanitize=address -x c -o /dev/null - 2> /dev/null; then
        echo 'skip: capi-tests under AddressSanitizer: the C compiler has no libasan'
        return 0
    fi
    # The switch is not stable yet; the variable lets the stable compiler take it.
    CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_LTO=off RUSTC_BOOTSTRAP=1 \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 RUSTFLAGS='-Zsanitizer=address' \
        cargo build --locked --release --no-default-features --lib --bins --target "$triple"
    mkdir -p "$place/lib" "$place/sbin"
    scripts/link-library.sh "$target/$triple/release/libSaEvt.a" "$place/lib/libSaEvt.so.3" \
        -fsanitize=address
    ln -sf libSaEvt.so.3 "$place/lib/libSaEvt.so"
    install -m 755 "$target/$triple/release/saevtd" "$place/sbin/saevtd"
    # Leaks are Valgrind's part: it knows definite ones from memory that lives as long as we do.
    EVT_TEST_SHORT=1 ASAN_OPTIONS=detect_leaks=0 run_programs "$place/lib" "$place/sbin/saevtd" \
        "$(programs_without_memory_limit)" --cflags '-fsanitize=address'
}

stage_engines() {
    need_file tests/engines/run.sh tests/engines/corosync.sh tests/engines/tipc.sh
    need_file build/lib/libSaEvt.so build/sbin/saevtd
    need_tool cc gcc
    # `make test-engines` has all tests of clusters, and on TIPC of transports: an emulated machine
    # is slow.
    CLUSTER_WORDS='every_length same_for_all killed_daemon without_quorum' \
        tests/engines/run.sh corosync
    WORDS='own_bindings length_to_others inside_the_range end_of_a_member survives_a_cut' \
        CLUSTER_WORDS='every_length same_for_all' tests/engines/run.sh tipc
}

stage_instructions() {
    need_file benches/budget.json
    # What is counted must be made of what is judged, also when this stage runs alone.
    stage_build
    if ! need_tool valgrind valgrind || ! need_tool python3 python3; then
        echo 'skip: instructions for one event: valgrind or python3 is not installed'
        return 0
    fi
    benches/growth/instructions.py
}

# What a Debian system has beside its base: what the packages depend on, and are tried with.
readonly debian_parts=(systemd procps python3 gcc libc6-dev pkg-config binutils make curl
    resource-agents libxml2-utils)

# The clean Debian system, as an archive that is kept for a week. Status 3: there can be none here.
debian_root() {
    local archive=build/debian-root.tar
    if [[ -z $(find "$archive" -mtime -7 2> /dev/null) ||
        "${debian_parts[*]}" != $(cat "$archive.parts" 2> /dev/null) ]]; then
        need_tool mmdebstrap mmdebstrap || return 3
        apt-get -qq update || return
        rm -f "$archive" "$archive.parts"
        scripts/debian-root.sh "$archive" "${debian_parts[@]}" || return
        echo "${debian_parts[*]}" > "$archive.parts"
    fi
}

# Debian packages in build/deb, if they can be built and tried here; says so if not.
debian_packages() {
    local tool
    if [[ $(id -u) -ne 0 ]]; then
        echo "skip: $1: only root can boot a system of its own"
        return 3
    fi
    for tool in dpkg-buildpackage:dpkg-dev dh:debhelper dh_python3:dh-python fakeroot:fakeroot; do
        if ! need_tool "${tool%:*}" "${tool#*:}"; then
            echo "skip: $1: the tools to build Debian packages are not installed"
            return 3
        fi
    done
    local status=0
    debian_root || status=$?
    if [[ $status -eq 3 ]]; then
        echo "skip: $1: there is no mmdebstrap or no source of Debian packages"
    fi
    [[ $status -eq 0 ]] || return "$status"
    # Two stages use them.
    if [[ ! -e build/deb/of-run-$$ ]]; then
        make --no-print-directory deb || return 1
        touch "build/deb/of-run-$$"
    fi
}

stage_packages() {
    local status=0
    need_file packaging/debian/rules tests/packages/run.sh packaging/ocf/saevtd.in
    if need_tool shellcheck shellcheck; then
        shellcheck packaging/ocf/saevtd.in scripts/*.sh tests/packages/*.sh tests/guides/run.sh
        echo 'ok - shellcheck finds no fault in the resource agent and the scripts'
    else
        echo 'skip: scripts: shellcheck is not installed'
    fi
    debian_packages 'Debian packages' || status=$?
    [[ $status -ne 3 ]] || return 0
    [[ $status -eq 0 ]]
    if need_tool lintian lintian; then
        lintian --allow-root --fail-on error,warning build/deb/*.changes
        echo 'ok - lintian finds neither errors nor warnings'
    else
        echo 'skip: lintian: it is not installed'
    fi
    tests/packages/run.sh build/deb build/debian-root.tar
}

stage_guides() {
    local status=0
    need_file tests/guides/run.sh tests/guides/run.py build/lib/libSaEvt.so build/sbin/saevtd
    need_tool python3 python3
    need_tool pkg-config pkg-config
    need_tool cc gcc
    tests/guides/run.sh private
    debian_packages 'guides in a Debian system' || status=$?
    [[ $status -ne 3 ]] || return 0
    [[ $status -eq 0 ]]
    tests/guides/run.sh system
}

stage_demo() {
    need_tool pkg-config pkg-config
    make --no-print-directory demo
    echo 'ok - every step of the demonstration did what it says'
}

# Short samples of this project and of bare sockets and rings: whether the drivers work, not how
# fast anything is. Peers take part in `make bench` only.
stage_bench-smoke() {
    need_file build/lib/libSaEvt.so build/sbin/saevtd
    need_tool cc gcc
    need_tool python3 python3
    python3 -B benches/contest/test_targets.py
    benches/contest/run --smoke
}
