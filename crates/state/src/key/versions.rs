//! The versions of a key.

use super::Version;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::slice;

/// The versions of a key, oldest first; at least one. Most keys have one, and it lies in the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(Kept);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    One(Version),
    More(Box<[Version]>),
}

impl Versions {
    /// The versions in this order, or nothing where there are none.
    #[must_use]
    pub fn of(mut versions: Vec<Version>) -> Option<Self> {
        match versions.len() {
            0 => None,
            1 => versions.pop().map(Self::from),
            _ => Some(Self(Kept::More(versions.into_boxed_slice()))),
        }
    }
}

impl From<Version> for Versions {
    fn from(version: Version) -> Self {
        Self(Kept::One(version))
    }
}

impl Deref for Versions {
    type Target = [Version];

    fn deref(&self) -> &[Version] {
        match &self.0 {
            Kept::One(version) => slice::from_ref(version),
            Kept::More(versions) => versions,
        }
    }
}

impl DerefMut for Versions {
    fn deref_mut(&mut self) -> &mut [Version] {
        match &mut self.0 {
            Kept::One(version) => slice::from_mut(version),
            Kept::More(versions) => versions,
        }
    }
}

impl<'a> IntoIterator for &'a Versions {
    type Item = &'a Version;
    type IntoIter = slice::Iter<'a, Version>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rare, SEALED_INNER_BYTES};
    use super::*;
    use latchkey_crypto::Digest;
    use latchkey_domain::{RingNumber, UnixMillis, VersionId};

    fn version(number: u8) -> Version {
        Version {
            id: VersionId::from_random([number; 12]),
            pepper: RingNumber(1),
            digest: Digest::new([number; 32]),
            inner: [number; SEALED_INNER_BYTES],
            created_at: UnixMillis::new(0),
            details: Rare::default(),
        }
    }

    #[test]
    fn no_versions_are_none_of_a_key() {
        assert_eq!(Versions::of(Vec::new()), None);
    }

    #[test]
    fn one_version_is_the_same_however_it_came() {
        assert_eq!(Versions::of(vec![version(1)]), Some(Versions::from(version(1))));
    }

    #[test]
    fn versions_keep_their_order_and_can_be_changed_in_place() {
        for count in 1..=3 {
            let given: Vec<_> = (0..count).map(version).collect();
            let mut versions = Versions::of(given.clone()).unwrap();
            assert_eq!(versions[..], given[..]);
            versions.iter_mut().for_each(|version| version.pepper = RingNumber(2));
            assert!(versions.into_iter().all(|version| version.pepper == RingNumber(2)));
        }
    }
}
