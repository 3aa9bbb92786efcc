//! Counters for Prometheus: a listener, and the scrapers that it has let in.
//!
//! All of it is a part of the event loop and bounded: so many scrapers at once, a request of a few
//! kilobytes, an answer that is made at most every so often and of so many channels, a time after
//! which a scraper is given up. Nobody is waited for.

mod text;

use super::client::Linked;
use super::{Server, complain, token};
use crate::evt::{Span, Time};
use crate::sys::descriptor;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use text::{ChannelFigures, Figures};

/// Scrapers that are served at once. Beyond, the one that has been there for longest is given up
/// for a new one, so that nobody who asks for nothing, or reads nothing, keeps others out. One
/// monitoring system has one, and an administrator looks now and then.
const SCRAPERS_MAX: usize = 8;
/// Bytes of a request with all its headers.
const REQUEST_BYTES_MAX: usize = 8192;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a scraper may take from its connection to the end of the answer.
const SCRAPE_TIME: Span = Span(10_000_000_000);
/// How long an answer is given again instead of a new one being made.
const ANSWER_AGE: Span = Span(100_000_000);
/// What the answer is in, for who says that it takes this.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What it is in for others.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the figures are to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A port of this host.
    Loopback(SocketAddr),
}

impl Address {
    /// Reads `unix:PATH` or `ADDRESS:PORT`.
    ///
    /// # Errors
    ///
    /// What is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FIX: &str = "use unix:/PATH, or a loopback address and a port such as 127.0.0.1:9464";
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(FIX.to_owned()) };
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            _ => Err(FIX.to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(address) => address.fmt(f),
        }
    }
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(to),
            Self::Tcp(stream) => stream.read(to),
        }
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(from),
            Self::Tcp(stream) => stream.write(from),
        }
    }
}

impl Listener {
    fn bind(address: &Address, mode: u32) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                clear_stale(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(listener))
            }
            Address::Loopback(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(listener))
            }
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        let stream = match self {
            Self::Unix(listener) => Stream::Unix(listener.accept()?.0),
            Self::Tcp(listener) => Stream::Tcp(listener.accept()?.0),
        };
        match &stream {
            Stream::Unix(stream) => stream.set_nonblocking(true)?,
            Stream::Tcp(stream) => stream.set_nonblocking(true)?,
        }
        Ok(stream)
    }
}

/// Removes a socket that a dead daemon left; anything else is not ours to remove.
fn clear_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            _ => Err(io::Error::from(ErrorKind::AddrInUse)),
        },
        Ok(_) => Err(io::Error::other("something that is no socket is there")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Somebody who asks for the figures.
#[derive(Debug)]
struct Scraper {
    stream: Stream,
    generation: u32,
    until: Time,
    request: Vec<u8>,
    answer: Option<(Rc<[u8]>, usize)>,
}

/// What a request asks for.
enum Asked {
    /// It has not come as a whole.
    Later,
    /// The figures, by OpenMetrics if that is accepted.
    Figures { open: bool },
    /// An answer without figures.
    Refused(&'static str),
}

fn judge(request: &[u8]) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Partial) if request.len() < REQUEST_BYTES_MAX => Asked::Later,
        Ok(httparse::Status::Complete(_)) => {
            let path = parsed.path.unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default();
            match (parsed.method, path) {
                (Some("GET"), "/metrics") => Asked::Figures { open: accepts_open(parsed.headers) },
                (Some("GET"), _) => Asked::Refused("404 Not Found"),
                _ => Asked::Refused("405 Method Not Allowed"),
            }
        }
        _ => Asked::Refused("400 Bad Request"),
    }
}

/// Whether a request says that it takes OpenMetrics.
fn accepts_open(headers: &[httparse::Header<'_>]) -> bool {
    let mut accepted = headers.iter().filter(|it| it.name.eq_ignore_ascii_case("accept"));
    let (kind, _) = OPEN_METRICS.split_once(';').unwrap_or((OPEN_METRICS, ""));
    accepted.any(|header| String::from_utf8_lossy(header.value).contains(kind))
}

fn answer(status: &str, kind: &str, body: &[u8]) -> Rc<[u8]> {
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer.into()
}

impl Scraper {
    /// Reads what has come. `Err`: it is to be given up.
    fn hear(&mut self) -> io::Result<Asked> {
        let mut buffer = [0; 1024];
        while self.request.len() < REQUEST_BYTES_MAX {
            match self.stream.read(&mut buffer) {
                // Who says no more may still listen.
                Ok(0) => {
                    return match judge(&self.request) {
                        Asked::Later => Err(io::Error::from(ErrorKind::UnexpectedEof)),
                        asked => Ok(asked),
                    };
                }
                Ok(bytes) => self.request.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(judge(&self.request))
    }

    /// Writes what its socket takes. True when that was all.
    fn speak(&mut self) -> io::Result<bool> {
        let Some((answer, sent)) = &mut self.answer else { return Ok(false) };
        while *sent < answer.len() {
            match self.stream.write(&answer[*sent..]) {
                Ok(bytes) => *sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The figures and who asks for them.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: Listener,
    address: Address,
    scrapers: Vec<Option<Scraper>>,
    generation: u32,
    /// The answers of a while ago: plain, and by OpenMetrics.
    made: Option<(Time, [Rc<[u8]>; 2])>,
}

impl Metrics {
    /// Listens.
    ///
    /// # Errors
    ///
    /// One line.
    pub(super) fn listen(address: &Address, mode: u32) -> Result<Self, String> {
        let listener = Listener::bind(address, mode)
            .map_err(|error| format!("cannot listen for metrics on {address}: {error}"))?;
        let address = address.clone();
        Ok(Self { listener, address, scrapers: Vec::new(), generation: 0, made: None })
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// When a scraper is to be given up.
    pub(super) fn due(&self) -> Option<Time> {
        self.scrapers.iter().flatten().map(|scraper| scraper.until).min()
    }

    /// A place for another scraper: a free one, or that of the one that has been there for longest.
    fn place(&mut self) -> usize {
        if let Some(free) = self.scrapers.iter().position(Option::is_none) {
            return free;
        }
        if self.scrapers.len() < SCRAPERS_MAX {
            self.scrapers.push(None);
            return self.scrapers.len() - 1;
        }
        let until = |place: &usize| self.scrapers[*place].as_ref().map(|scraper| scraper.until);
        let oldest = (0..self.scrapers.len()).min_by_key(until).unwrap_or_default();
        self.scrapers[oldest] = None;
        oldest
    }

    /// Gives up scrapers that have taken too long.
    pub(super) fn pass_time(&mut self, now: Time) {
        for place in &mut self.scrapers {
            place.take_if(|scraper| scraper.until <= now);
        }
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // Gone already is as good as removed.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Server {
    /// Lets in who wants the figures.
    pub(super) fn accept_scrapers(&mut self) {
        for _ in 0..SCRAPERS_MAX {
            let Some(metrics) = &mut self.metrics else { return };
            let stream = match metrics.listener.accept() {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    // Its readiness would be reported at each look.
                    complain(format_args!("no more metrics: {error}"));
                    let listener = metrics.listener.as_fd().as_raw_fd();
                    descriptor::epoll_remove(self.epoll.as_fd(), listener);
                    self.metrics = None;
                    return;
                }
            };
            metrics.generation = metrics.generation.wrapping_add(1);
            let generation = metrics.generation;
            let slot = metrics.place();
            let events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32;
            let token = token(super::SCRAPER, slot, generation);
            let member = stream.as_fd().as_raw_fd();
            if descriptor::epoll_add(self.epoll.as_fd(), member, events, token).is_err() {
                continue;
            }
            metrics.scrapers[slot] = Some(Scraper {
                stream,
                generation,
                until: self.now.after(SCRAPE_TIME),
                request: Vec::new(),
                answer: None,
            });
        }
    }

    /// Goes on with a scraper whose socket has something or takes something.
    pub(super) fn serve_scraper(&mut self, slot: usize, generation: u32) {
        let place = self.metrics.as_mut().and_then(|metrics| metrics.scrapers.get_mut(slot));
        let found = place.and_then(|place| place.take_if(|it| it.generation == generation));
        let Some(mut scraper) = found else { return };
        if scraper.answer.is_none() {
            scraper.answer = match scraper.hear() {
                Err(_) => return,
                Ok(Asked::Later) => None,
                Ok(Asked::Figures { open }) => {
                    let [plain, by_open] = self.figures();
                    Some((if open { by_open } else { plain }, 0))
                }
                Ok(Asked::Refused(status)) => {
                    let body = format!("{status}; GET /metrics has the figures\n");
                    Some((answer(status, "text/plain", body.as_bytes()), 0))
                }
            };
        }
        if scraper.speak().is_ok_and(|done| !done)
            && let Some(metrics) = &mut self.metrics
        {
            metrics.scrapers[slot] = Some(scraper);
        }
    }

    /// The answers with the figures of now, or of a moment ago: plain, and by OpenMetrics.
    fn figures(&mut self) -> [Rc<[u8]>; 2] {
        let recent = self.metrics.as_ref().and_then(|metrics| metrics.made.clone());
        if let Some((at, made)) = recent
            && at.after(ANSWER_AGE) > self.now
        {
            return made;
        }
        let figures = Figures {
            start_seconds: self.since as f64 / 1e9,
            totals: self.core.totals(),
            refusals: self.refusals,
            skipped: self.skipped(),
            limits: super::config::limit_values(self.core.limits()),
            channels: self.channel_figures(),
        };
        let text = figures.text();
        let made = [
            answer("200 OK", PLAIN, text::plain(&text).as_bytes()),
            answer("200 OK", OPEN_METRICS, text.as_bytes()),
        ];
        if let Some(metrics) = &mut self.metrics {
            metrics.made = Some((self.now, made.clone()));
        }
        made
    }

    /// Publications above the limits, of the programs that are connected.
    fn skipped(&self) -> u64 {
        let linked = self.clients.iter().flatten().filter_map(|client| client.linked.as_ref());
        linked.map(|linked: &Linked| linked.skipped).sum()
    }

    /// The figures of so many channels as are configured, those that have been there for longest
    /// first. Channels without a name are left out, as their names may be those of others.
    fn channel_figures(&self) -> Vec<ChannelFigures> {
        const SLOTS: u32 = 1024;
        let most = self.config.channel_labels_max as usize;
        let mut all = Vec::new();
        if most == 0 {
            return all;
        }
        let mut next = Some(0);
        while let Some(from) = next.filter(|_| all.len() < most) {
            next = self.core.channels_page(from, SLOTS, &mut |channel| {
                if channel.linked && all.len() < most {
                    all.push(ChannelFigures::of(&channel));
                }
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_of_the_file_system_and_ports_of_this_host() {
        assert_eq!(Address::parse("unix:/run/x"), Ok(Address::Unix("/run/x".into())));
        for good in ["127.0.0.1:9464", "[::1]:9464", "127.9.9.9:1"] {
            assert_eq!(Address::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "unix:run/x", "0.0.0.0:9464", "192.168.1.1:9464", "9464", "localhost:1"] {
            assert!(Address::parse(bad).unwrap_err().starts_with("use unix:/PATH"), "{bad}");
        }
    }

    #[test]
    fn a_request_is_judged_when_it_has_come_as_a_whole() {
        let judged = |request: &str| match judge(request.as_bytes()) {
            Asked::Later => "later",
            Asked::Figures { open: false } => "figures",
            Asked::Figures { open: true } => "figures by OpenMetrics",
            Asked::Refused(status) => status,
        };
        let whole = "GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(judged(&whole[..end]), "later", "{end}");
        }
        assert_eq!(judged(whole), "figures");
        let open = "GET /metrics HTTP/1.1\r\naccept: text/plain;q=0.5,\
                    application/openmetrics-text;version=1.0.0\r\n\r\n";
        assert_eq!(judged(open), "figures by OpenMetrics");
        assert_eq!(judged("GET / HTTP/1.0\r\n\r\n"), "404 Not Found");
        assert_eq!(judged("POST /metrics HTTP/1.1\r\n\r\n"), "405 Method Not Allowed");
        assert_eq!(judged("\x01\x02\r\n\r\n"), "400 Bad Request");
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(REQUEST_BYTES_MAX));
        assert_eq!(judged(&long), "400 Bad Request");
    }
}
