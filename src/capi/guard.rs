//! The boundary that no panic crosses, and where a result becomes a code.

use super::code;
use super::types::{SA_AIS_ERR_LIBRARY, SA_AIS_OK, SaAisErrorT};
use crate::agent::{self, current};
use crate::evt::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Runs the body of one entry point: turns its result into an AIS code and stops any panic here.
///
/// A panic poisons the library, so that no later call reads the state it may have left
/// half-changed; each returns `SA_AIS_ERR_LIBRARY`.
pub(super) fn guard(
    entry_point: &'static str,
    body: impl FnOnce() -> Result<(), Error>,
) -> SaAisErrorT {
    if agent::is_poisoned() {
        return SA_AIS_ERR_LIBRARY;
    }
    match outcome(body) {
        Ok(Ok(())) => SA_AIS_OK,
        Ok(Err(error)) => code::of(error),
        Err(Panicked) => {
            agent::poison(entry_point);
            SA_AIS_ERR_LIBRARY
        }
    }
}

/// A body panicked.
#[derive(Debug, PartialEq, Eq)]
struct Panicked;

/// Runs `body`. `AssertUnwindSafe` holds because the caller poisons the library after a panic.
fn outcome<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
    let result = catch_unwind(AssertUnwindSafe(|| current::inside(body)));
    result.map_err(|payload| {
        std::mem::forget(payload); // Dropping it could panic again.
        Panicked
    })
}

/// Keeps panics of the library from printing to the program's standard error; others are printed
/// as before.
pub(super) fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |information| {
            if !current::is_inside() {
                others(information);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::types::SA_AIS_ERR_BAD_FLAGS;

    #[test]
    fn a_result_becomes_a_code() {
        assert_eq!(guard("test", || Ok(())), SA_AIS_OK);
        assert_eq!(guard("test", || Err(Error::BadFlags)), SA_AIS_ERR_BAD_FLAGS);
    }

    #[test]
    fn a_panic_ends_at_the_boundary_and_leaves_no_mark() {
        keep_quiet();
        assert_eq!(outcome(|| panic!("provoked by a test")), Err::<(), _>(Panicked));
        assert!(!current::is_inside());
    }
}
