//! Attaching to an engine, and finding out which member this node is.

use crate::evt::Span;
use crate::node::cluster_config::{ClusterConfig, Engine};
use crate::node::log;
use crate::node::place::Place;
use crate::sys::{clock, descriptor};
use crate::transport::{self, Arrival, Standing, Transport};
use std::io;
use std::os::fd::AsRawFd;

/// How long a node that starts without a member number waits for the engine to tell one.
const NUMBER_TIME: Span = Span(60_000_000_000);
/// An engine that runs tells it much sooner; after so long the log says what is waited for.
const SILENT_TIME: Span = Span(2_000_000_000);

/// An engine that has told who this node is.
pub(in crate::node) struct Attached {
    pub(super) transport: Box<dyn Transport>,
    pub(super) standing: Standing,
    pub(super) config: ClusterConfig,
    /// The member number.
    pub(in crate::node) member: u16,
}

/// Attaches to the engine, and finds the member number out.
///
/// # Errors
///
/// One line: what the engine says, or that its number is none for a member.
pub(in crate::node) fn attach(config: &ClusterConfig, place: &Place) -> Result<Attached, String> {
    let engine = config.engine;
    let mut transport = transport::open(&config.engine_config()).map_err(|error| {
        format!("cannot attach to {}: {}", engine.name(), advice(engine, &error))
    })?;
    let mut standing = Standing::Starting;
    let member = match config.member {
        Some(member) => member,
        None => number_of(&mut *transport, &mut standing, config.engine, place)?,
    };
    Ok(Attached { transport, standing, config: config.clone(), member })
}

/// What an engine's refusal means, and what to do about it.
fn advice(engine: Engine, error: &io::Error) -> String {
    match (engine, error.kind()) {
        (Engine::Tipc, io::ErrorKind::Unsupported) => {
            "this kernel has no TIPC: load it by `modprobe tipc`, or choose another \
             cluster.engine"
                .into()
        }
        // The loader's own words: which library, and why.
        (Engine::Corosync, io::ErrorKind::Other) => format!(
            "{error}: install the libraries of corosync (Debian: libcpg4, libquorum5), or choose \
             another cluster.engine"
        ),
        _ => error.to_string(),
    }
}

/// How an engine comes to tell the number of this node.
const REMEDY: &str = "see that it runs (corosync-cfgtool -s), or set cluster.member";

/// Waits for the engine to tell the number of this node, which is its member number if it can be.
fn number_of(
    transport: &mut dyn Transport,
    standing: &mut Standing,
    engine: Engine,
    place: &Place,
) -> Result<u16, String> {
    let name = engine.name();
    let begin = clock::elapsed();
    let (end, mut is_told) = (begin.after(NUMBER_TIME), false);
    loop {
        let arrival = transport
            .try_receive()
            .map_err(|error| format!("{name} has ended this node's part: {error}"))?;
        if let Some(Arrival::Standing(told)) = arrival {
            *standing = told;
        }
        if let Some(own) = transport.own() {
            return u16::try_from(own.node).ok().filter(|number| *number < 512).ok_or(format!(
                "{name} calls this node {}, which is no member number: set cluster.member to a \
                 number from 0 to 511 that no other node has",
                own.node
            ));
        }
        if arrival.is_some() {
            continue;
        }
        let now = clock::elapsed();
        if !is_told && begin.after(SILENT_TIME) <= now {
            is_told = true;
            log(format_args!("waits for {name} to tell the number of this node: {REMEDY}"));
        }
        let left = now.until(end).0;
        let next = if is_told { left } else { now.until(begin.after(SILENT_TIME)).0 };
        let readable = libc::POLLIN;
        let readiness = transport.readiness().map_or(-1, |readiness| readiness.as_raw_fd());
        let watched = [(readiness, readable), (place.signals.as_raw_fd(), readable)];
        let events = descriptor::poll(watched, Some(next))
            .map_err(|error| format!("cannot wait for {name}: {error}"))?;
        if events[1] != 0 {
            return Err(format!("told to end before {name} has told the number of this node"));
        }
        if left == 0 {
            return Err(format!(
                "{name} has not told the number of this node within a minute: {REMEDY}"
            ));
        }
    }
}
