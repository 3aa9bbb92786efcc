# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_saevt_global_optspecs
    string join \n wait= h/help V/version
end

function __fish_saevt_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_saevt_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_saevt_using_subcommand
    set -l cmd (__fish_saevt_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c saevt -n "__fish_saevt_needs_command" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_needs_command" -s V -l version -d 'Print version'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "watch" -d 'Shows the events of channels as they come'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "publish" -d 'Publishes events'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "unlink" -d 'Removes the name of a channel'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "clear" -d 'Ends the retention of events'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "status" -d 'Shows the daemon in numbers'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "channels" -d 'Shows all channels in numbers'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "clients" -d 'Shows the programs that are connected, beside this one'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "members" -d 'Shows the cluster as this node sees it: other nodes, what waits for them, last changes'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "retained" -d 'Shows what a channel retains, the most urgent first'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "limits" -d 'Shows the limits that are in force'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "bench" -d 'Measures throughput and latency of this installation'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "doctor" -d 'Looks for what keeps the service from working, and says what to do'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "top" -d 'Shows channels and clients as they change: rates, losses, the slowest clients'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "policy" -d 'Says what the policy of a configuration permits'
complete -c saevt -n "__fish_saevt_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c saevt -n "__fish_saevt_using_subcommand watch" -s f -l filter -d 'Take only what matches: prefix:BYTES, suffix:BYTES, exact:BYTES or any' -r
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l format -d 'How to show an event' -r
complete -c saevt -n "__fish_saevt_using_subcommand watch" -s n -l count -d 'End after so many events' -r
complete -c saevt -n "__fish_saevt_using_subcommand watch" -s t -l timeout -d 'End after this time: with status 3 if it brought fewer events than wanted, or none' -r
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l exec -d 'Run a command for each event instead of showing it' -r -f -a "(__fish_complete_command)"
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l jobs -d 'Commands that run at once' -r
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l json -d 'Show each event as an object of JSON on a line of its own'
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l hex -d 'Show the data of each event in hexadecimal digits below it'
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l retained -d 'Take what is retained now, and end'
complete -c saevt -n "__fish_saevt_using_subcommand watch" -l no-create -d 'Do not make channels that do not exist'
complete -c saevt -n "__fish_saevt_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand publish" -s p -l pattern -d 'Add a pattern' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l priority -d 'Priority, from 0, the highest, to 3' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -s r -l retain -d 'Keep the event for later subscribers, for a time such as 10s within the limit, or forever' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l publisher -d 'Say who publishes' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l file -d 'Read the data from a file' -r -F
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l repeat -d 'Publish each event so many times' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l rate -d 'Publish at most so many events in a second' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l lines -d 'Publish each line of standard input, or of the file, as an event'
complete -c saevt -n "__fish_saevt_using_subcommand publish" -s q -l quiet -d 'Do not print identifiers'
complete -c saevt -n "__fish_saevt_using_subcommand publish" -l no-create -d 'Do not make a channel that does not exist'
complete -c saevt -n "__fish_saevt_using_subcommand publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand unlink" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand unlink" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand clear" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand clear" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand status" -l over -d 'Look for so long how fast the counters grow, and show that too' -r
complete -c saevt -n "__fish_saevt_using_subcommand status" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand status" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand status" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand channels" -l over -d 'Look for so long how fast the counters grow, and show that too' -r
complete -c saevt -n "__fish_saevt_using_subcommand channels" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand channels" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand channels" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand clients" -l over -d 'Look for so long how fast the counters grow, and show that too' -r
complete -c saevt -n "__fish_saevt_using_subcommand clients" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand clients" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand clients" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand members" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand members" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand members" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand retained" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand retained" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand retained" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand limits" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand limits" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand limits" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand bench" -l time -d 'Measure each figure for so long' -r
complete -c saevt -n "__fish_saevt_using_subcommand bench" -l bytes -d 'Bytes of data; give it more than once for more lines' -r
complete -c saevt -n "__fish_saevt_using_subcommand bench" -l subscribers -d 'Subscribers for throughput' -r
complete -c saevt -n "__fish_saevt_using_subcommand bench" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand bench" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand doctor" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand doctor" -l json -d 'Show it as JSON'
complete -c saevt -n "__fish_saevt_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c saevt -n "__fish_saevt_using_subcommand top" -l every -d 'Look again after so long' -r
complete -c saevt -n "__fish_saevt_using_subcommand top" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand top" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand policy; and not __fish_seen_subcommand_from test help" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand policy; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand policy; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Says whether a user may do something on a channel, and which rule of the configuration says so'
complete -c saevt -n "__fish_saevt_using_subcommand policy; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c saevt -n "__fish_saevt_using_subcommand policy; and __fish_seen_subcommand_from test" -l config -d 'The configuration; without it that of the system\'s daemon, if there is one' -r -F
complete -c saevt -n "__fish_saevt_using_subcommand policy; and __fish_seen_subcommand_from test" -l wait -d 'Wait at most so long while the service is away or busy' -r
complete -c saevt -n "__fish_saevt_using_subcommand policy; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c saevt -n "__fish_saevt_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "test" -d 'Says whether a user may do something on a channel, and which rule of the configuration says so'
complete -c saevt -n "__fish_saevt_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "watch" -d 'Shows the events of channels as they come'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "publish" -d 'Publishes events'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "unlink" -d 'Removes the name of a channel'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "clear" -d 'Ends the retention of events'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "status" -d 'Shows the daemon in numbers'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "channels" -d 'Shows all channels in numbers'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "clients" -d 'Shows the programs that are connected, beside this one'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "members" -d 'Shows the cluster as this node sees it: other nodes, what waits for them, last changes'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "retained" -d 'Shows what a channel retains, the most urgent first'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "limits" -d 'Shows the limits that are in force'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "bench" -d 'Measures throughput and latency of this installation'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "doctor" -d 'Looks for what keeps the service from working, and says what to do'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "top" -d 'Shows channels and clients as they change: rates, losses, the slowest clients'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "policy" -d 'Says what the policy of a configuration permits'
complete -c saevt -n "__fish_saevt_using_subcommand help; and not __fish_seen_subcommand_from watch publish unlink clear status channels clients members retained limits bench doctor top policy help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c saevt -n "__fish_saevt_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "test" -d 'Says whether a user may do something on a channel, and which rule of the configuration says so'
