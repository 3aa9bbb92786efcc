//! Which AIS code stands for which error.

use super::types::*;
use crate::agent::Version;
use crate::evt::Error;

/// The code of an error, for a program that may know all of them.
pub(super) const fn of(error: Error) -> SaAisErrorT {
    match error {
        Error::Library => SA_AIS_ERR_LIBRARY,
        Error::Version => SA_AIS_ERR_VERSION,
        Error::Init => SA_AIS_ERR_INIT,
        Error::Timeout => SA_AIS_ERR_TIMEOUT,
        Error::TryAgain => SA_AIS_ERR_TRY_AGAIN,
        Error::InvalidParam => SA_AIS_ERR_INVALID_PARAM,
        Error::NoMemory => SA_AIS_ERR_NO_MEMORY,
        Error::BadHandle => SA_AIS_ERR_BAD_HANDLE,
        Error::Access => SA_AIS_ERR_ACCESS,
        Error::NotExist => SA_AIS_ERR_NOT_EXIST,
        Error::Exist => SA_AIS_ERR_EXIST,
        Error::NoSpace => SA_AIS_ERR_NO_SPACE,
        Error::NoResources => SA_AIS_ERR_NO_RESOURCES,
        Error::BadFlags => SA_AIS_ERR_BAD_FLAGS,
        Error::TooBig => SA_AIS_ERR_TOO_BIG,
        Error::Unavailable => SA_AIS_ERR_UNAVAILABLE,
    }
}

/// The error as a program of `version` may see it: releases before B.03 know no
/// `SA_AIS_ERR_UNAVAILABLE` and are told to try again.
pub(super) fn known_to(version: Version, error: Error) -> Error {
    match error {
        Error::Unavailable if version < Version::B03 => Error::TryAgain,
        known => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_an_old_release_never_sees_unavailable() {
        assert_eq!(known_to(Version::B01, Error::Unavailable), Error::TryAgain);
        assert_eq!(known_to(Version::B02, Error::Unavailable), Error::TryAgain);
        assert_eq!(known_to(Version::B03, Error::Unavailable), Error::Unavailable);
        assert_eq!(known_to(Version::B01, Error::TooBig), Error::TooBig);
    }
}
