//! SIGHUP: the policy is read again, and nobody is dropped for it.

use super::{Server, complain, log};
use crate::sys::descriptor;
use std::os::fd::AsFd;

impl Server {
    /// Takes the signals that have come.
    pub(super) fn hear_signals(&mut self) {
        let mut reload = false;
        loop {
            match descriptor::next_signal(self.place.signals.as_fd()) {
                Ok(Some(libc::SIGHUP)) => reload = true,
                Ok(None) => break,
                // What cannot be told apart ends the daemon, as all but one do.
                Ok(Some(_)) | Err(_) => {
                    self.ending = true;
                    return;
                }
            }
        }
        if reload {
            self.reload();
        }
    }

    /// Reads the configuration again. What it says of the policy takes effect at once, for what is
    /// open too; a configuration that is not good changes nothing.
    fn reload(&mut self) {
        let Some(source) = &self.config.source else {
            // Nothing to read: a private daemon, for which it means what it always meant.
            self.ending = true;
            return;
        };
        let read = match super::Config::read(source) {
            Ok(read) => read,
            Err(why) => return complain(format_args!("the policy stays as it was: {why}")),
        };
        self.config.policy = read.policy;
        // Who may not get an event could read it in the segment.
        for to in self.inboxes.permit_sharing(self.config.policy.is_empty()) {
            self.note_use(to.process.0 as usize);
        }
        let changed = self.judge_again();
        let rules = self.config.policy.len();
        log(format_args!(
            "the policy was read again: {rules} rules; {changed} open channels have other rights"
        ));
    }
}
