//! `saevt watch`: what channels bring, as it comes.

use super::arguments::{General, Watch};
use super::command::Commands;
use super::failure::{Failure, Status, complain};
use super::format::{self, Format};
use super::interrupt::Interrupts;
use super::output::Output;
use super::{json, service};
use SaEvt::api::{Channel, Connection, Delivery, Filters, patiently};
use SaEvt::sys::descriptor;
use std::time::{Duration, Instant};

/// What becomes of what comes.
enum Sink {
    Formatted(Format),
    Hexadecimal(Format),
    Json,
    Commands(Commands),
}

/// Runs the command.
pub(super) fn run(task: &Watch, general: &General) -> Result<(), Failure> {
    let parse = |text| Format::parse(text).map_err(|why| Failure::new(Status::Failed, why));
    let connection = service::connect(general)?;
    let channels = subscribe(&connection, task, general)?;
    let interrupts = Interrupts::begin()?;
    let sink = match &task.exec {
        Some(command) => Sink::Commands(Commands::new(command, task.jobs)),
        None if task.json => Sink::Json,
        None if task.hex => Sink::Hexadecimal(parse(format::ABOVE_HEX)?),
        None => Sink::Formatted(match &task.format {
            Some(format) => format.clone(),
            None => parse(format::USUAL)?,
        }),
    };
    let mut watcher = Watcher { connection, sink, interrupts, output: Output::new(), events: 0 };
    let outcome = watcher.watch(task);
    drop(channels);
    match watcher.sink {
        Sink::Commands(commands) => {
            if matches!(outcome, Err(Failure::Signal(_))) && commands.are_busy() {
                complain("waiting for the commands that run; another signal ends this at once");
            }
            outcome.and(commands.finish())
        }
        _ => outcome,
    }
}

/// Opens the channels and subscribes to each.
fn subscribe(
    connection: &Connection,
    task: &Watch,
    general: &General,
) -> Result<Vec<Channel>, Failure> {
    let limits = connection.limits();
    let limits = limits.map_err(|error| Failure::of("cannot ask for the limits", error))?;
    let lengths = task.filters.iter().map(|filter| filter.bytes.len());
    service::check_patterns("--filter", lengths, &limits)?;
    let mut channels = Vec::new();
    for name in &task.channels {
        let channel = service::open(connection, name, !task.no_create, general, |opening| {
            opening.subscriber()
        })?;
        let filters = || Filters(task.filters.clone());
        patiently(general.wait, || channel.subscribe(filters())).map_err(|error| {
            let shown = super::text::escape(name.octets());
            Failure::of(format!("cannot subscribe to {shown}"), error)
        })?;
        channels.push(channel);
    }
    Ok(channels)
}

struct Watcher {
    connection: Connection,
    sink: Sink,
    interrupts: Interrupts,
    output: Output,
    events: u64,
}

impl Watcher {
    fn watch(&mut self, task: &Watch) -> Result<(), Failure> {
        let most = task.count.unwrap_or(u64::MAX);
        if task.retained {
            return self.take_pending(most);
        }
        let end = task.timeout.map(|time| Instant::now() + time);
        while self.events < most {
            self.interrupts.check()?;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                // What is here by now is in time. It may be much, so no more commands begin for it.
                if !matches!(self.sink, Sink::Commands(_)) {
                    self.take_pending(most)?;
                }
                return self.end_by_time(task);
            }
            match self.next()? {
                Some(delivery) => self.take(delivery)?,
                None => self.wait(left)?,
            }
        }
        Ok(())
    }

    /// What the end of the time means.
    fn end_by_time(&self, task: &Watch) -> Result<(), Failure> {
        let enough = match task.count {
            Some(count) => self.events >= count,
            None => self.events > 0,
        };
        if enough { Ok(()) } else { Err(Failure::Quiet(Status::Timeout)) }
    }

    fn next(&self) -> Result<Option<Delivery>, Failure> {
        self.connection.try_receive().map_err(|error| Failure::of("cannot receive", error))
    }

    /// Takes what is pending now.
    fn take_pending(&mut self, most: u64) -> Result<(), Failure> {
        let pending = self.connection.receive_pending();
        let pending = pending.map_err(|error| Failure::of("cannot receive", error))?;
        for delivery in pending {
            if self.events == most {
                break;
            }
            self.interrupts.check()?;
            self.take(delivery)?;
        }
        Ok(())
    }

    /// Waits for something to come, a signal, the end of whoever reads the output, or of the time.
    fn wait(&self, left: Option<Duration>) -> Result<(), Failure> {
        const READABLE: i16 = nix::libc::POLLIN;
        let of_connection =
            self.connection.descriptor().map_err(|error| Failure::of("cannot wait", error))?;
        let left = left.map(|left| u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
        let set = [
            (of_connection, READABLE),
            (self.interrupts.descriptor(), READABLE),
            (self.output.descriptor(), 0),
        ];
        descriptor::poll(set, left).map_err(|error| Failure::of_system("cannot wait", &error))?;
        match self.sink {
            Sink::Commands(_) => Ok(()),
            _ => self.output.check(),
        }
    }

    /// Waits until the output takes something, or for a signal: a reader that has stopped keeps
    /// this program from nothing but writing.
    fn wait_for_reader(&self) -> Result<(), Failure> {
        use nix::libc::{POLLIN, POLLOUT};
        let set = [(self.output.descriptor(), POLLOUT), (self.interrupts.descriptor(), POLLIN)];
        descriptor::poll(set, None).map_err(|error| Failure::of_system("cannot wait", &error))?;
        self.interrupts.check()
    }

    fn take(&mut self, delivery: Delivery) -> Result<(), Failure> {
        if !matches!(self.sink, Sink::Commands(_)) {
            self.wait_for_reader()?;
        }
        self.events += u64::from(matches!(delivery, Delivery::Event(_)));
        match (&self.sink, delivery) {
            (Sink::Commands(commands), delivery) => {
                commands.hand_over(delivery, || self.interrupts.check())
            }
            (Sink::Json, Delivery::Event(event)) => {
                self.output.line(&json::event(&event).to_string())
            }
            (Sink::Json, Delivery::Lost(lost)) => self.output.line(&json::lost(&lost).to_string()),
            (_, Delivery::Lost(lost)) => self.output.line(&format::lost(&lost)),
            (Sink::Formatted(format), Delivery::Event(event)) => {
                self.output.line(&format.event(&event))
            }
            (Sink::Hexadecimal(format), Delivery::Event(event)) => {
                let (line, data) = (format.event(&event), format::hex_lines(event.data()));
                self.output.show(|to| write!(to, "{line}\n{data}"))
            }
        }
    }
}
