//! How far behind each region is, as the leader sees it: since when the oldest acknowledged record waits to be published
//! there.

use crate::registry::ReplicaStatus;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Acknowledgements that are this close together are one. Milliseconds.
const TOGETHER_MS: u64 = 10;

/// Acknowledgements remembered. What is older is remembered coarser.
const KEPT_MAX: usize = 4_096;

/// Records acknowledged one soon after the other.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    /// The last of them.
    through: u64,
    /// When the first of them was. Milliseconds of boot time.
    at_ms: u64,
}

/// What this leader acknowledged, and when.
#[derive(Debug, Default)]
pub(crate) struct Propagation {
    acknowledged: Mutex<VecDeque<Acknowledged>>,
}

impl Propagation {
    /// A record was acknowledged to whoever asked for it.
    pub(crate) fn note(&self, index: u64, now_ms: u64) {
        let mut all = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        match all.back_mut() {
            Some(last) if now_ms.saturating_sub(last.at_ms) < TOGETHER_MS => last.through = last.through.max(index),
            _ => all.push_back(Acknowledged { through: index, at_ms: now_ms }),
        }
        if all.len() > KEPT_MAX
            && let Some(oldest) = all.pop_front()
            && let Some(next) = all.front_mut()
        {
            // The earlier time for both: it errs on telling too much.
            next.at_ms = oldest.at_ms;
        }
    }

    /// For each region how long ago the oldest record was acknowledged that some replica there has not published, zero
    /// where there is none. Milliseconds. Only a leader hears what the others have published.
    pub(crate) fn ages(&self, replicas: &[ReplicaStatus], now_ms: u64) -> BTreeMap<String, u64> {
        let mut behind = BTreeMap::<&str, u64>::new();
        for replica in replicas {
            // Who has said nothing to this leader yet has published nothing, as far as it knows.
            let published = replica.known.as_ref().and_then(|known| known.published).unwrap_or(0);
            let least = behind.entry(&replica.member.region).or_insert(published);
            *least = (*least).min(published);
        }
        let mut all = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let everywhere = behind.values().copied().min().unwrap_or(0);
        while all.front().is_some_and(|oldest| oldest.through <= everywhere) {
            all.pop_front();
        }
        let age = |published: u64| {
            let waiting = all.iter().find(|one| one.through > published);
            waiting.map_or(0, |one| now_ms.saturating_sub(one.at_ms))
        };
        behind.into_iter().map(|(region, published)| (region.to_owned(), age(published))).collect()
    }

    /// This replica leads no more.
    pub(crate) fn clear(&self) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leadership::Known;
    use crate::types::Member;
    use latchkey_domain::NodeId;

    fn replica(node: u64, region: &str, published: Option<u64>) -> ReplicaStatus {
        let known = Known { incarnation: Some(1), published, lease_age: None, clock_offset_ms: None, state: None };
        let member = Member { region: region.to_owned(), ..Member::default() };
        ReplicaStatus { node: NodeId(node), member, voter: true, known: Some(known), holding: None }
    }

    fn age(propagation: &Propagation, published: Option<u64>, now_ms: u64) -> u64 {
        let replicas = [replica(1, "eu", Some(99)), replica(2, "us", Some(99)), replica(3, "us", published)];
        let ages = propagation.ages(&replicas, now_ms);
        assert_eq!(ages["eu"], 0);
        ages["us"]
    }

    #[test]
    fn a_region_is_as_far_behind_as_the_last_of_its_replicas() {
        let propagation = Propagation::default();
        assert_eq!(age(&propagation, None, 1_000), 0, "nothing was acknowledged yet");
        propagation.note(41, 1_000);
        propagation.note(42, 2_000);
        assert_eq!(age(&propagation, None, 5_000), 4_000);
        assert_eq!(age(&propagation, Some(40), 5_000), 4_000);
        assert_eq!(age(&propagation, Some(41), 5_000), 3_000);
        assert_eq!(age(&propagation, Some(42), 5_000), 0);
    }

    #[test]
    fn many_acknowledgements_take_little_room_and_none_is_forgotten() {
        let propagation = Propagation::default();
        for index in 0..3 * KEPT_MAX as u64 {
            propagation.note(index + 1, index * TOGETHER_MS);
        }
        assert_eq!(propagation.acknowledged.lock().unwrap().len(), KEPT_MAX);
        let replicas = [replica(3, "us", Some(0))];
        assert_eq!(propagation.ages(&replicas, 1_000_000)["us"], 1_000_000, "since the first");
        let propagation = Propagation::default();
        for index in 0..100 {
            propagation.note(index + 1, 5_000 + index / 50);
        }
        assert_eq!(propagation.acknowledged.lock().unwrap().len(), 1);
        assert_eq!(propagation.ages(&[replica(3, "us", Some(99))], 5_020)["us"], 20, "the last of them waits");
    }
}
