//! A member in a process of its own: does what it is told on its standard input.

use crate::frames::{self, Answer, Order};
use crate::rig::MEMBER;
use SaEvt::transport::{self, Arrival, EngineConfig, Transport};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// Takes orders until nobody gives any.
pub(crate) fn run() -> ExitCode {
    let asked = std::env::var(MEMBER).expect("the test says what to attach to");
    let mut transport = open(&asked).expect("the transport opens");
    let (mut orders, mut answers) = (io::stdin().lock(), io::stdout().lock());
    while let Ok(frame) = frames::read(&mut orders) {
        let answer = obey(transport.as_mut(), Order::of_frame(&frame));
        if frames::write(&mut answers, &answer.to_frame()).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// `ENGINE SERVICE [quorum]`.
fn open(asked: &str) -> io::Result<Box<dyn Transport>> {
    let words: Vec<&str> = asked.split(' ').collect();
    let service = words[1].to_owned();
    let config = match words[0] {
        "corosync" => EngineConfig::Corosync { service, needs_quorum: words.len() == 3 },
        "tipc" => EngineConfig::Tipc { service },
        other => panic!("no engine {other}"),
    };
    transport::open(&config)
}

fn obey(transport: &mut dyn Transport, order: Order) -> Answer {
    let done = match order {
        Order::Own => return Answer::Own(transport.own()),
        Order::Facts => {
            let is_total = transport.order() == transport::Order::Total;
            let bytes = transport.message_bytes_max() as u64;
            return Answer::Facts(bytes, is_total, transport.carries_each());
        }
        Order::Receive => return receive(transport),
        Order::Bind(range) => transport.bind(range),
        Order::Unbind(range) => transport.unbind(range),
        Order::Watch(range) => transport.watch(range),
        Order::Multicast(to, message) => transport.multicast(to, &message),
        Order::Send(to, message) => transport.send(to, &message),
        Order::SendEach(to, tail) => transport.send_each(&to, &tail),
    };
    done.map_or_else(|error| Answer::of_error(&error), |()| Answer::Done)
}

/// Some of what has arrived: a round trip between processes costs much where machines are emulated.
fn receive(transport: &mut dyn Transport) -> Answer {
    let (mut arrivals, mut bytes) = (Vec::new(), 0);
    while arrivals.len() < 64 && bytes < 1 << 20 {
        match transport.try_receive() {
            Ok(Some(arrival)) => {
                bytes +=
                    if let Arrival::Message { bytes, .. } = &arrival { bytes.len() } else { 0 };
                arrivals.push(arrival);
            }
            Ok(None) => break,
            // It has ended: not a refusal that a test could expect.
            Err(error) => return Answer::Refused(ErrorKind::Other, error.to_string()),
        }
    }
    Answer::Heard(arrivals)
}
