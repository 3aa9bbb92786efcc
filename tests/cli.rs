//! The command-line tool, as users and scripts run it: the real binary, with real daemons.
#![allow(clippy::disallowed_methods)] // Threads and clocks of the tests.
#![forbid(unsafe_code)]

#[path = "loopback/bed.rs"]
#[allow(dead_code)] // What other tests stand on too.
mod bed;
#[path = "cli/events.rs"]
mod events;
#[path = "cli/exec.rs"]
mod exec;
#[path = "cli/policy.rs"]
mod policy;
#[path = "cli/publishing.rs"]
mod publishing;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/tool.rs"]
mod tool;
#[path = "cli/usage.rs"]
mod usage;
