//! Between one program and its node: shared-memory rings, doorbells, hand-over of replies.
//!
//! The lock-free parts (`outring`, `inring`, `bell`, `handover`) are algorithms on atomics and
//! locks from `sync`, so that loom can run every interleaving of them; `outbox` and `inbox` lay
//! them out in sealed shared memory.

pub mod bell;
pub mod handover;
pub mod inbox;
pub mod inring;
#[cfg(all(test, loom))]
mod models;
pub mod outbox;
pub mod outring;
pub mod part;
pub mod record;
pub mod segment;
mod shared;
pub mod sync;

/// No ring's positions get here in practice; beyond, arithmetic on them could overflow. What a
/// peer says of its positions is held against it.
pub const POSITION_MAX: u64 = 1 << 62;
