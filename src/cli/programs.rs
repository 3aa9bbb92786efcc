//! Who programs are: names of users and programs, as this host knows them.

use super::json;
use super::text::escape;
use SaEvt::api::ProgramStatus;
use nix::unistd::{Gid, Group, Uid, User};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the kernel calls a program, escaped; `?` if it has gone or may not be looked at.
pub(super) fn name_of(pid: u32) -> String {
    match std::fs::read(format!("/proc/{pid}/comm")) {
        Ok(name) => escape(name.strip_suffix(b"\n").unwrap_or(&name)),
        Err(_) => "?".to_owned(),
    }
}

/// A group's name, escaped; the number of one that has none.
pub(super) fn group(gid: u32) -> String {
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(group)) => escape(group.name.as_bytes()),
        _ => gid.to_string(),
    }
}

/// Names of users, each looked up once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<u32, String>);

impl Names {
    /// A user's name, escaped; the number of one that has none.
    pub(super) fn user(&mut self, uid: u32) -> String {
        let look_up = || match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => escape(user.name.as_bytes()),
            _ => uid.to_string(),
        };
        self.0.entry(uid).or_insert_with(look_up).clone()
    }

    /// A connected program as an object.
    pub(super) fn object(&mut self, program: &ProgramStatus) -> Map<String, Value> {
        let mut to = Map::new();
        to.insert("pid".into(), program.pid.into());
        to.insert("uid".into(), program.uid.into());
        to.insert("gid".into(), program.gid.into());
        to.insert("user".into(), self.user(program.uid).into());
        let comm = std::fs::read(format!("/proc/{}/comm", program.pid)).unwrap_or_default();
        json::add_bytes(&mut to, "program", comm.strip_suffix(b"\n").unwrap_or(&comm));
        for (name, value) in [
            ("libraries", program.libraries),
            ("instances", program.instances),
            ("subscriptions", program.subscriptions),
            ("filter_bytes", program.filter_bytes),
            ("publications", program.publications),
            ("queued_events", program.queued_events),
            ("queued_bytes", program.queued_bytes),
            ("unread_bytes", program.unread_bytes),
            ("lost_events", program.lost_events),
            ("refusals", program.refusals),
            ("shared_bytes", program.shared_bytes),
            ("user_retained_events", program.user_retained_events),
            ("user_retained_bytes", program.user_retained_bytes),
        ] {
            to.insert(name.into(), value.into());
        }
        to
    }
}
