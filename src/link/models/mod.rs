//! Loom models: every interleaving, within a bound of preemptions, of the lock-free parts.
//!
//! The rings are a few units long, and a record is one word that names its writer and its turn.
//! The words are loom's unsynchronised cells: reading one that a writer may still be at is an
//! error that loom reports, and so is waiting for ever.

mod bell;
mod handover;
mod inring;
mod outring;

/// Explores a model with at most so many preemptions in each run.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
