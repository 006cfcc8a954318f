//! The rotations of a key, and those in progress of a keyspace.

use crate::rotation::Rotation;
use crate::state::State;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Bound::{Excluded, Included};
use latchkey_domain::{KeyId, KeyspaceNumber, RotationId, UnixMillis};

/// Bytes of an id.
const ID_BYTES: usize = 12;

/// The place of a rotation in its listing: its time there, its key and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPlace {
    /// When it was made; in the listing of a keyspace when its overlap ends, [`UnixMillis::LAST`] where it has none.
    pub time: UnixMillis,
    /// Its key.
    pub key: KeyId,
    /// Its id.
    pub rotation: RotationId,
}

impl RotationPlace {
    /// The place of a rotation in the listing of its key.
    #[must_use]
    pub fn of_key(rotation: &Rotation) -> Self {
        Self { time: rotation.created_at, key: rotation.key, rotation: rotation.id }
    }

    /// The place of a rotation in the listing of its keyspace.
    #[must_use]
    pub fn of_keyspace(rotation: &Rotation) -> Self {
        let time = rotation.overlap_ends_at.unwrap_or(UnixMillis::LAST);
        Self { time, key: rotation.key, rotation: rotation.id }
    }

    /// Its bytes, for a page token.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let time = self.time.millis().to_be_bytes();
        time.iter().chain(self.key.bytes()).chain(self.rotation.bytes()).copied().collect()
    }

    /// From its bytes; `None` for what [`Self::encode`] never gives.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (time, ids) = bytes.split_first_chunk()?;
        let (key, rotation) = ids.split_at_checked(ID_BYTES)?;
        let millis = u64::from_be_bytes(*time);
        (millis <= UnixMillis::LAST.millis()).then_some(Self {
            time: UnixMillis::new(millis),
            key: KeyId::from_bytes(key.try_into().ok()?)?,
            rotation: RotationId::from_bytes(rotation.try_into().ok()?)?,
        })
    }
}

impl State {
    /// The rotations of a key after a place, the newest first.
    #[must_use]
    pub fn list_rotations(
        &self,
        keyspace: KeyspaceNumber,
        key: KeyId,
        after: Option<RotationPlace>,
    ) -> Vec<Arc<Rotation>> {
        let place = |rotation: &Arc<Rotation>| (Reverse(rotation.created_at), rotation.id);
        let is_after = |rotation: &&Arc<Rotation>| {
            after.is_none_or(|after| place(rotation) > (Reverse(after.time), after.rotation))
        };
        let mut rotations: Vec<_> = self.rotations_of(keyspace, key).filter(is_after).cloned().collect();
        rotations.sort_by_key(place);
        rotations
    }

    /// The rotations in progress of a keyspace after a place, by the end of their overlap; those that are prepared come
    /// last. One whose overlap is over by the clock is among them until that is written down.
    pub fn list_rotations_in_progress(
        &self,
        keyspace: KeyspaceNumber,
        after: Option<RotationPlace>,
    ) -> impl Iterator<Item = &Arc<Rotation>> {
        let start = match after {
            Some(after) => Excluded((keyspace, after.time, after.key, after.rotation)),
            None => Included((keyspace, UnixMillis::new(0), KeyId::LOWEST, RotationId::LOWEST)),
        };
        let end = Included((keyspace, UnixMillis::LAST, KeyId::HIGHEST, RotationId::HIGHEST));
        let rotations = self.index().rotating.range((start, end));
        rotations.filter_map(|(keyspace, _, key, id)| self.rotation_at(*keyspace, *key, *id))
    }
}
