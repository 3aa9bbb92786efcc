//! Publications on their way: who takes one is settled when it is published, whenever it comes.

use super::*;

#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) draft: Rc<Draft>,
    pub(super) deadline: Time,
    pub(super) takers: Vec<(Target, InstanceNo, SubscriptionNo)>,
}

impl Model {
    /// Delivers to those whom, as the core says, an event has reached; gives how many.
    pub(crate) fn follow(
        &mut self,
        now: Time,
        is_on_its_way: impl Fn(Target, InstanceNo, EventId) -> bool,
    ) -> u32 {
        let mut delivered = 0;
        for mut each in std::mem::take(&mut self.under_way) {
            each.takers.retain(|(target, number, of)| {
                let waits = is_on_its_way(*target, *number, each.draft.id);
                if !waits {
                    delivered += 1;
                    self.deliver(*target, *number, *of, &each.draft, (each.deadline, now));
                }
                waits
            });
            if !each.takers.is_empty() {
                self.under_way.push(each);
            }
        }
        delivered
    }

    /// How many takers all the publications under way have left.
    pub(crate) fn takers_left(&self) -> u32 {
        self.under_way.iter().map(|each| each.takers.len() as u32).sum()
    }

    pub(super) fn forget_taker(&mut self, target: Target, number: InstanceNo) {
        for each in &mut self.under_way {
            each.takers.retain(|(other, of, _)| (*other, *of) != (target, number));
        }
    }

    /// What comes to whom subscribes anew comes after what was on its way.
    pub(super) fn hasten(&mut self, target: Target, number: InstanceNo, now: Time) {
        for mut each in std::mem::take(&mut self.under_way) {
            each.takers.retain(|(other, of, subscription)| {
                let hastens = (*other, *of) == (target, number);
                if hastens {
                    let times = (each.deadline, now);
                    self.deliver(target, number, *subscription, &each.draft, times);
                }
                !hastens
            });
            self.under_way.push(each);
        }
    }

    pub(super) fn divert(&mut self, target: Target, number: InstanceNo, gone: SubscriptionNo) {
        let Self { under_way, instances, .. } = self;
        for each in under_way {
            each.takers.retain_mut(|(other, of, subscription)| {
                if (*other, *of, *subscription) != (target, number, gone) {
                    return true;
                }
                let next = first_match(instances, number, &each.draft);
                *subscription = next.unwrap_or(gone);
                next.is_some()
            });
        }
    }
}
