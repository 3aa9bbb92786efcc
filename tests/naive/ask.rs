//! What the trial asks of the model.

use super::*;

impl Model {
    pub(crate) fn instances(&self) -> Vec<(ProcessKey, InstanceNo)> {
        self.instances.iter().map(|each| (each.target.process, each.number)).collect()
    }

    pub(crate) fn subscriptions(
        &self,
        process: ProcessKey,
        number: InstanceNo,
    ) -> Vec<SubscriptionNo> {
        let Some(at) = self.find(process, number) else { return Vec::new() };
        self.instances[at].subscriptions.iter().map(|(number, _)| *number).collect()
    }

    pub(crate) fn retained_ids(&self) -> Vec<EventId> {
        self.retained.iter().map(|each| each.draft.id).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let all = self.retained.iter().map(|each| each.deadline);
        all.filter(|deadline| *deadline < Time::MAX).min()
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        let linked = self.channels.iter().filter(|channel| channel.linked);
        linked.map(|channel| channel.name).collect()
    }

    /// Every inbox, and whether something waits behind its window.
    pub(crate) fn waiting(&self) -> Vec<(Target, bool)> {
        let all = self.libraries.iter();
        all.map(|library| (library.target, !library.queue.is_empty())).collect()
    }

    /// Channels, instances, subscriptions, queued events and bytes, retained events and bytes.
    pub(crate) fn totals(&self) -> [u64; 7] {
        let subscriptions = self.instances.iter().map(|each| each.subscriptions.len() as u64);
        let queued = || self.libraries.iter().flat_map(Library::live);
        [
            self.channels.len() as u64,
            self.instances.len() as u64,
            subscriptions.sum(),
            queued().count() as u64,
            queued().map(Draft::bytes).sum(),
            self.retained.len() as u64,
            self.retained.iter().map(|each| each.draft.bytes()).sum(),
        ]
    }

    pub(crate) fn may_publish(&self, process: ProcessKey, number: InstanceNo) -> bool {
        let at = self.find(process, number);
        at.is_some_and(|at| self.instances[at].flags.contains(OpenFlags::PUBLISHER))
    }

    pub(super) fn user(&self, process: ProcessKey) -> u32 {
        let found = self.processes.iter().find(|(key, _)| *key == process);
        found.expect("connected").1
    }
}
