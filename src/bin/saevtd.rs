//! saevtd, the node daemon.
fn main() {}
