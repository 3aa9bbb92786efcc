//! The byte form of what agent and node say to each other on the control socket, and of what nodes
//! say to each other (`peer`).
//!
//! Little-endian, fixed-width numbers, lengths checked. Each message of the socket begins
//! with its kind (u16), a reserved u16 and the request's id (u32; 0 where no reply is wanted).
#![forbid(unsafe_code)]

mod burst;
mod bytes;
pub mod members;
pub mod peer;
mod peer_state;
pub mod pieces;
pub mod reply;
pub mod request;
pub mod status;
mod values;

pub use bytes::Malformed;
pub use reply::{Code, Reply};
pub use request::{Barrier, Body, Request};

/// Bytes of the longest message, a limit of the link: attributes at the limits of the
/// configuration must fit (see `node::config`).
pub const MESSAGE_BYTES_MAX: usize = 160 << 10;
