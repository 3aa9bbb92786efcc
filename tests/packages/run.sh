#!/bin/bash
# The Debian packages in a Debian system of their own: installed, used, upgraded, removed.
#
#   tests/packages/run.sh PACKAGES-DIRECTORY ROOT-ARCHIVE     run from the top of the tree, as root
#
# Prints one line for each check; exit status 0 if all of them hold. tests/packages/machine.sh makes
# the system, scripts/debian-root.sh the archive.
set -euo pipefail

packages=$(realpath "$1")
archive=$(realpath "$2")
readonly machine=$PWD/build/machine
readonly names=(libsaevt3 libsaevt-dev saevtd saevt python3-saevt)

inside() { tests/packages/machine.sh run "$machine" "$@" < /dev/null; }
# as USER COMMAND: in a shell after a login.
as() { inside runuser --login "$1" -c "$2"; }
# clean_up STATUS COMMAND: how it ends, and with what.
clean_up() {
    [[ $1 -eq 0 ]] || echo "not ok - status $1 of: $2"
    tests/packages/machine.sh stop "$machine"
}
trap 'clean_up $? "$BASH_COMMAND"' EXIT

# What there is, without what apt and the system write by themselves.
inventory() {
    inside find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /home \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \
        -o -path /var/lib/systemd -o -path /root \) -prune -o -print |
        grep -vE '/__pycache__|^/etc/((passwd|group|g?shadow|sub[ug]id)-|\.pwd\.lock)$' |
        LC_ALL=C sort
    inside find /run/saevt 2> /dev/null || true
    inside cut -d: -f1 /etc/passwd /etc/group /etc/shadow
    inside cat /etc/ld.so.cache | md5sum
}

# The package of openais' library, by its name, version and files.
install_openais() {
    # shellcheck disable=SC2016 # The inner shell expands it.
    inside sh -ec 'mkdir -p /tmp/openais/DEBIAN /tmp/openais/usr/lib
        printf "%s\n" "Package: libsaevt3" "Version: 1.1.4-4.1" "Architecture: $1" \
            "Maintainer: nobody <nobody@saevt.invalid>" "Description: a stand-in" \
            > /tmp/openais/DEBIAN/control
        echo "int saEvtFinalize(long handle) { return (int)handle; }" > /tmp/library.c
        cc -shared -fPIC -Wl,-soname,libSaEvt.so.3 -o /tmp/openais/usr/lib/libSaEvt.so.3.0.0 \
            /tmp/library.c
        ln -s libSaEvt.so.3.0.0 /tmp/openais/usr/lib/libSaEvt.so.3
        dpkg-deb --build /tmp/openais /tmp/openais.deb > /dev/null
        dpkg --install /tmp/openais.deb > /dev/null
        ldconfig' sh "$(dpkg --print-architecture)"
    [[ $(inside ldconfig -p) == *' => /lib/libSaEvt.so.3'* ]]
}

install_packages() {
    inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y \
        --no-install-recommends --reinstall /packages/*.deb'
}

# A program that was linked with a library of that soname gets ours. ldconfig knows soname 3 alone;
# the others the loader finds because the library is in a directory that it always looks into.
check_soname() {
    # shellcheck disable=SC2016 # The inner shell expands it.
    inside sh -ec 'mkdir /tmp/old && cd /tmp/old
        echo "int saEvtFinalize(long handle) { return (int)handle; }" > library.c
        echo "int saEvtFinalize(long); int main(void) { return saEvtFinalize(0) != 9; }" > program.c
        cc -shared -fPIC -Wl,-soname,"$1" -o libSaEvt.so library.c
        cc -o program program.c -L. -lSaEvt
        rm libSaEvt.so
        ./program
        rm -r /tmp/old' sh "$1"
}

check_installed() {
    local name
    for name in libSaEvt.so.1 libSaEvt.so.2 libSaEvt.so.3; do check_soname $name; done
    echo 'ok - programs that ask for any of the three sonames run with the library'
    [[ $(inside dpkg -S /etc/saevt) == 'saevtd: /etc/saevt' ]]
    # shellcheck disable=SC2016 # dpkg-query expands it.
    [[ $(inside dpkg-query -W -f '${Conffiles}' saevtd) == *' /etc/saevt/saevtd.conf '* ]]
    echo 'ok - /etc/saevt is of saevtd alone, and its configuration an administrator may change'
    [[ $(inside stat -c '%U:%G %a' /run/saevt) == 'saevt:saevt 755' ]]
    [[ $(inside stat -c '%G %a' /run/saevt/saevt.sock) == 'saevt 660' ]]
    echo 'ok - directory and socket are those of the user and the group saevt'
    for name in saevtd.socket saevtd.service; do
        [[ $(inside systemctl is-enabled $name) == enabled ]]
        [[ $(inside systemctl is-active $name) == active ]]
    done
    [[ $(inside ps -C saevtd -o user=) == saevt ]]
    echo 'ok - systemd runs the daemon as user saevt, and starts it at boot'
    inside dpkg -V "${names[@]}"
    echo 'ok - nothing that was installed has changed'
}

check_used() {
    inside useradd --create-home --shell /bin/bash stranger
    inside useradd --create-home --shell /bin/bash --groups saevt member
    as member 'saevt doctor'
    echo 'ok - a member of the group finds a service without a fault'
    [[ $(as stranger 'saevt --wait 1s status' 2>&1; echo $?) == *5 ]]
    [[ $(as stranger 'saevt doctor --wait 1s') == *'may not connect'* ]]
    [[ -z $(inside pgrep -u stranger || true) ]]
    echo 'ok - who is not in the group is refused, and has no daemon of his own started'
    as member 'bash /usr/share/doc/libsaevt-dev/examples/demo.sh --system'
    echo 'ok - the demonstration, compiled and run from the packages, on the daemon of the system'
    inside sh -c 'echo "import saevt
with saevt.Service() as service:
    channel = service.open(\"safChnl=python\", publish=True, create=True)
    print(channel.publish(b\"here\") > 1000)" > /tmp/program.py'
    [[ $(as member 'python3 -B /tmp/program.py') == True ]]
    echo 'ok - the Python module works'
}

# A program that publishes and receives all the time keeps its handles.
check_upgraded() {
    local before after
    as member 'saevt publish safChnl=upgrade --retain 1h --quiet kept'
    before=$(inside systemctl show -p MainPID --value saevtd)
    inside systemd-run --quiet --uid=member --gid=saevt --unit=watcher \
        --property=StandardOutput=file:/tmp/heard \
        saevt watch safChnl=upgrade --count 3 --format '{data}'
    until inside grep -q kept /tmp/heard; do sleep 0.1; done
    install_packages
    after=$(inside systemctl show -p MainPID --value saevtd)
    [[ $before != "$after" ]]
    as member 'saevt publish safChnl=upgrade --repeat 2 --quiet later'
    until [[ $(inside systemctl is-active watcher) != active ]]; do sleep 0.1; done
    [[ $(inside grep -c later /tmp/heard) == 2 ]]
    [[ $(as member 'saevt watch safChnl=upgrade --retained --format "{data}"') == kept ]]
    echo 'ok - an upgrade replaces the daemon, and programs and retained events go on'
}

# What a boot leaves for the first program to find, before it has connected.
check_booted() {
    inside systemctl enable --quiet saevtd.socket saevtd.service
    tests/packages/machine.sh reboot "$machine"
    [[ $(inside systemctl is-active saevtd.socket saevtd.service | xargs) == 'active active' ]]
    [[ $(inside stat -c '%U:%G %a' /run/saevt) == 'saevt:saevt 755' ]]
    [[ $(as member 'saevt status --json') == *'"start": 1,'* ]]
    as member 'saevt publish safChnl=booted --quiet --no-create' 2> /dev/null && return 1
    echo 'ok - the service is there after a reboot, with nothing of before'
}

check_removed() {
    local before=$1
    # The group stays as long as it has members.
    inside userdel --force stranger
    inside userdel --force member
    inside apt-get -qq -o Dpkg::Use-Pty=0 purge -y "${names[@]}"
    diff <(echo "$before") <(inventory)
    echo 'ok - a purge leaves nothing behind'
}

status=0
tests/packages/machine.sh start "$machine" "$archive" || status=$?
if [[ $status -eq 3 ]]; then
    echo 'skip: packages in a Debian system: systemd does not come up in namespaces here'
    exit 0
fi
[[ $status -eq 0 ]]
mkdir "$machine/packages"
for name in "${names[@]}"; do cp "$packages/${name}_"*.deb "$machine/packages"; done
inside ldconfig
before=$(inventory)
install_openais
install_packages
[[ $(inside ldconfig -p | grep -c 'libSaEvt.so.3 ') == 1 && ! -e $machine/usr/lib/libSaEvt.so.3 ]]
echo 'ok - the library takes the place of the package that openais had'
check_installed
check_used
check_upgraded
tests/packages/agent.sh "$machine"
check_booted
check_removed "$before"
