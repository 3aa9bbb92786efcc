//! The program that tests run: it uses the library and does what its standard input says, a command
//! a line. It answers each with a line `= ANSWER`; lines `! NOTICE` tell of callbacks and of what
//! its other threads do. Events are told as `! event SUBSCRIPTION ID PRIORITY TEXT`, lost-events
//! as `! lost SUBSCRIPTION`.

use SaEvt::agent::{self, Callbacks, DispatchFlags, Handle, Version};
use SaEvt::evt::{
    Attributes, Error, EventId, Filter, FilterKind, Filters, Name, OpenFlags, Priority, Span,
    SubscriptionId,
};
use SaEvt::sys::descriptor;
use nix::sys::{prctl, signal};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Readable, in a poll set.
const READABLE: i16 = 1;

/// What the threads of a program share.
#[derive(Default)]
struct State {
    libraries: Mutex<BTreeMap<String, Handle>>,
    channels: Mutex<BTreeMap<String, Handle>>,
    invocations: Mutex<Vec<String>>,
    /// Callbacks so far.
    called: AtomicU64,
    /// Events are kept, and those that are.
    keeps: AtomicBool,
    kept: Mutex<Vec<(SubscriptionId, Handle)>>,
    /// Times that a selection object woke a polling thread, and how often nothing was there.
    wakes: AtomicU64,
    empty: AtomicU64,
}

type Shared = Arc<State>;
type Answer = Result<String, Error>;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever reads may be gone: then so is the reason to go on.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn shown<T: AsRef<str>>(answer: &Result<T, Error>) -> String {
    match answer {
        Ok(text) => text.as_ref().to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

struct Told(Shared);

impl Callbacks for Told {
    fn has_open(&self) -> bool {
        true
    }

    fn has_deliver(&self) -> bool {
        true
    }

    fn open(&self, invocation: u64, outcome: Result<Handle, Error>) {
        let name = self.0.invocations.lock().unwrap()[invocation as usize].clone();
        let said = shown(&outcome.map(|handle| {
            self.0.channels.lock().unwrap().insert(name.clone(), handle);
            "ok"
        }));
        self.0.called.fetch_add(1, Ordering::SeqCst);
        say(&format!("! opened {name} {said}"));
    }

    fn deliver(&self, subscription: SubscriptionId, event: Handle, _data_bytes: u64) {
        if self.0.keeps.load(Ordering::SeqCst) {
            self.0.kept.lock().unwrap().push((subscription, event));
            return;
        }
        let line = told(subscription, event);
        self.0.called.fetch_add(1, Ordering::SeqCst);
        // Before it is told: a test may end the library handle as soon as it knows.
        if let Err(error) = agent::event_free(event) {
            say(&format!("! not freed {error:?}"));
        }
        say(&line.unwrap_or_else(|error| format!("! unreadable {error:?}")));
    }
}

/// What is said of an event. Its data are asked for after its attributes, not while they are shown.
fn told(subscription: SubscriptionId, event: Handle) -> Result<String, Error> {
    let (id, priority) = agent::attributes(event, |view| Ok((view.id, view.priority.number())))?;
    if id == EventId::LOST {
        return Ok(format!("! lost {}", subscription.0));
    }
    let text = agent::data(event, |data| {
        let mut bytes = Vec::with_capacity(data.bytes());
        data.append_to(&mut bytes);
        let end = bytes.iter().position(|byte| *byte == b'.').unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at(end);
        // Behind the text come dots, or it is repeated to the end.
        let first = &bytes[..bytes.len().min(end + 1)];
        let whole = rest.iter().all(|byte| *byte == b'.')
            || bytes.chunks(first.len()).all(|chunk| first.starts_with(chunk));
        let damaged = if whole { "" } else { "damaged " };
        Ok(format!("{damaged}{}", String::from_utf8_lossy(text)))
    })?;
    Ok(format!("! event {} {} {priority} {text}", subscription.0, id.0))
}

/// Runs the program until its standard input ends.
pub(crate) fn run() -> ExitCode {
    // Nobody is left behind by a test that dies.
    prctl::set_pdeathsig(signal::Signal::SIGKILL).expect("asking for a signal always works");
    let mut chld = signal::SigSet::empty();
    chld.add(signal::Signal::SIGCHLD);
    chld.thread_block().expect("blocking a signal always works");
    let state = Shared::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["&", rest @ ..] => {
                let (state, rest) = (Arc::clone(&state), rest.join(" "));
                std::thread::spawn(move || {
                    let words: Vec<&str> = rest.split(' ').collect();
                    let answer = shown(&obey(&state, &words));
                    say(&format!("! done {} {answer}", words[0]));
                });
                say("= ok");
            }
            words => say(&format!("= {}", shown(&obey(&state, words)))),
        }
    }
    ExitCode::SUCCESS
}

fn library(state: &State, name: &str) -> Result<Handle, Error> {
    state.libraries.lock().unwrap().get(name).copied().ok_or(Error::BadHandle)
}

fn channel(state: &State, name: &str) -> Result<Handle, Error> {
    state.channels.lock().unwrap().get(name).copied().ok_or(Error::BadHandle)
}

fn named(name: &str) -> Name {
    Name::new(format!("safChnl={name}").as_bytes()).expect("tests use short names")
}

fn flags(letters: &str) -> OpenFlags {
    let mut flags = OpenFlags::empty();
    flags.set(OpenFlags::PUBLISHER, letters.contains('p'));
    flags.set(OpenFlags::SUBSCRIBER, letters.contains('s'));
    flags.set(OpenFlags::CREATE, letters.contains('c'));
    flags
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().ok().expect("tests write numbers")
}

fn ok<T>(result: Result<T, Error>) -> Answer {
    result.map(|_| "ok".to_owned())
}

/// Does one command. Channels are called by the words of the test, and so are library handles.
fn obey(state: &Shared, words: &[&str]) -> Answer {
    match *words {
        ["init", name] => {
            let handle = agent::initialize(Version::B03, Box::new(Told(Arc::clone(state))))?;
            state.libraries.lock().unwrap().insert(name.to_owned(), handle);
            Ok("ok".into())
        }
        ["finalize", name] => ok(agent::finalize(library(state, name)?)),
        ["open", lib, name, letters, milliseconds] => {
            let nanoseconds = number::<i64>(milliseconds) * 1_000_000;
            let (name, as_name) = name.split_once('=').unwrap_or((name, name));
            let (library, letters) = (library(state, lib)?, flags(letters));
            let handle = agent::channel_open(library, &named(name), letters, nanoseconds)?;
            state.channels.lock().unwrap().insert(as_name.to_owned(), handle);
            Ok("ok".into())
        }
        ["openasync", lib, name, letters] => {
            let mut invocations = state.invocations.lock().unwrap();
            let invocation = invocations.len() as u64;
            invocations.push(name.to_owned());
            drop(invocations);
            let library = library(state, lib)?;
            ok(agent::channel_open_async(library, invocation, &named(name), flags(letters)))
        }
        ["close", name] => ok(agent::channel_close(channel(state, name)?)),
        ["unlink", lib, name] => ok(agent::channel_unlink(library(state, lib)?, &named(name))),
        ["sub", name, id, ref rest @ ..] => {
            let filters = rest
                .iter()
                .map(|text| Filter { kind: FilterKind::Exact, bytes: text.as_bytes().to_vec() });
            let id = SubscriptionId(number(id));
            ok(agent::subscribe(channel(state, name)?, Filters(filters.collect()), id))
        }
        ["unsub", name, id] => {
            ok(agent::unsubscribe(channel(state, name)?, SubscriptionId(number(id))))
        }
        ["clear", name, id] => {
            ok(agent::retention_clear(channel(state, name)?, EventId(number(id))))
        }
        _ => obey_more(state, words),
    }
}

fn obey_more(state: &Shared, words: &[&str]) -> Answer {
    match *words {
        ["pub", name, priority, milliseconds, text] => {
            publish(channel(state, name)?, number(priority), number(milliseconds), text)
                .map(|id| id.0.to_string())
        }
        ["padded", name, priority, milliseconds, text, bytes] => {
            let dots = number::<usize>(bytes) - text.len();
            let text = format!("{text}{}", ".".repeat(dots));
            publish(channel(state, name)?, number(priority), number(milliseconds), &text)
                .map(|id| id.0.to_string())
        }
        ["large", name, priority, text, bytes] => {
            let bytes = number::<usize>(bytes);
            let text: String = text.chars().chain(['.']).cycle().take(bytes).collect();
            publish(channel(state, name)?, number(priority), 0, &text).map(|id| id.0.to_string())
        }
        ["keep", whether] => {
            state.keeps.store(whether == "yes", Ordering::SeqCst);
            Ok("ok".into())
        }
        ["kept"] => Ok(state.kept.lock().unwrap().len().to_string()),
        ["release"] => release(state),
        ["local", name] => local(channel(state, name)?),
        ["limit", lib] => ok(agent::limits(library(state, lib)?)),
        ["object", lib] => ok(agent::selection_object(library(state, lib)?)),
        ["ready", lib] => {
            let object = agent::selection_object(library(state, lib)?)?;
            let [events] = descriptor::poll([(object, READABLE)], Some(0)).expect("poll works");
            Ok(if events == 0 { "no" } else { "yes" }.into())
        }
        ["dispatch", lib, much] => {
            let much = if much == "one" { DispatchFlags::One } else { DispatchFlags::All };
            ok(agent::dispatch(library(state, lib)?, much))
        }
        ["block", lib] => ok(agent::dispatch(library(state, lib)?, DispatchFlags::Blocking)),
        ["poll", lib] => poll(state, library(state, lib)?),
        ["wakes"] => {
            let (wakes, empty) = (&state.wakes, &state.empty);
            Ok(format!("{} {}", wakes.load(Ordering::SeqCst), empty.load(Ordering::SeqCst)))
        }
        ["storm", name, first, count, every] => {
            storm(channel(state, name)?, number(first), number(count), number(every))
        }
        ["insist", name, refusals] => insist(channel(state, name)?, number(refusals)),
        ["rush", name] => {
            let channel = channel(state, name)?;
            std::thread::spawn(move || say(&format!("! done rush {}", rush(channel))));
            Ok("ok".into())
        }
        ["childless"] => Ok(format!("{:?}", nix::sys::wait::wait().err())),
        ["exit"] => std::process::exit(0),
        ["exec"] => {
            let mut command = std::process::Command::new("cat");
            let error = std::os::unix::process::CommandExt::exec(&mut command);
            panic!("cat does not run: {error}");
        }
        _ => panic!("no such command: {words:?}"),
    }
}

fn publish(channel: Handle, priority: u8, milliseconds: u64, text: &str) -> Result<EventId, Error> {
    let event = agent::event_allocate(channel)?;
    let priority = Priority::new(priority).expect("tests use priorities 0 to 3");
    let retention = Span(milliseconds * 1_000_000);
    let patterns = [text.split('.').next().unwrap_or("").as_bytes()];
    let published = agent::attributes_set(event, priority, retention, |_| {
        Attributes::pack(&Name::EMPTY, patterns.into_iter())
    })
    .and_then(|()| agent::publish(event, text.as_bytes()));
    agent::event_free(event)?;
    published
}

/// Tells the events that were kept, and frees them.
fn release(state: &State) -> Answer {
    for (subscription, event) in std::mem::take(&mut *state.kept.lock().unwrap()) {
        say(&told(subscription, event)?);
        agent::event_free(event)?;
    }
    Ok("ok".into())
}

/// The functions that need no service.
fn local(channel: Handle) -> Answer {
    let event = agent::event_allocate(channel)?;
    agent::attributes_set(event, Priority::HIGHEST, Span::ZERO, |_| Attributes::empty())?;
    agent::attributes(event, |view| {
        assert_eq!(view.id, EventId::NONE);
        Ok(())
    })?;
    ok(agent::event_free(event))
}

/// Dispatches whenever the selection object asks, and calls nothing else.
fn poll(state: &State, library: Handle) -> Answer {
    let object = agent::selection_object(library)?;
    loop {
        descriptor::poll([(object, READABLE)], None).expect("poll works");
        let before = state.called.load(Ordering::SeqCst);
        agent::dispatch(library, DispatchFlags::All)?;
        if state.called.load(Ordering::SeqCst) == before {
            state.empty.fetch_add(1, Ordering::SeqCst);
        }
        state.wakes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Publishes `count` numbered events, each until it is taken; every so many (`every`; 0: none) with
/// a minute of retention. Rests after some, so that subscribers that tell each event can follow.
fn storm(channel: Handle, first: u64, count: u64, every: u64) -> Answer {
    const AT_ONCE: u64 = 64;
    let mut refused = 0_u64;
    // How long a rest is does not matter: it leaves the processor to others.
    let rest = || descriptor::poll([(-1, READABLE)], Some(1_000_000)).expect("poll works");
    for number in first..first + count {
        let retained = every > 0 && number % every == 0;
        let (milliseconds, letter) = if retained { (60_000, 'r') } else { (0, 'e') };
        let text = format!("{letter}{number}");
        loop {
            match publish(channel, 2, milliseconds, &text) {
                Ok(_) => break,
                Err(Error::TryAgain | Error::Timeout) => refused += 1,
                Err(error) => return Err(error),
            }
            rest();
        }
        if number % AT_ONCE == 0 {
            rest();
        }
    }
    Ok(format!("refused {refused}"))
}

/// Publishes large events without a pause, until that has been refused so often and some were taken
/// afterwards. Says when it has been refused so often, and whether each event had the id that
/// follows the one of the event before.
fn insist(channel: Handle, refusals: u64) -> Answer {
    const AFTERWARDS: u64 = 100;
    let text = format!("i{}", ".".repeat(60_000));
    let mut last = publish(channel, 2, 0, &text)?.0;
    let (mut refused, mut taken) = (0, 0);
    while taken < AFTERWARDS {
        match publish(channel, 2, 0, &text) {
            Ok(id) if id.0 != last + 1 => return Ok(format!("{} follows {last}", id.0)),
            Ok(id) => {
                last = id.0;
                taken += u64::from(refused >= refusals);
            }
            Err(Error::TryAgain) => {
                refused += 1;
                if refused == refusals {
                    say("! refused");
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok("one after the other".into())
}

/// Publishes until that is refused with nobody at the other end; gives how many were taken. There
/// is a publication within each millisecond, so that most of them come too soon for a look.
fn rush(channel: Handle) -> u64 {
    let mut taken = 0;
    let mut refused = 0;
    // A full outbox is refused too; a daemon that lives makes room between two tries.
    while refused < 50 {
        match publish(channel, 2, 0, &format!("e{taken}")) {
            Ok(_) => (taken, refused) = (taken + 1, 0),
            Err(_) => refused += 1,
        }
        if refused > 0 {
            descriptor::poll([(-1, READABLE)], Some(1_000_000)).expect("poll works");
        }
        // Slow enough for those who write down what they hear.
        let published = Instant::now();
        while published.elapsed() < Duration::from_micros(50) {
            std::hint::spin_loop();
        }
    }
    taken
}
