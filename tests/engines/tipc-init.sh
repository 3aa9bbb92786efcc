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
    export SAEVT_CLUSTER_ENGINE=tipc SAEVT_CLUSTER_RIG=/test/tipc.sh
    export SAEVT_CLUSTER_DAEMON=/test/saevtd SAEVT_CLUSTER_ACTOR=/test/actor
    export SAEVT_CLUSTER_PLACE=/run/cluster
    for suite in transport cluster; do
        [ -e /test/$suite ] || continue
        # shellcheck disable=SC2046 # a list of words
        /test/$suite $(cat /test/$suite.words) || status=$?
    done
fi
echo "guest: ended with status $status"
poweroff -f
