//! Commands of one call.

use super::arguments::{Clear, General, Unlink};
use super::failure::Failure;
use super::service;
use super::text::escape;
use SaEvt::api::{EventId, patiently};

/// `saevt unlink`.
pub(super) fn unlink(task: &Unlink, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let name = task.channel.octets();
    patiently(general.wait, || connection.unlink(name))
        .map_err(|error| Failure::of(format!("cannot unlink {}", escape(name)), error))
}

/// `saevt clear`: all that are named, also behind one that fails.
pub(super) fn clear(task: &Clear, general: &General) -> Result<(), Failure> {
    let connection = service::connect(general)?;
    let channel =
        service::open(&connection, &task.channel, false, general, |opening| opening.subscriber())?;
    let mut outcome = Ok(());
    for id in &task.ids {
        let cleared = patiently(general.wait, || channel.clear(EventId(*id)));
        if let Err(error) = cleared {
            let failure = Failure::of(format!("cannot clear the event {id}"), error);
            if let Err(earlier) = std::mem::replace(&mut outcome, Err(failure)) {
                earlier.report();
            }
        }
    }
    outcome
}
