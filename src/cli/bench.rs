//! `saevt bench`: throughput and latency of this installation, measured as a program sees them.

use super::arguments::{Bench, General};
use super::failure::{Failure, Status};
use super::output::Output;
use super::status::show_json;
use super::table::{Cell, Table, losses};
use super::{service, text};
use SaEvt::api::{Channel, Connection, Delivery, Error, Filters, Name, patiently};
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Events that may be on their way to the slowest subscriber: far fewer than its queue holds, so
/// that none is lost, and enough to keep all busy.
const ON_THE_WAY_MOST: u64 = 4096;
/// Bytes of them: half of what a queue holds by default.
const ON_THE_WAY_BYTES: u64 = 8 << 20;
/// Between two looks of the progress line.
const PROGRESS: Duration = Duration::from_millis(200);

/// What was measured for one number of bytes.
struct Line {
    bytes: u32,
    events: u64,
    time: Duration,
    lost: u64,
    /// In order.
    latencies: Vec<Duration>,
}

/// Runs the command.
pub(super) fn run(task: &Bench, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let mut lines = Vec::new();
    let most = connection.limits().map_or(u64::MAX, |limits| limits.event_bytes_max);
    if let Some(bytes) = task.bytes.iter().find(|bytes| u64::from(**bytes) > most) {
        return Err(Failure::new(
            Status::Usage,
            format!(
                "--bytes: {bytes} is too much, an event has at most {most}; see `saevt limits`"
            ),
        ));
    }
    for bytes in task.bytes.iter().copied() {
        let latencies = latency(&connection, bytes, task, general)?;
        let (events, time, lost) = throughput(&connection, bytes, task, general)?;
        lines.push(Line { bytes, events, time, lost, latencies });
    }
    if task.json { show_as_json(&lines, task) } else { show(&lines) }
}

/// A channel to publish on, and what receives all of it. Nobody else can find it, and it goes with
/// this program, however that ends.
fn stage(
    connection: &Connection,
    subscribers: u16,
    general: &General,
) -> Result<(Channel, Vec<(Connection, Channel)>), Failure> {
    let name = Name::new(format!("safChnl=saevt-bench-{}", std::process::id()).as_bytes())
        .map_err(|error| Failure::of("cannot name a channel", error))?;
    let channel = service::open(connection, &name, true, general, |opening| opening.publisher())?;
    let subscribers: Result<_, _> = (0..subscribers).map(|_| subscriber(&name, general)).collect();
    patiently(general.wait, || connection.unlink(name.octets()))
        .map_err(|error| Failure::of("cannot unlink the channel", error))?;
    Ok((channel, subscribers?))
}

/// A subscriber of its own: a connection that receives all of the channel.
fn subscriber(name: &Name, general: &General) -> Result<(Connection, Channel), Failure> {
    let connection = service::connect(general)?;
    let channel = service::open(&connection, name, false, general, |opening| opening.subscriber())?;
    patiently(general.wait, || channel.subscribe(Filters::default()))
        .map_err(|error| Failure::of("cannot subscribe", error))?;
    Ok((connection, channel))
}

/// Publishes one event after the other, each when the one before has come.
fn latency(
    connection: &Connection,
    bytes: u32,
    task: &Bench,
    general: &General,
) -> Result<Vec<Duration>, Failure> {
    let (channel, subscribers) = stage(connection, 1, general)?;
    let fail = |error| Failure::of("cannot measure latency", error);
    let event = channel.event().build().map_err(fail)?;
    let data = vec![b'x'; bytes as usize];
    let mut progress = Progress::new(format!("latency, {bytes} bytes"), task.time);
    let mut latencies = Vec::new();
    while !progress.is_over(latencies.len() as u64) {
        let begin = Instant::now();
        let id = patiently(general.wait, || event.publish(&data)).map_err(fail)?;
        while let Some((receiver, _)) = subscribers.first() {
            match receiver.receive(Some(general.wait)).map_err(fail)? {
                Some(Delivery::Event(event)) if event.id() == id => break,
                Some(_) => {}
                None => return Err(fail(Error::Timeout)),
            }
        }
        latencies.push(begin.elapsed());
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// What the threads of a measurement share.
#[derive(Default)]
struct Counters {
    /// By subscriber: events and losses that have come.
    received: Vec<AtomicU64>,
    lost: AtomicU64,
    over: AtomicBool,
}

/// Publishes as fast as the slowest subscriber takes. Gives events that all have taken, the time
/// for that, and losses.
fn throughput(
    connection: &Connection,
    bytes: u32,
    task: &Bench,
    general: &General,
) -> Result<(u64, Duration, u64), Failure> {
    let fail = |error| Failure::of("cannot measure throughput", error);
    let (channel, subscribers) = stage(connection, task.subscribers, general)?;
    let received = subscribers.iter().map(|_| AtomicU64::new(0)).collect();
    let counters = Counters { received, ..Counters::default() };
    let event = channel.event().build().map_err(fail)?;
    let data = vec![b'x'; bytes as usize];
    let most = ON_THE_WAY_MOST.min(ON_THE_WAY_BYTES / u64::from(bytes.max(64)));
    let mut progress = Progress::new(format!("throughput, {bytes} bytes"), task.time);
    let slowest = || {
        let received = counters.received.iter().map(|number| number.load(Ordering::Relaxed));
        received.min().unwrap_or_default()
    };
    let outcome = std::thread::scope(|scope| {
        for ((connection, _), received) in subscribers.iter().zip(&counters.received) {
            scope.spawn(|| receive(connection, received, &counters));
        }
        let begin = Instant::now();
        let mut published = 0;
        let mut outcome = Ok(());
        while outcome.is_ok() && !progress.is_over(published) {
            // A lost event never comes: who has lost some must not be waited for.
            let lost = counters.lost.load(Ordering::Relaxed) > 0;
            if published.saturating_sub(slowest()) >= most && !lost {
                std::thread::yield_now();
                continue;
            }
            outcome = patiently(general.wait, || event.publish(&data)).map(|_| published += 1);
        }
        let last = Instant::now() + general.wait;
        while slowest() < published
            && counters.lost.load(Ordering::Relaxed) == 0
            && Instant::now() < last
        {
            std::thread::yield_now();
        }
        let time = begin.elapsed();
        counters.over.store(true, Ordering::Relaxed);
        outcome.map(|()| (slowest(), time))
    });
    let (events, time) = outcome.map_err(fail)?;
    Ok((events, time, counters.lost.into_inner()))
}

/// Counts what comes until the measurement is over.
fn receive(connection: &Connection, received: &AtomicU64, counters: &Counters) {
    while !counters.over.load(Ordering::Relaxed) {
        match connection.receive(Some(Duration::from_millis(20))) {
            Ok(Some(Delivery::Event(_))) => {
                received.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => {}
            // An error has lost something too.
            Ok(Some(Delivery::Lost(_))) | Err(_) => {
                counters.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// When a measurement is over, and a line that says so on a terminal.
struct Progress {
    what: String,
    begin: Instant,
    time: Duration,
    next: Instant,
    shows: bool,
}

impl Progress {
    fn new(what: String, time: Duration) -> Self {
        let begin = Instant::now();
        Self { what, begin, time, next: begin, shows: std::io::stderr().is_terminal() }
    }

    fn is_over(&mut self, events: u64) -> bool {
        let now = Instant::now();
        let over = now - self.begin >= self.time;
        if self.shows && (over || now >= self.next) {
            self.next = now + PROGRESS;
            let (passed, whole) = (text::span(now - self.begin), text::span(self.time));
            let line = format!("{}: {passed} of {whole}, {events} events", self.what);
            let line = if over { String::new() } else { line };
            // Whoever looks is told; nothing depends on it.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
        over
    }
}

impl Line {
    fn rate(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64().max(1e-9)
    }

    /// The latency that so many of a thousand do not exceed.
    fn latency(&self, of_thousand: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (self.latencies.len() * of_thousand / 1000).min(last);
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

fn show(lines: &[Line]) -> Result<(), Failure> {
    let heads =
        [">BYTES", ">EVENTS/S", ">DATA/S", ">LOST", ">LATENCY", ">99 %", ">99.9 %", ">WORST"];
    let mut table = Table::new(&heads);
    for line in lines {
        let rate = line.rate();
        let mut row = vec![
            Cell::number(line.bytes),
            Cell::number(format!("{rate:.0}")),
            Cell::number(text::bytes((rate * f64::from(line.bytes)) as u64)),
            losses(line.lost),
        ];
        let latencies = [500, 990, 999, 1000].map(|part| text::span(line.latency(part)));
        row.extend(latencies.map(Cell::number));
        table.add(row);
    }
    table.show(&mut Output::new())
}

fn show_as_json(lines: &[Line], task: &Bench) -> Result<(), Failure> {
    let object = |line: &Line| {
        let latency = |part| u64::try_from(line.latency(part).as_nanos()).unwrap_or(u64::MAX);
        json!({
            "bytes": line.bytes, "events": line.events,
            "time_ns": u64::try_from(line.time.as_nanos()).unwrap_or(u64::MAX),
            "events_per_second": line.rate(), "lost": line.lost,
            "latency_samples": line.latencies.len(),
            "latency_ns": {
                "median": latency(500), "p99": latency(990), "p999": latency(999),
                "worst": latency(1000),
            },
        })
    };
    let mut whole = Map::new();
    whole.insert("subscribers".into(), task.subscribers.into());
    whole.insert("measurements".into(), Value::Array(lines.iter().map(object).collect()));
    show_json("saevt.bench/1", whole)
}
