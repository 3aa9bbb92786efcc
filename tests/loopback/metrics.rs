//! Counters for Prometheus, as a scraper gets them.

use crate::bed::{Bed, until};
use crate::{Outcome, Test};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

pub(crate) const TESTS: &[Test] = &[
    ("figures_are_told_to_those_who_ask", told),
    ("figures_are_told_on_a_port_of_this_host", port),
    ("scrapers_that_ask_for_nothing_or_read_nothing_disturb_nobody", slow),
    ("a_place_for_metrics_that_is_taken_is_one_clear_line", taken),
];

const ASK: &str = "GET /metrics HTTP/1.1\r\nHost: here\r\n\
                   Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.3\r\n\r\n";
const ASK_PLAINLY: &str = "GET /metrics HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n\r\n";

fn configuration(bed: &Bed, more: &str) -> String {
    format!("[metrics]\nlisten = \"unix:{}\"\n{more}", bed.path("metrics").display())
}

fn connect(bed: &Bed) -> UnixStream {
    UnixStream::connect(bed.path("metrics")).expect("the daemon listens")
}

/// Asks, and gives the head and the body of the answer.
fn ask(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let length = format!("Content-Length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    (head.to_owned(), body.to_owned())
}

/// Reads labels from behind the brace on: names and values, and what follows.
fn labels(mut text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label has a value");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().expect("a value ends") {
                (at, '"') => break at,
                (_, '\\') => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                    other => panic!("an escape {other:?}"),
                },
                (_, character) => value.push(character),
            }
        };
        assert_eq!(labels.insert(name.to_owned(), value), None, "{name} comes twice");
        match rest[end + 1..].split_at(1) {
            (",", more) => text = more,
            ("}", more) => return (labels, more),
            _ => panic!("no end of labels: {rest}"),
        }
    }
}

type Sample = (String, BTreeMap<String, String>);

/// Reads a text by the rules of OpenMetrics; fails where it breaks one.
fn parse(text: &str) -> BTreeMap<Sample, f64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let body = text.strip_suffix("# EOF\n").expect("it ends");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, more) = (words.next(), words.next(), words.next());
            let (name, more) = (name.expect("a name"), more.expect("more"));
            if matches!(what, Some("HELP" | "TYPE")) && name != family {
                assert!(families.insert(name.to_owned()), "{name} begins twice");
                name.clone_into(&mut family);
            }
            if what == Some("TYPE") {
                more.clone_into(&mut kind);
            }
            continue;
        }
        let end = line.find(['{', ' ']).expect("a sample has a value");
        let (name, rest) = line.split_at(end);
        let expected = if kind == "counter" { format!("{family}_total") } else { family.clone() };
        assert_eq!(name, expected, "{line}");
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest),
            None => (BTreeMap::new(), rest),
        };
        let value = value.trim_start().parse().unwrap_or_else(|_| panic!("a number: {line}"));
        let earlier = samples.insert((name.to_owned(), labels), value);
        assert_eq!(earlier, None, "{line} comes twice");
    }
    samples
}

fn of(samples: &BTreeMap<Sample, f64>, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
    let labels = label.map(|(name, value)| (name.to_owned(), value.to_owned()));
    samples.get(&(name.to_owned(), labels.into_iter().collect())).copied()
}

fn told() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon_with(&configuration(&bed, "channel_labels_max = 2\n"));
    let mut program = bed.ready();
    let before = daemon.descriptors_at_rest();
    // The second name breaks out of whatever does not keep it in.
    for channel in ["one", "x\"}\u{1b}[2J\\", "three"] {
        program.ok(&format!("open l {channel} psc 60000"));
        program.publish(channel, 3, 60_000, "kept");
    }
    program.ok("unlink l three");
    program.ok("open l three psc 60000");
    let (head, body) = ask(connect(&bed), ASK);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0;"), "{head}");
    let samples = parse(&body);
    assert_eq!(of(&samples, "saevt_events_published_total", None), Some(3.0), "{body}");
    assert_eq!(of(&samples, "saevt_channels", None), Some(4.0));
    assert_eq!(of(&samples, "saevt_programs", None), Some(1.0));
    assert_eq!(of(&samples, "saevt_retained_events", None), Some(3.0));
    let limit = of(&samples, "saevt_limit", Some(("limit", "channels_max")));
    assert_eq!(limit, Some(65536.0));
    let published =
        |channel| of(&samples, "saevt_channel_events_published_total", Some(("channel", channel)));
    assert_eq!(published("safChnl=one"), Some(1.0), "{body}");
    assert_eq!(published("safChnl=x\\\"}\\x1b[2J\\\\"), Some(1.0), "{body}");
    assert_eq!(published("safChnl=three"), None, "no more than are configured");
    let (head, plain) = ask(connect(&bed), ASK_PLAINLY);
    assert!(head.contains("Content-Type: text/plain; version=0.0.4;"), "{head}");
    assert!(plain.contains("\n# TYPE saevt_events_published_total counter\n"), "{plain}");
    assert!(plain.contains("\nsaevt_events_published_total 3\n"), "{plain}");
    // Who has said all it has to say gets its answer too.
    let mut stream = connect(&bed);
    stream.write_all(ASK.as_bytes()).map_err(|error| error.to_string())?;
    stream.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let (head, _) = ask(connect(&bed), request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    until(|| (daemon.descriptors_at_rest() == before).then_some(()));
    Ok(())
}

fn port() -> Outcome {
    let bed = Bed::new();
    // One that was free a moment ago; somebody who takes it meanwhile fails the test.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.map_err(|error| error.to_string())?;
    let _daemon = bed.daemon_with(&format!("[metrics]\nlisten = \"{address}\"\n"));
    let stream = until(|| TcpStream::connect(address).ok());
    assert_eq!(of(&parse(&ask(stream, ASK).1), "saevt_programs", None), Some(0.0));
    Ok(())
}

fn slow() -> Outcome {
    let bed = Bed::new();
    let daemon = bed.daemon_with(&configuration(&bed, "channel_labels_max = 10000\n"));
    let mut program = bed.ready();
    let long = "x".repeat(200);
    for number in 0..400 {
        program.ok(&format!("open l {long}{number} sc 60000"));
    }
    program.ok("open l c psc 60000");
    program.ok("sub c 1");
    // The answer is more than a socket takes. Late is not too late: it is there as a whole.
    let mut deaf = connect(&bed);
    deaf.write_all(ASK.as_bytes()).map_err(|error| error.to_string())?;
    parse(&ask(connect(&bed), ASK).1);
    let mut late = String::new();
    deaf.read_to_string(&mut late).map_err(|error| error.to_string())?;
    parse(late.split_once("\r\n\r\n").expect("a head and a body").1);
    let mut deaf = connect(&bed);
    deaf.write_all(ASK.as_bytes()).map_err(|error| error.to_string())?;
    let mut silent: Vec<_> = (0..6).map(|_| connect(&bed)).collect();
    silent[0].write_all(b"GET /metr").map_err(|error| error.to_string())?;
    let (_, body) = ask(connect(&bed), ASK);
    assert!(body.len() > 400_000, "{}", body.len());
    assert_eq!(of(&parse(&body), "saevt_channels", None), Some(401.0));
    // All places are taken: who has been there for longest is given up for who comes.
    silent.extend((0..20).map(|_| connect(&bed)));
    let (_, body) = ask(connect(&bed), ASK);
    parse(&body);
    let held = |mut stream: &UnixStream| {
        stream.set_nonblocking(true).is_ok() && stream.read(&mut [0; 1]).is_err()
    };
    let held = silent.iter().filter(|stream| held(stream)).count();
    assert_eq!(held, 7, "the newest of those who ask for nothing");
    program.publish("c", 3, 0, "well");
    // The answer comes after what was published.
    program.expect("unlink l nothing", "NotExist");
    program.ok("dispatch l all");
    assert_eq!(program.event(), "well");
    drop((silent, deaf, daemon));
    Ok(())
}

fn taken() -> Outcome {
    let bed = Bed::new();
    std::fs::write(bed.path("metrics"), "precious").map_err(|error| error.to_string())?;
    let configuration = configuration(&bed, "");
    let (status, errors) = crate::bed::outcome(&mut bed.daemon_command(&configuration));
    assert_eq!((status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("cannot listen for metrics on unix:"), "{errors}");
    let kept = std::fs::read(bed.path("metrics")).map_err(|error| error.to_string())?;
    assert_eq!(kept, b"precious");
    std::fs::remove_file(bed.path("metrics")).map_err(|error| error.to_string())?;
    let mut daemon = bed.daemon_with(&configuration);
    until(|| UnixStream::connect(bed.path("metrics")).ok());
    daemon.kill();
    // What a dead daemon has left is taken over, and what ends in order leaves nothing.
    // It answers programs when it listens for scrapers too.
    let mut daemon = bed.daemon_with(&configuration);
    bed.ready();
    ask(connect(&bed), ASK);
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    daemon.wait();
    assert!(!bed.path("metrics").exists());
    Ok(())
}
