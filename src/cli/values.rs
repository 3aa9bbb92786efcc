//! What single arguments are made of.

use super::format::Format;
use super::text;
use SaEvt::api::{Filter, FilterKind, Name, Priority};
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// The time between two looks: not so short that looking is all that happens.
pub(super) fn interval(argument: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(3600);
    let time = text::duration(argument)?;
    if (LEAST..=MOST).contains(&time) { Ok(time) } else { Err("use 100ms to 1h".to_owned()) }
}

/// A whole number within bounds; what is wrong with another is told with them.
fn whole(argument: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = argument.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| match most {
        u64::MAX => format!("write a whole number, {least} or more"),
        _ => format!("write a whole number from {least} to {most}"),
    })
}

pub(super) fn at_least_one(argument: &str) -> Result<u64, String> {
    whole(argument, 1, u64::MAX)
}

/// How many of something run at once.
pub(super) fn up_to<const MOST: u16>(argument: &str) -> Result<u16, String> {
    whole(argument, 1, u64::from(MOST)).map(|number| number as u16)
}

/// Bytes of an event.
pub(super) fn event_bytes(argument: &str) -> Result<u32, String> {
    // What saevtd.conf(5) allows at most.
    const MOST: u64 = 64 << 20;
    whole(argument, 0, MOST).map(|number| number as u32)
}

/// The identifier of an event; those below are no events.
pub(super) fn event_id(argument: &str) -> Result<u64, String> {
    whole(argument, 1001, u64::MAX)
        .map_err(|_| "write a number above 1000, as publish, watch and retained show it".to_owned())
}

/// The time of a measurement: long enough to measure something.
pub(super) fn measuring_time(argument: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(10);
    let time = text::duration(argument)?;
    if time < LEAST { Err("use 10ms or more".to_owned()) } else { Ok(time) }
}

/// A name that a channel can have.
pub(super) fn name() -> impl TypedValueParser<Value = Name> {
    OsStringValueParser::new().try_map(|argument| match octets(&argument, Name::OCTETS_MAX)? {
        octets if octets.is_empty() => Err("a channel has a name; give one".to_owned()),
        octets => Name::new(&octets).map_err(|error| error.to_string()),
    })
}

pub(super) fn publisher() -> impl TypedValueParser<Value = Name> {
    OsStringValueParser::new().try_map(|argument| {
        let octets = octets(&argument, Name::OCTETS_MAX)?;
        Name::new(&octets).map_err(|error| error.to_string())
    })
}

pub(super) fn pattern() -> impl TypedValueParser<Value = Vec<u8>> {
    OsStringValueParser::new().try_map(|argument| text::unescape(&argument))
}

pub(super) fn filter() -> impl TypedValueParser<Value = Filter> {
    OsStringValueParser::new().try_map(|argument| filter_of(&argument))
}

/// Octets of an argument, at most so many.
fn octets(argument: &OsStr, most: usize) -> Result<Vec<u8>, String> {
    let octets = text::unescape(argument)?;
    if octets.len() > most {
        return Err(format!("it has {} bytes, and {most} are allowed", octets.len()));
    }
    Ok(octets)
}

fn filter_of(argument: &OsStr) -> Result<Filter, String> {
    let bytes = argument.as_bytes();
    let (kind, rest) = match bytes.iter().position(|byte| *byte == b':') {
        Some(colon) => (&bytes[..colon], Some(&bytes[colon + 1..])),
        None => (bytes, None),
    };
    let kind = match (kind, rest) {
        (b"prefix", Some(_)) => FilterKind::Prefix,
        (b"suffix", Some(_)) => FilterKind::Suffix,
        (b"exact", Some(_)) => FilterKind::Exact,
        (b"any", None) => FilterKind::PassAll,
        _ => return Err("write prefix:BYTES, suffix:BYTES, exact:BYTES or any".to_owned()),
    };
    let bytes = text::unescape(OsStr::from_bytes(rest.unwrap_or_default()))?;
    Ok(Filter { kind, bytes })
}

pub(super) fn priority(argument: &str) -> Result<Priority, String> {
    let number = argument.parse::<u8>().ok();
    let priority = number.and_then(|number| Priority::new(number).ok());
    priority.ok_or_else(|| "write 0 for the highest, 1, 2, or 3 for the lowest".to_owned())
}

pub(super) fn retention(argument: &str) -> Result<Duration, String> {
    match argument {
        "forever" => Ok(Duration::MAX),
        _ => match text::duration(argument) {
            Ok(Duration::ZERO) => Err("write a time above zero, or leave the option out".into()),
            other => other.map_err(|fix| format!("{fix}, or forever")),
        },
    }
}

/// How events are shown; fields are all in ASCII, so that text around them alone can be wrong.
pub(super) fn format() -> impl TypedValueParser<Value = Format> {
    OsStringValueParser::new().try_map(|argument| match argument.to_str() {
        Some(text) => Format::parse(text),
        None => Err("it has bytes that are no UTF-8".to_owned()),
    })
}

pub(super) fn rate(argument: &str) -> Result<f64, String> {
    // One in a day is as seldom as anybody wants.
    const LEAST: f64 = 1.0 / 86_400.0;
    let rate = argument.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= LEAST);
    rate.ok_or_else(|| "write a number of events in a second, such as 100 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_a_kind_and_bytes() {
        let filter = |text: &str| filter_of(OsStr::new(text));
        assert_eq!(filter("prefix:ov"), Ok(Filter::prefix("ov")));
        assert_eq!(filter("suffix:a:b"), Ok(Filter::suffix("a:b")));
        assert_eq!(filter("exact:"), Ok(Filter::exact("")));
        assert_eq!(filter("exact:oven\\0"), Ok(Filter::exact("oven\0")));
        assert_eq!(filter("any"), Ok(Filter::pass_all()));
        for wrong in ["", "oven", "any:x", "Prefix:x", "exact", "exact:\\q"] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_bounds_which_are_told() {
        assert_eq!(at_least_one("1"), Ok(1));
        assert_eq!(up_to::<256>("256"), Ok(256));
        assert_eq!(event_id("1001"), Ok(1001));
        for wrong in ["0", "-1", "x", "1.5", "18446744073709551616", ""] {
            assert_eq!(at_least_one(wrong), Err("write a whole number, 1 or more".into()));
            assert_eq!(up_to::<64>(wrong), Err("write a whole number from 1 to 64".into()));
        }
        assert!(event_id("1000").is_err() && event_bytes("67108865").is_err());
        assert!(measuring_time("0").is_err() && measuring_time("10ms").is_ok());
        for wrong in ["0", "-1", "inf", "nan", "1e-300"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_retention_of_nothing_is_no_retention() {
        assert_eq!(retention("forever"), Ok(Duration::MAX));
        assert_eq!(retention("10s"), Ok(Duration::from_secs(10)));
        assert!(retention("0").is_err() && retention("for ever").is_err());
    }
}
