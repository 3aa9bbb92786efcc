//! System calls, safe to call from outside.

pub mod clock;
pub mod cpg;
pub mod cpg_quorum;
pub mod descriptor;
pub mod inherited;
pub mod log;
pub mod memory;
pub mod process;
pub mod program;
pub mod socket;
pub mod tipc;
