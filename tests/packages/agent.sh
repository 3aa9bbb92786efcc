#!/bin/bash
# The resource agent ocf:saevt:saevtd, in a Debian system with the packages and resource-agents.
#
#   tests/packages/agent.sh ROOT      ROOT is a system that tests/packages/machine.sh has started
#
# systemd's own units are disabled there, as they must be where Pacemaker starts the daemon.
set -euo pipefail
trap 'status=$?; [[ $status -eq 0 ]] || echo "not ok - status $status of: $BASH_COMMAND"' EXIT

machine=$1
readonly agent=/usr/lib/ocf/resource.d/saevt/saevtd
readonly environment=(OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=events
    OCF_RESKEY_CRM_meta_timeout=7000 OCF_RESKEY_log=/var/log/saevtd.log)

inside() { tests/packages/machine.sh run "$machine" "$@" < /dev/null; }

# agent STATUS ACTION [NAME=VALUE...]: the action has to end with that status.
agent() {
    local wanted=$1 action=$2 status=0 said
    shift 2
    said=$(inside env "${environment[@]}" "$@" "$agent" "$action" 2>&1) || status=$?
    if [[ $status -ne $wanted ]]; then
        echo "not ok - $action ended with $status, not $wanted: $said"
        return 1
    fi
}
daemon() { inside pgrep -x saevtd || true; }

inside env OCF_ROOT=/usr/lib/ocf "$agent" meta-data |
    tests/packages/machine.sh run "$machine" sh -c \
        'cd /usr/share/resource-agents && xmllint --noout --valid -'
echo 'ok - the meta-data are as the DTD of resource agents has them'

agent 5 start
echo 'ok - it does not start a daemon that systemd runs'
inside systemctl disable --quiet --now saevtd.socket saevtd.service
inside ocf-tester -n events -o log=/var/log/saevtd.log "$agent"
echo 'ok - ocf-tester finds no fault'

agent 7 monitor
agent 0 validate-all
agent 0 start
agent 0 monitor
[[ $(inside ps -o user= -p "$(daemon)") == saevt ]]
[[ $(inside stat -c '%U:%G %a' /run/saevt/saevt.sock) == 'saevt:saevt 660' ]]
[[ $(inside runuser -l member -c 'saevt status') == *saevtd* ]]
echo 'ok - the daemon it starts runs as its user and serves the members of the group'

before=$(daemon)
agent 0 reload
[[ $(daemon) == "$before" ]]
echo 'ok - a reload is applied by the daemon that runs'

agent 0 start
[[ $(daemon | wc -l) == 1 ]]
echo 'ok - there is one daemon after two starts'

inside kill -STOP "$(daemon)"
agent 1 monitor OCF_RESKEY_answer_seconds=1
echo 'ok - a daemon that does not answer has failed'
agent 0 stop
agent 7 monitor
[[ -z $(daemon) ]]
echo 'ok - one that does not end is ended'

agent 0 start
inside kill -KILL "$(daemon)"
while [[ -n $(daemon) ]]; do sleep 0.05; done
agent 7 monitor
agent 0 start
agent 0 stop
echo 'ok - one that was killed is not running, and can be started again'

agent 5 validate-all OCF_RESKEY_user=nobody-of-that-name
agent 5 validate-all OCF_RESKEY_config=/nonexistent
inside sh -c 'printf "[node]\nsockte = 1\n" > /tmp/bad.conf'
agent 6 validate-all OCF_RESKEY_config=/tmp/bad.conf
agent 6 start OCF_RESKEY_config=/tmp/bad.conf
agent 6 validate-all OCF_RESKEY_socket=relative
agent 6 validate-all OCF_RESKEY_answer_seconds=soon
agent 5 validate-all OCF_RESKEY_binary=/nonexistent
agent 3 promote
echo 'ok - wrong parameters are told before anything is started'

agent 0 start OCF_RESKEY_socket=/run/other/sock OCF_RESKEY_state_dir=/run/other
agent 0 monitor OCF_RESKEY_socket=/run/other/sock OCF_RESKEY_state_dir=/run/other
[[ $(inside stat -c '%U %a' /run/other) == 'saevt 755' ]]
agent 0 stop OCF_RESKEY_socket=/run/other/sock OCF_RESKEY_state_dir=/run/other
inside rm -rf /run/other /tmp/bad.conf /var/log/saevtd.log
echo 'ok - socket and state can be elsewhere'
