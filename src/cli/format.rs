//! Events for people: the format that the user gives, and data in hexadecimal digits.

use super::text::{self, escape};
use SaEvt::api::{Event, Lost};
use std::fmt::Write as _;
use std::time::Duration;

/// How events are shown unless the user says otherwise.
pub(super) const USUAL: &str = "{time} {channel} {priority} [{patterns}] {data}";
/// How they are shown above their data in hexadecimal digits.
pub(super) const ABOVE_HEX: &str = "{time} {channel} {priority} [{patterns}] {bytes} bytes";
/// Bytes in a line of hexadecimal digits.
const HEX_LINE: usize = 16;

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Time,
    Date,
    Nanoseconds,
    Channel,
    Id,
    Priority,
    Publisher,
    Patterns,
    Pattern(usize),
    Retention,
    Bytes,
    Data,
    Hex,
}

const FIELDS: [(&str, Field); 12] = [
    ("time", Field::Time),
    ("date", Field::Date),
    ("ns", Field::Nanoseconds),
    ("channel", Field::Channel),
    ("id", Field::Id),
    ("priority", Field::Priority),
    ("publisher", Field::Publisher),
    ("patterns", Field::Patterns),
    ("retention", Field::Retention),
    ("bytes", Field::Bytes),
    ("data", Field::Data),
    ("hex", Field::Hex),
];

/// A format that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<Part>);

impl Format {
    /// Reads a format.
    ///
    /// `Err`: what is wrong, told for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '{' | '}' if characters.peek() == Some(&character) => {
                    characters.next();
                    plain.push(character);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match characters.next() {
                            Some('}') => break,
                            Some(character) => name.push(character),
                            None => return Err("a brace alone is written {{".to_owned()),
                        }
                    }
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Field(field(&name)?));
                }
                '}' => return Err("a brace alone is written }}".to_owned()),
                '\\' => match characters.next() {
                    Some('n') => plain.push('\n'),
                    Some('t') => plain.push('\t'),
                    Some('\\') => plain.push('\\'),
                    _ => return Err("a backslash is written \\\\".to_owned()),
                },
                _ => plain.push(character),
            }
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self(parts))
    }

    /// An event in this format, without the end of a line.
    pub(super) fn event(&self, event: &Event) -> String {
        let mut shown = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => shown.push_str(text),
                Part::Field(field) => write_field(*field, event, &mut shown),
            }
        }
        shown
    }
}

fn field(name: &str) -> Result<Field, String> {
    let known = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
    let numbered = || name.strip_prefix("pattern")?.parse().ok().filter(|number| *number > 0);
    known.or_else(|| numbered().map(Field::Pattern)).ok_or_else(|| {
        let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        format!(
            "there is no {{{}}}; there are {}, pattern1, pattern2 and so on",
            escape(name.as_bytes()),
            names.join(", ")
        )
    })
}

fn write_field(field: Field, event: &Event, to: &mut String) {
    // Writing to a string does not fail.
    let _ = match field {
        Field::Time => write!(to, "{}", text::time(event.published_ns())),
        Field::Date => write!(to, "{}", text::date(event.published_ns())),
        Field::Nanoseconds => write!(to, "{}", event.published_ns()),
        Field::Channel => write!(to, "{}", escape(event.channel().octets())),
        Field::Id => write!(to, "{}", event.id().0),
        Field::Priority => write!(to, "{}", event.priority().number()),
        Field::Publisher => write!(to, "{}", escape(event.publisher())),
        Field::Patterns => write!(to, "{}", patterns(event.patterns())),
        Field::Pattern(number) => {
            write!(to, "{}", escape(event.patterns().nth(number - 1).unwrap_or_default()))
        }
        Field::Retention => write!(to, "{}", retention(event.retention())),
        Field::Bytes => write!(to, "{}", event.data().len()),
        Field::Data => write!(to, "{}", escape(event.data())),
        Field::Hex => write!(to, "{}", text::hexadecimal(event.data())),
    };
}

/// Patterns in one line, with a blank between two of them.
pub(super) fn patterns<'a>(patterns: impl Iterator<Item = &'a [u8]>) -> String {
    patterns.map(escape).collect::<Vec<_>>().join(" ")
}

/// A time of retention for people.
pub(super) fn retention(time: Duration) -> String {
    if time == Duration::MAX { "forever".to_owned() } else { text::span(time) }
}

/// The line that tells of a loss.
pub(super) fn lost(lost: &Lost) -> String {
    let (time, channel) = (text::time(lost.noticed_ns()), escape(lost.channel().octets()));
    format!("{time} {channel} LOST some events may have been lost here")
}

/// Data in lines of 16 bytes, each with its offset, the digits, and what is printable.
pub(super) fn hex_lines(data: &[u8]) -> String {
    let mut shown = String::new();
    for (number, line) in data.chunks(HEX_LINE).enumerate() {
        let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let picture = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        let pictures: String = line.iter().map(picture).collect();
        let offset = number * HEX_LINE;
        // Writing to a string does not fail.
        let _ = writeln!(shown, "  {offset:06x}  {:<47}  {pictures}", digits.join(" "));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_text_fields_and_escapes() {
        let format = Format::parse("{{{id}}}\\t{pattern12}").unwrap();
        let expected = [
            Part::Text("{".into()),
            Part::Field(Field::Id),
            Part::Text("}\t".into()),
            Part::Field(Field::Pattern(12)),
        ];
        assert_eq!(format.0, expected);
        for usual in [USUAL, ABOVE_HEX] {
            assert!(Format::parse(usual).is_ok());
        }
    }

    #[test]
    fn what_is_wrong_with_a_format_is_told() {
        for wrong in ["{what}", "{", "{id", "}", "\\q", "{pattern0}", "{pattern}", "{}"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_shown_with_offset_and_picture() {
        let expected = "  000000  00 41 ff                                         .A.\n";
        assert_eq!(hex_lines(b"\0A\xff"), expected);
        assert_eq!(hex_lines(&[b'x'; 17]).lines().count(), 2);
        assert_eq!(hex_lines(b""), "");
    }
}
