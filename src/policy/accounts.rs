//! Users and groups of this host, by the name service.

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use std::ffi::CString;

/// The number of a user.
///
/// # Errors
///
/// One line: there is none, or the name service fails.
pub fn user(name: &str) -> Result<u32, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user {name:?} on this host")),
        Err(error) => Err(format!("the user {name:?} cannot be looked up: {error}")),
    }
}

/// The number of a group.
///
/// # Errors
///
/// One line: there is none, or the name service fails.
pub fn group(name: &str) -> Result<u32, String> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("there is no group {name:?} on this host")),
        Err(error) => Err(format!("the group {name:?} cannot be looked up: {error}")),
    }
}

/// The number of a user by name or number, and all groups that a program has which this user
/// starts. A number without an account has none.
///
/// # Errors
///
/// One line: there is no such user, or the name service fails.
pub fn user_with_groups(name: &str) -> Result<(u32, Vec<u32>), String> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let failed = |error: nix::Error| format!("the user {name:?} cannot be looked up: {error}");
    match (found.map_err(failed)?, name.parse()) {
        (Some(account), _) => {
            let login = CString::new(account.name).map_err(|error| error.to_string())?;
            let groups = getgrouplist(&login, account.gid).map_err(failed)?;
            Ok((account.uid.as_raw(), groups.into_iter().map(Gid::as_raw).collect()))
        }
        (None, Ok(number)) => Ok((number, Vec::new())),
        (None, Err(_)) => user(name).map(|number| (number, Vec::new())),
    }
}
