//! One variant for each AIS condition this service can raise.

use std::fmt;

/// Why a call did not succeed. `capi` maps each variant to one `SaAisErrorT` value.
///
/// Source: SAI-AIS-EVT-B.03.01, return values of all functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Error {
    /// The library is in an unexpected state and cannot be used any more.
    Library,
    /// The version asked for is not served, or the handle's version lacks the function.
    Version,
    /// A callback that the function needs was not registered.
    Init,
    /// Time ran out; it is unknown whether the operation took place.
    Timeout,
    /// Not possible now; nothing happened; the call may be repeated.
    TryAgain,
    /// An argument is not set correctly.
    InvalidParam,
    /// Memory is short; nothing happened.
    NoMemory,
    /// The handle is stale, foreign, of another kind, or was never issued.
    BadHandle,
    /// The open instance or the event does not permit the operation.
    Access,
    /// The channel, subscription or retained event does not exist.
    NotExist,
    /// The subscription identifier is in use on this open instance.
    Exist,
    /// The caller's buffer is too small.
    NoSpace,
    /// A resource other than memory is at its limit; nothing happened.
    NoResources,
    /// The open flags are not valid.
    BadFlags,
    /// A size is above its limit.
    TooBig,
    /// This node is not a member of the cluster (release B.03 and later).
    Unavailable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Library => "the library cannot be used any more",
            Self::Version => "the version is not supported",
            Self::Init => "the needed callback was not registered",
            Self::Timeout => "the time ran out",
            Self::TryAgain => "not possible now, try again",
            Self::InvalidParam => "an argument is not valid",
            Self::NoMemory => "out of memory",
            Self::BadHandle => "the handle is not valid",
            Self::Access => "not permitted",
            Self::NotExist => "does not exist",
            Self::Exist => "exists already",
            Self::NoSpace => "the buffer is too small",
            Self::NoResources => "a limit is reached",
            Self::BadFlags => "the flags are not valid",
            Self::TooBig => "too big",
            Self::Unavailable => "this node is not a member of the cluster",
        })
    }
}

impl std::error::Error for Error {}
