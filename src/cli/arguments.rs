//! What the tool is told. Help, manual pages and completions are made from here.

use super::format::Format;
use super::text;
use super::values::{
    at_least_one, event_bytes, event_id, filter, format, interval, measuring_time, name, pattern,
    priority, publisher, rate, retention, up_to,
};
use SaEvt::api::{Filter, Name, Priority};
use clap::{Args, Parser, Subcommand, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// What every manual page and `saevt --help` say of exit statuses.
pub(super) const STATUSES: &str = "\
Exit status:
  0  done
  1  something failed
  2  the arguments make no sense
  3  the time given by --timeout was over too early
  4  there is no such channel or event
  5  the service cannot be reached";

/// Works with channels and events of the AIS Event Service
///
/// Names, patterns and filters are bytes: in arguments and in what is shown, \\ stands for a
/// backslash and \n, \r, \t, \0, \xNN for bytes that cannot be typed. The daemon is found as by any
/// program, see libSaEvt(3).
#[derive(Debug, Parser)]
#[command(name = "saevt", version, after_help = STATUSES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) general: General,
    #[command(subcommand)]
    pub(super) task: Task,
}

/// What all commands understand.
#[derive(Debug, Args)]
pub(super) struct General {
    /// Wait at most so long while the service is away or busy
    #[arg(long, global = true, value_name = "TIME", default_value = "10s",
        allow_hyphen_values = true, value_parser = text::duration)]
    pub(super) wait: Duration,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum Task {
    Watch(Box<Watch>),
    Publish(Box<Publish>),
    Unlink(Unlink),
    Clear(Clear),
    /// Shows the daemon in numbers
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Counted),
    /// Shows all channels in numbers
    #[command(after_help = CHANNELS_EXAMPLES)]
    Channels(Counted),
    /// Shows the programs that are connected, beside this one
    ///
    /// What waits for a program is in the queue of the daemon, and unread in memory that they
    /// share. A program that has lost events was too slow.
    #[command(after_help = CLIENTS_EXAMPLES)]
    Clients(Counted),
    /// Shows the cluster as this node sees it: other nodes, what waits for them, last changes
    #[command(after_help = MEMBERS_EXAMPLES)]
    Members(Shown),
    Retained(Retained),
    /// Shows the limits that are in force
    ///
    /// They are set in saevtd.conf(5).
    #[command(after_help = LIMITS_EXAMPLES)]
    Limits(Shown),
    Bench(Bench),
    /// Looks for what keeps the service from working, and says what to do
    ///
    /// Ends with status 1 if something is wrong; a warning is not.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Shown),
    Top(Top),
    Policy(Policy),
}

const POLICY_EXAMPLES: &str = "\
Examples:
  saevt policy test root safChnl=kitchen publish
  saevt policy test 1000 safChnl=kitchen subscribe --config /dev/null";

/// Says what the policy of a configuration permits
#[derive(Debug, Args)]
#[command(after_help = POLICY_EXAMPLES)]
pub(super) struct Policy {
    #[command(subcommand)]
    pub(super) task: PolicyTask,
}

/// What is to be done with a policy.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyTask {
    Test(PolicyTest),
}

const POLICY_TEST_EXAMPLES: &str = "\
Examples:
  saevt policy test root safChnl=kitchen publish
  saevt policy test 1000 safChnl=kitchen subscribe --config /dev/null

Ends with status 0 if the action is permitted, with 1 if it is denied, and with 2 if the
configuration or the user makes no sense. The user is taken to be in the groups that it would log in
with. The daemon judges a program by the user and groups that it connected with, and by the
configuration that it has read last.";

/// Says whether a user may do something on a channel, and which rule of the configuration says so
#[derive(Debug, Args)]
#[command(after_help = POLICY_TEST_EXAMPLES)]
pub(super) struct PolicyTest {
    /// A user, by name or number
    #[arg(value_name = "USER")]
    pub(super) user: String,
    /// The channel; administrate is not about one, but a name is wanted here
    #[arg(value_name = "CHANNEL", value_parser = name())]
    pub(super) channel: Name,
    /// What the user is to do
    #[arg(value_name = "ACTION", value_parser = ["publish", "subscribe", "create", "unlink",
        "clear", "administrate"])]
    pub(super) action: String,
    /// The configuration; without it that of the system's daemon, if there is one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  saevt doctor
  saevt doctor --wait 1s --json";

const BENCH_EXAMPLES: &str = "\
Examples:
  saevt bench --time 200ms
  saevt bench --time 200ms --bytes 64 --bytes 4096 --subscribers 2
  saevt bench --time 200ms --json";

/// Measures throughput and latency of this installation
///
/// Publishes on a channel of its own, which it removes. Throughput is how many events go through
/// without loss; latency is the time from before the publish call of an event to its receipt by a
/// subscriber that waits, when nothing else is published.
#[derive(Debug, Args)]
#[command(after_help = BENCH_EXAMPLES)]
pub(super) struct Bench {
    /// Measure each figure for so long
    #[arg(long, value_name = "TIME", default_value = "2s", allow_hyphen_values = true,
        value_parser = measuring_time)]
    pub(super) time: Duration,
    /// Bytes of data; give it more than once for more lines
    #[arg(long, value_name = "NUMBER", default_values_t = [64, 1024, 65536],
        allow_hyphen_values = true, value_parser = event_bytes)]
    pub(super) bytes: Vec<u32>,
    /// Subscribers for throughput
    #[arg(long, value_name = "NUMBER", default_value_t = 1, allow_hyphen_values = true,
        value_parser = up_to::<64>)]
    pub(super) subscribers: u16,
    /// Show it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const TOP_EXAMPLES: &str = "\
Examples:
  saevt top
  saevt top --every 500ms

Keys: arrows move, Tab goes from channels to clients, s sorts by the next column, r turns the order
round, Enter shows a channel alone, Esc goes back, p pauses, q ends.";

/// Shows channels and clients as they change: rates, losses, the slowest clients
#[derive(Debug, Args)]
#[command(after_help = TOP_EXAMPLES)]
pub(super) struct Top {
    /// Look again after so long
    #[arg(long, value_name = "TIME", default_value = "1s", allow_hyphen_values = true,
        value_parser = interval)]
    pub(super) every: Duration,
}

const STATUS_EXAMPLES: &str = "\
Examples:
  saevt status
  saevt status --over 1s
  saevt status --json";

const CHANNELS_EXAMPLES: &str = "\
Examples:
  saevt channels
  saevt channels --over 1s
  saevt channels --json

Columns: open instances, those that may publish and subscribe, events since the daemon started,
retained events and their bytes, lost-events since the daemon started, when the channel was made.";

const CLIENTS_EXAMPLES: &str = "\
Examples:
  saevt clients
  saevt clients --over 1s
  saevt clients --json

Columns: process, user, program, open channels, subscriptions, events published, events and bytes
in the queue of the daemon, bytes unread in shared memory, lost-events, bytes of shared memory.";

const MEMBERS_EXAMPLES: &str = "\
Examples:
  saevt members
  saevt members --json

Columns: member number, how often it has started, the engine's number of the node, how far this node
is with it (meeting, refused, session, member, silent), the best round trip of late, how long ago it
has answered, bytes that wait to be sent to it, bytes from it that wait here.";

const LIMITS_EXAMPLES: &str = "\
Examples:
  saevt limits
  saevt limits --json";

/// How counters are shown.
#[derive(Debug, Args)]
pub(super) struct Counted {
    /// Look for so long how fast the counters grow, and show that too
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = measuring_time)]
    pub(super) over: Option<Duration>,
    /// Show it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How something is shown.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// Show it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const RETAINED_EXAMPLES: &str = "\
Examples:
  saevt retained safChnl=kitchen
  saevt retained safChnl=kitchen --json";

/// Shows what a channel retains, the most urgent first
///
/// The data are shown by `saevt watch --retained`.
#[derive(Debug, Args)]
#[command(after_help = RETAINED_EXAMPLES)]
pub(super) struct Retained {
    /// The channel
    #[arg(value_name = "CHANNEL", value_parser = name())]
    pub(super) channel: Name,
    /// Show it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const WATCH_EXAMPLES: &str = "\
Examples:
  saevt watch safChnl=kitchen
  saevt watch safChnl=kitchen --filter exact:oven --count 1
  saevt watch safChnl=kitchen --retained
  saevt watch safChnl=kitchen safChnl=hall --json --timeout 1s
  saevt watch safChnl=kitchen --format '{time} {pattern1}: {data}' --count 2
  saevt watch safChnl=kitchen --count 1 --exec 'echo \"$SAEVT_PATTERN_1: $(cat)\"'

A filter is prefix:BYTES, suffix:BYTES, exact:BYTES or any. The first one is for the first pattern
of an event, and so on; all of them must match.

A format has {time}, {date}, {ns}, {channel}, {id}, {priority}, {publisher}, {patterns},
{pattern1}, {pattern2}, ..., {retention}, {bytes}, {data}, {hex}; {{ and }} are braces.

A command of --exec runs in sh with the data on its standard input and SAEVT_TYPE (event or lost),
SAEVT_CHANNEL, SAEVT_ID, SAEVT_PRIORITY, SAEVT_PUBLISHER, SAEVT_PUBLISHED_NS, SAEVT_RETENTION_NS,
SAEVT_BYTES, SAEVT_PATTERNS (their number) and SAEVT_PATTERN_1, SAEVT_PATTERN_2, ... in its
environment, escaped as shown. At the end, and after a signal, the commands that run are waited for;
a second signal does not wait.";

/// Shows the events of channels as they come
///
/// What is retained comes first. A line that says LOST tells that some events may have been lost,
/// because this program or whoever reads its output was too slow, or the daemon was replaced.
#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub(super) struct Watch {
    /// Channels, which are made if they do not exist
    #[arg(required = true, value_name = "CHANNEL", value_parser = name())]
    pub(super) channels: Vec<Name>,
    /// Take only what matches: prefix:BYTES, suffix:BYTES, exact:BYTES or any
    #[arg(short, long = "filter", value_name = "FILTER", value_parser = filter())]
    pub(super) filters: Vec<Filter>,
    /// How to show an event
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["json", "hex", "exec"],
        value_parser = format())]
    pub(super) format: Option<Format>,
    /// Show each event as an object of JSON on a line of its own
    #[arg(long, conflicts_with_all = ["hex", "exec"])]
    pub(super) json: bool,
    /// Show the data of each event in hexadecimal digits below it
    #[arg(long, conflicts_with = "exec")]
    pub(super) hex: bool,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true,
        value_parser = at_least_one)]
    pub(super) count: Option<u64>,
    /// End after this time: with status 3 if it brought fewer events than wanted, or none
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true,
        value_parser = text::duration)]
    pub(super) timeout: Option<Duration>,
    /// Run a command for each event instead of showing it
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub(super) exec: Option<std::ffi::OsString>,
    /// Commands that run at once
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "exec",
        allow_hyphen_values = true, value_parser = up_to::<256>)]
    pub(super) jobs: u16,
    /// Take what is retained now, and end
    #[arg(long, conflicts_with = "timeout")]
    pub(super) retained: bool,
    /// Do not make channels that do not exist
    #[arg(long)]
    pub(super) no_create: bool,
}

const PUBLISH_EXAMPLES: &str = "\
Examples:
  saevt publish safChnl=kitchen --pattern oven 'dinner is ready'
  saevt publish safChnl=kitchen --pattern oven --pattern door --priority 0 --retain 10s
  saevt publish safChnl=kitchen --pattern fridge --publisher cook --file /etc/hostname
  date | saevt publish safChnl=kitchen --pattern clock -
  printf 'one\\ntwo\\n' | saevt publish safChnl=kitchen --lines
  saevt publish safChnl=kitchen --repeat 3 --rate 10 'still open'";

/// Publishes events
///
/// The identifier of each event is printed. An event that has none of DATA, --file and - is without
/// data.
#[derive(Debug, Args)]
#[command(after_help = PUBLISH_EXAMPLES)]
pub(super) struct Publish {
    /// The channel, which is made if it does not exist
    #[arg(value_name = "CHANNEL", value_parser = name())]
    pub(super) channel: Name,
    /// The data, byte for byte; - reads them from standard input
    #[arg(value_name = "DATA", conflicts_with = "file", allow_negative_numbers = true)]
    pub(super) data: Option<std::ffi::OsString>,
    /// Add a pattern
    #[arg(short, long = "pattern", value_name = "PATTERN", value_parser = pattern())]
    pub(super) patterns: Vec<Vec<u8>>,
    /// Priority, from 0, the highest, to 3
    #[arg(long, value_name = "NUMBER", default_value = "3", allow_hyphen_values = true,
        value_parser = priority)]
    pub(super) priority: Priority,
    /// Keep the event for later subscribers, for a time such as 10s within the limit, or forever
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true,
        value_parser = retention)]
    pub(super) retain: Option<Duration>,
    /// Say who publishes
    #[arg(long, value_name = "NAME", value_parser = publisher())]
    pub(super) publisher: Option<Name>,
    /// Read the data from a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
    /// Publish each line of standard input, or of the file, as an event
    #[arg(long)]
    pub(super) lines: bool,
    /// Publish each event so many times
    #[arg(long, value_name = "NUMBER", default_value_t = 1, allow_hyphen_values = true,
        value_parser = at_least_one)]
    pub(super) repeat: u64,
    /// Publish at most so many events in a second
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Do not print identifiers
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Do not make a channel that does not exist
    #[arg(long)]
    pub(super) no_create: bool,
}

const UNLINK_EXAMPLES: &str = "\
Examples:
  saevt unlink safChnl=kitchen";

/// Removes the name of a channel
///
/// Programs that have the channel open go on with it. The next one that opens the name makes
/// another channel. What is retained goes with the last who has it open.
#[derive(Debug, Args)]
#[command(after_help = UNLINK_EXAMPLES)]
pub(super) struct Unlink {
    /// The channel
    #[arg(value_name = "CHANNEL", value_parser = name())]
    pub(super) channel: Name,
}

const CLEAR_EXAMPLES: &str = "\
Examples:
  id=$(saevt publish safChnl=kitchen --retain 1m 'the cake is in the oven')
  saevt clear safChnl=kitchen \"$id\"";

/// Ends the retention of events
#[derive(Debug, Args)]
#[command(after_help = CLEAR_EXAMPLES)]
pub(super) struct Clear {
    /// The channel
    #[arg(value_name = "CHANNEL", value_parser = name())]
    pub(super) channel: Name,
    /// Identifiers of events, as `publish`, `watch` and `retained` show them
    #[arg(required = true, value_name = "ID", allow_negative_numbers = true,
        value_parser = event_id)]
    pub(super) ids: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }
}
