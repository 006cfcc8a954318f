//! How often each key of the keyring is used, kept with each row that comes or goes: exact, so that a key which counts
//! nothing can be destroyed.

use super::{Index, Way, put_or_remove};
use crate::key::{Key, Version};
use crate::records::RingKey;
use crate::ring::{RingUses, sealed_under};
use alloc::collections::BTreeMap;
use imbl::OrdMap;
use latchkey_domain::RingNumber;

impl Index {
    /// What still uses a key of the keyring.
    pub(crate) fn ring_uses(&self, number: RingNumber) -> RingUses {
        let of = |counts: &OrdMap<RingNumber, u64>| counts.get(&number).copied().unwrap_or_default();
        RingUses { versions: of(&self.peppers), inners: of(&self.inners), ring_keys: of(&self.wrapped) }
    }

    /// A key of the keyring comes or goes.
    pub(crate) fn ring_key(&mut self, key: &RingKey, way: Way) {
        way.set(&mut self.purposes, (key.purpose, key.number));
        count(&mut self.wrapped, key.wrapped_by, way);
    }

    /// The versions of a key come, go, or change: mostly they stay, and then nothing is touched.
    pub(super) fn versions(&mut self, old: Option<&Key>, new: Option<&Key>) {
        let of = |key: Option<&Key>| key.map_or(0, |key| key.versions.len());
        let same = of(old) == of(new)
            && old
                .zip(new)
                .is_some_and(|(old, new)| old.versions.iter().map(made_with).eq(new.versions.iter().map(made_with)));
        if same {
            return;
        }
        for (key, way) in [(old, Way::Out), (new, Way::In)] {
            for version in key.into_iter().flat_map(|key| &key.versions) {
                let (pepper, data_key) = made_with(version);
                count(&mut self.peppers, pepper, way);
                if let Some(data_key) = data_key {
                    count(&mut self.inners, data_key, way);
                }
            }
        }
    }

    /// The versions of all keys come at once, where none was: neighbours mostly were made with the same keys.
    pub(super) fn all_versions<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) {
        let (mut peppers, mut inners) = (Tally::default(), Tally::default());
        for version in keys.flat_map(|key| &key.versions) {
            let (pepper, data_key) = made_with(version);
            peppers.add(pepper);
            if let Some(data_key) = data_key {
                inners.add(data_key);
            }
        }
        (self.peppers, self.inners) = (peppers.finish(), inners.finish());
    }
}

/// The pepper and the data key of a version.
fn made_with(version: &Version) -> (RingNumber, Option<RingNumber>) {
    (version.pepper, sealed_under(&version.inner))
}

fn count(counts: &mut OrdMap<RingNumber, u64>, number: RingNumber, way: Way) {
    let now = way.count(counts.get(&number).copied().unwrap_or_default(), 1);
    put_or_remove(counts, number, now);
}

/// Counts runs of the same number before it looks one up.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<RingNumber, u64>,
    run: Option<(RingNumber, u64)>,
}

impl Tally {
    fn add(&mut self, number: RingNumber) {
        match &mut self.run {
            Some((of, count)) if *of == number => *count += 1,
            _ => {
                self.end();
                self.run = Some((number, 1));
            }
        }
    }

    fn end(&mut self) {
        if let Some((number, count)) = self.run.take() {
            *self.counts.entry(number).or_default() += count;
        }
    }

    fn finish(mut self) -> OrdMap<RingNumber, u64> {
        self.end();
        self.counts.into_iter().collect()
    }
}
