//! `saevt publish`: events from arguments, files and pipes.

use super::arguments::{General, Publish};
use super::failure::{Failure, Status};
use super::output::Output;
use super::service;
use super::text::{self, escape};
use SaEvt::api::{Channel, Error, Limits, OutgoingEvent, Release, patiently};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// Where data come from, for messages.
const STANDARD_INPUT: &str = "standard input";

/// Runs the command.
pub(super) fn run(task: &Publish, general: &General) -> Result<(), Failure> {
    let source = open_source(task)?;
    let connection = service::connect(general)?;
    let limits =
        connection.limits().map_err(|error| Failure::of("cannot ask for the limits", error))?;
    // All of it before the channel is made: what is too large leaves nothing behind.
    let most = limits.event_bytes_max;
    let data = match source {
        Some(source) if task.lines => Data::Lines(source),
        Some(source) => Data::One(source.read_whole(most)?),
        None => Data::One(data_of_argument(task, most)?),
    };
    check(task, &limits)?;
    // The limit on retention is one of release B.03: those before it can retain without end.
    let connection = match task.retain {
        Some(Duration::MAX) => service::connect_as(Release::B02, general)?,
        _ => connection,
    };
    let channel = service::open(&connection, &task.channel, !task.no_create, general, |opening| {
        opening.publisher()
    })?;
    let event = build(&channel, task)?;
    let pace = Pace::new(task.rate);
    let output = Output::new();
    let mut publisher = Publisher { event, pace, general, most, task, output, published: 0 };
    match data {
        Data::One(data) => publisher.publish(&data, "the data"),
        Data::Lines(source) => publisher.publish_lines(source),
    }
}

/// Whether the service takes such an event.
fn check(task: &Publish, limits: &Limits) -> Result<(), Failure> {
    service::check_patterns("--pattern", task.patterns.iter().map(Vec::len), limits)?;
    let most = Duration::from_nanos(limits.retention_max.0);
    match task.retain {
        Some(time) if time != Duration::MAX && time > most => Err(Failure::new(
            Status::Usage,
            format!(
                "--retain: it is too long: at most {}, see `saevt limits`; or write forever",
                text::span(most)
            ),
        )),
        _ => Ok(()),
    }
}

/// The data that are an argument; without one, none.
fn data_of_argument(task: &Publish, most: u64) -> Result<Vec<u8>, Failure> {
    let data = task.data.as_ref().map(|data| data.as_bytes().to_vec()).unwrap_or_default();
    if data.len() as u64 > most { Err(too_big("the data", most)) } else { Ok(data) }
}

enum Data {
    One(Vec<u8>),
    Lines(Source),
}

/// Something to read.
struct Source {
    name: String,
    input: Box<dyn BufRead>,
}

/// What there is to read, if anything.
fn open_source(task: &Publish) -> Result<Option<Source>, Failure> {
    if let Some(path) = &task.file {
        let name = escape(path.as_os_str().as_bytes());
        let file = File::open(path)
            .map_err(|error| Failure::of_system(format!("--file: cannot open {name}"), &error))?;
        return Ok(Some(Source { name, input: Box::new(BufReader::new(file)) }));
    }
    let is_standard = match &task.data {
        Some(data) if task.lines && data != "-" => {
            return Err(Failure::new(
                Status::Usage,
                "--lines: lines come from standard input or --file FILE, so leave DATA out; see \
                 `saevt publish --help`",
            ));
        }
        Some(data) => data == "-",
        None => task.lines,
    };
    let input = || Box::new(BufReader::new(io::stdin()));
    Ok(is_standard.then(|| Source { name: STANDARD_INPUT.into(), input: input() }))
}

impl Source {
    fn cannot_read(&self, error: &io::Error) -> Failure {
        Failure::of_system(format!("cannot read {}", self.name), error)
    }

    /// All of it, if an event can have so much.
    fn read_whole(mut self, most: u64) -> Result<Vec<u8>, Failure> {
        let mut data = Vec::new();
        let read = (&mut self.input).take(most.saturating_add(1)).read_to_end(&mut data);
        read.map_err(|error| self.cannot_read(&error))?;
        if data.len() as u64 > most {
            return Err(too_big(&self.name, most));
        }
        Ok(data)
    }

    /// The next line without its end; `None` at the end. One that is longer than `most` fails.
    fn read_line(&mut self, number: u64, most: u64, line: &mut Vec<u8>) -> Result<bool, Failure> {
        line.clear();
        let read = (&mut self.input).take(most.saturating_add(2)).read_until(b'\n', line);
        let read = read.map_err(|error| self.cannot_read(&error))?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() as u64 > most {
            return Err(too_big(&format!("line {number} of {}", self.name), most));
        }
        Ok(read > 0)
    }
}

fn too_big(what: &str, most: u64) -> Failure {
    Failure::new(
        Status::Failed,
        format!("{what} is too big: an event has at most {most} bytes of data, see `saevt limits`"),
    )
}

/// Makes the event that all data are published with.
fn build<'a>(channel: &'a Channel, task: &Publish) -> Result<OutgoingEvent<'a>, Failure> {
    let mut event = channel.event().priority(task.priority);
    for pattern in &task.patterns {
        event = event.pattern(pattern);
    }
    if let Some(time) = task.retain {
        event = event.retain(time);
    }
    if let Some(name) = &task.publisher {
        event = event.publisher(name.octets());
    }
    event.build().map_err(|error| Failure::of("cannot make an event", error))
}

struct Publisher<'a> {
    event: OutgoingEvent<'a>,
    pace: Pace,
    general: &'a General,
    most: u64,
    task: &'a Publish,
    output: Output,
    published: u64,
}

impl Publisher<'_> {
    /// Publishes the same data as often as the user wants.
    fn publish(&mut self, data: &[u8], what: &str) -> Result<(), Failure> {
        for _ in 0..self.task.repeat {
            self.pace.wait();
            let published = patiently(self.general.wait, || self.event.publish(data));
            let id = published.map_err(|error| match error {
                Error::TooBig => too_big(what, self.most),
                error => Failure::of(format!("cannot publish {what}"), error),
            })?;
            self.published += 1;
            if !self.task.quiet {
                self.output.line(&id.0.to_string()).map_err(|failure| self.unread(failure))?;
            }
        }
        Ok(())
    }

    /// Who does not read identifiers on has not said that the rest is not to be published.
    fn unread(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Unread => Failure::new(
                Status::Failed,
                format!(
                    "nobody reads the identifiers, so no more is published after {} events; \
                     --quiet prints none",
                    self.published
                ),
            ),
            other => other,
        }
    }

    fn publish_lines(&mut self, mut source: Source) -> Result<(), Failure> {
        let mut line = Vec::new();
        let mut number = 1;
        while source.read_line(number, self.most, &mut line)? {
            self.publish(&line, &format!("line {number} of {}", source.name))?;
            number += 1;
        }
        Ok(())
    }
}

/// Keeps events apart by the time that their rate leaves for each.
struct Pace {
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        let interval = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self { interval, next: Instant::now() }
    }

    fn wait(&mut self) {
        let Some(interval) = self.interval else { return };
        let now = Instant::now();
        std::thread::sleep(self.next.saturating_duration_since(now));
        // Who is late does not make up for it.
        self.next = self.next.max(now) + interval;
    }
}
