#!/bin/busybox sh
# The first process of the guest: loads modules, makes the nodes, runs the suite, ends the guest.
# Its output is the guest's serial line.
/bin/busybox --install -s /bin
export PATH=/bin LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mkdir -p /run/netns
ln -s /run /var/run
while read -r module; do insmod "/modules/$module.ko"; done < /modules/order
/test/tipc.sh up
status=$?
if [ $status -eq 0 ]; then
    export SAEVT_TRANSPORT_ENGINE=tipc SAEVT_TRANSPORT_RIG=/test/tipc.sh
    # shellcheck disable=SC2046 # a list of words
    /test/transport $(cat /test/words)
    status=$?
fi
echo "guest: ended with status $status"
poweroff -f
