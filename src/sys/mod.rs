//! System calls, safe to call from outside.

pub mod clock;
pub mod descriptor;
pub mod memory;
pub mod process;
pub mod socket;
