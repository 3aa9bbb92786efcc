//! Event Service semantics: pure. No I/O, no clock, no thread, no unsafe, no random order.
#![forbid(unsafe_code)]

mod account;
pub mod attributes;
mod channel;
pub mod cluster;
pub mod error;
pub mod filter;
pub mod ids;
mod index;
pub mod limits;
pub mod name;
pub mod name_pattern;
pub mod node;
mod queue;
mod retention;
mod slab;
mod spares;
mod subscription;
pub mod time;

pub use attributes::{Attributes, AttributesRef, Priority};
pub use error::Error;
pub use filter::{Filter, FilterKind, Filters};
pub use ids::{
    EventId, Incarnation, InstanceNo, LibraryNo, OpenFlags, SubscriptionId, SubscriptionNo,
};
pub use limits::Limits;
pub use name::Name;
pub use name_pattern::NamePattern;
use retention::EventRecord;
pub use time::{Span, Time};
