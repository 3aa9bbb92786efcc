//! Bytes, times and sizes as people read and write them.

use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Bytes that came from anybody, made safe for a terminal and for a line: printable characters as
/// they are, a backslash doubled, all else as `\n`, `\r`, `\t` or `\xNN`, byte by byte.
///
/// [`unescape`] is its inverse, so what is shown can be given back.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => shown.push_str("\\\\"),
                '\n' => shown.push_str("\\n"),
                '\r' => shown.push_str("\\r"),
                '\t' => shown.push_str("\\t"),
                '\'' | '"' => shown.push(character),
                // The standard library knows what has no picture or changes that of others.
                _ if character.escape_debug().len() == 1 => shown.push(character),
                _ => escape_bytes(character.encode_utf8(&mut [0; 4]).as_bytes(), &mut shown),
            }
        }
        escape_bytes(chunk.invalid(), &mut shown);
    }
    shown
}

fn escape_bytes(bytes: &[u8], shown: &mut String) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(shown, "\\x{byte:02x}");
    }
}

/// The bytes of an argument in which `\\`, `\n`, `\r`, `\t`, `\0` and `\xNN` stand for what cannot
/// be typed.
///
/// `Err`: another backslash, told for people.
pub(super) fn unescape(text: &OsStr) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (plain, taken) = match rest {
            [b'\\', ..] => (b'\\', 1),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'0', ..] => (0, 1),
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (digit(*high) << 4 | digit(*low), 3)
            }
            _ => return Err("a backslash is written \\\\, a byte \\xNN".to_owned()),
        };
        bytes.push(plain);
        rest = &rest[taken..];
    }
    Ok(bytes)
}

fn digit(character: u8) -> u8 {
    char::from(character).to_digit(16).map_or(0, |digit| digit as u8)
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

/// A duration as people write it: `10s`, `1m30s`, `250ms`, `2 hours`, or a number of seconds.
///
/// `Err`: what is wrong, told for people.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const FIX: &str = "write a time such as 10s, 1m30s, 250ms or 2h";
    let seconds = text.parse::<f64>().ok();
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).map_err(|_| FIX.to_owned());
    }
    let span: Span = text.parse().map_err(|_| FIX.to_owned())?;
    // A day has 24 hours here, whatever the clocks do.
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours());
    Duration::try_from(signed.map_err(|_| FIX.to_owned())?).map_err(|_| FIX.to_owned())
}

/// A duration for people, with two units at most: `1m 30s`.
pub(super) fn span(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let seconds = duration.as_secs();
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{:.1}us", nanoseconds as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", nanoseconds as f64 / 1e6),
        _ if seconds < 60 => format!("{:.1}s", duration.as_secs_f64()),
        _ if seconds < 3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ if seconds < 86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Bytes for people: `512 B`, `1.5 KiB`.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Nanoseconds since the epoch as date and time of this host's time zone, with microseconds.
pub(super) fn date(nanoseconds: i64) -> String {
    zoned(nanoseconds, "%Y-%m-%d %H:%M:%S%.6f")
}

/// The same without the date.
pub(super) fn time(nanoseconds: i64) -> String {
    zoned(nanoseconds, "%H:%M:%S%.6f")
}

fn zoned(nanoseconds: i64, format: &str) -> String {
    match Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(moment) => moment.to_zoned(TimeZone::system()).strftime(format).to_string(),
        Err(_) => nanoseconds.to_string(),
    }
}

/// Nanoseconds since the epoch in the form of RFC 3339, in UTC.
pub(super) fn rfc3339(nanoseconds: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(moment) => format!("{moment:.9}"),
        Err(_) => nanoseconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_hides_text_is_shown_as_it_is() {
        for hostile in ["\x1b[2J", "\r", "\u{9b}31m", "\u{202e}", "\u{200b}", "\x07", "\u{2028}"] {
            let shown = escape(hostile.as_bytes());
            assert!(shown.chars().all(|c| !c.is_control() && c.is_ascii()), "{shown}");
            assert!(shown.starts_with('\\'), "{shown}");
        }
        assert_eq!(escape(b"a\x1b[2J\xff\\"), "a\\x1b[2J\\xff\\\\");
        assert_eq!(escape("Küche \"1\"".as_bytes()), "Küche \"1\"");
    }

    #[test]
    fn what_is_shown_can_be_given_back() {
        let all: Vec<u8> = (0..=255).chain("Grüße\u{301}\u{202e}".bytes()).collect();
        assert_eq!(unescape(OsStr::new(&escape(&all))).unwrap(), all);
        assert_eq!(unescape(OsStr::new("oven\\0")).unwrap(), b"oven\0");
        for wrong in ["\\", "\\q", "\\x1", "\\xg0"] {
            assert!(unescape(OsStr::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2 hours"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "soon", "-1", "-5s", "nan", "10 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_shown_with_units_that_fit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(span(Duration::from_secs(90)), "1m 30s");
        assert_eq!(span(Duration::from_micros(1500)), "1.5ms");
        assert_eq!(span(Duration::from_secs(90_000)), "1d 1h");
        assert_eq!(rfc3339(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
        assert_eq!(rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }
}
