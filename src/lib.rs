//! saevt: the Service Availability Forum's AIS Event Service.
//!
//! Read from the inside out: [`evt`] is the meaning of the service, pure and testable; [`wire`] is
//! the byte form of what agent and node say to each other; [`link`] carries it between a program
//! and its node, and [`transport`] what nodes say to each other; [`agent`] is the library inside a
//! program and [`node`] the daemon, which asks [`policy`] who may do what; `capi` is the C face of
//! the agent and [`api`] its face in Rust.
//! ARCHITECTURE.md has the picture and the rules that hold between folders.

#![allow(non_snake_case)] // The C name of the library.

pub mod agent;
pub mod api;
pub mod capi;
pub mod evt;
pub mod link;
pub mod node;
pub mod policy;
pub mod sys;
pub mod transport;
pub mod wire;
