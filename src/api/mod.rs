//! The service for programs in Rust, without C in between.
//!
//! A [`Connection`] opens [`Channel`]s; a channel publishes and subscribes; the connection receives
//! for all its channels, the most urgent first. Everything that was opened ends when it is dropped.
//! Which daemon is used is told in the manual page `libSaEvt(3)`; nothing here is configured.
//!
//! A call that cannot be served for the moment, for instance while the daemon is replaced, gives
//! [`Error::TryAgain`] and has had no effect. [`patiently`] repeats it for a while.
//!
//! A subscriber and a publisher in one program:
//!
//! ```no_run
#![doc = include_str!("../../examples/kitchen.rs")]
//! ```
//!
//! Names, patterns and data are bytes, not text. Show them with `escape_ascii()`.

mod channel;
mod connection;
mod receive;
mod retry;
mod status;

pub use crate::agent::Version as Release;
pub use crate::agent::members::{ClusterStatus, MemberStatus};
pub use crate::agent::questions::{ChannelStatus, NodeStatus, ProgramStatus, RetainedStatus};
pub use crate::evt::{
    Error, EventId, Filter, FilterKind, Filters, Limits, Name, Priority, Span, SubscriptionId,
};
pub use channel::{Channel, EventBuilder, Opening, OutgoingEvent};
pub use connection::Connection;
pub use receive::{Deliveries, Delivery, Event, Lost};
pub use retry::patiently;
pub use status::ServicePlace;
