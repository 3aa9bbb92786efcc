//! What is shown to programs: the objects that `docs/schemas.md` describes.

use super::text::{hexadecimal, rfc3339};
use SaEvt::api::{Event, Lost};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Adds bytes under a name: as text, and if they are no text also as hexadecimal digits.
pub(super) fn add_bytes(to: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    to.insert(name.into(), String::from_utf8_lossy(bytes).into());
    if std::str::from_utf8(bytes).is_err() {
        to.insert(format!("{name}_hex"), hexadecimal(bytes).into());
    }
}

/// Adds a list of bytes under a name, in the same way.
pub(super) fn add_list<'a>(
    to: &mut Map<String, Value>,
    name: &str,
    list: impl Iterator<Item = &'a [u8]> + Clone,
) {
    let texts: Vec<_> = list.clone().map(String::from_utf8_lossy).collect();
    to.insert(name.into(), json!(texts));
    if list.clone().any(|bytes| std::str::from_utf8(bytes).is_err()) {
        to.insert(format!("{name}_hex"), list.map(hexadecimal).collect());
    }
}

/// Nanoseconds; without end: null.
pub(super) fn nanoseconds(time: Duration) -> Value {
    u64::try_from(time.as_nanos()).map_or(Value::Null, Value::from)
}

/// An event as an object.
pub(super) fn event(event: &Event) -> Value {
    let mut to = Map::new();
    to.insert("type".into(), "event".into());
    add_bytes(&mut to, "channel", event.channel().octets());
    // All 64 bits count, which many readers of JSON do not keep of a number.
    to.insert("id".into(), event.id().0.to_string().into());
    to.insert("priority".into(), event.priority().number().into());
    to.insert("published".into(), rfc3339(event.published_ns()).into());
    to.insert("published_ns".into(), event.published_ns().into());
    to.insert("retention_ns".into(), nanoseconds(event.retention()));
    add_bytes(&mut to, "publisher", event.publisher());
    let patterns: Vec<_> = event.patterns().collect();
    add_list(&mut to, "patterns", patterns.iter().copied());
    add_bytes(&mut to, "data", event.data());
    Value::Object(to)
}

/// A loss as an object.
pub(super) fn lost(lost: &Lost) -> Value {
    let mut to = Map::new();
    to.insert("type".into(), "lost".into());
    add_bytes(&mut to, "channel", lost.channel().octets());
    to.insert("noticed".into(), rfc3339(lost.noticed_ns()).into());
    to.insert("noticed_ns".into(), lost.noticed_ns().into());
    Value::Object(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_given_exactly_too() {
        let mut to = Map::new();
        add_bytes(&mut to, "a", "Küche\n".as_bytes());
        add_bytes(&mut to, "b", b"x\xff");
        add_list(&mut to, "c", [b"one".as_slice(), b"\xfe"].into_iter());
        add_list(&mut to, "d", [b"one".as_slice()].into_iter());
        let expected = json!({
            "a": "Küche\n", "b": "x\u{fffd}", "b_hex": "78ff",
            "c": ["one", "\u{fffd}"], "c_hex": ["6f6e65", "fe"], "d": ["one"],
        });
        assert_eq!(Value::Object(to), expected);
    }

    #[test]
    fn a_time_without_end_is_null() {
        assert_eq!(nanoseconds(Duration::MAX), Value::Null);
        assert_eq!(nanoseconds(Duration::from_secs(1)), json!(1_000_000_000));
    }
}
