//! The C face of the library: the only functions with a C name, each a thin layer over `agent`.
//!
//! Every function runs in `guard`: raw arguments are checked and copied by `ptr`, then the
//! agent does the work, then outputs are written. What C supplies is never taken for a Rust enum.
//! `include/saAis.h` and `include/saEvt.h` are written by hand and are the documentation for
//! programs; `tests/headers.rs` proves that they and this folder agree.
#![allow(non_snake_case)] // The names programs know, in functions, parameters and members.

pub mod channel;
mod code;
pub mod event;
mod guard;
pub mod library;
pub mod name;
mod patterns;
mod ptr;
pub mod subscription;
pub mod types;
