//! What is counted by itself: each a row of its own, whose key sorts what is asked for together side by side.
//!
//! ```text
//! K keyspace (4) key (12) version (12) region (2)     each version; a key and all of its time lie together
//! O owner (4) keyspace (4) region (2)                 each owner
//! S keyspace (4) region (2)                           each keyspace; 0: no keyspace was found
//! T region (2)                                        the tenant
//! A region (2)                                        all tenants, with the cluster's own
//! C keyspace (4)                                      countries
//!                                                     and who came most, by hour and by day, the hour or day (4) at the end:
//! n keyspace (4) key (12)                             networks of a key
//! N keyspace (4)                                      networks of a keyspace
//! h keyspace (4)     H                                keys of a keyspace, of the tenant
//! w keyspace (4)     W                                owners in a keyspace, of the tenant
//! q owner (4)                                         keys of an owner
//! ```

use latchkey_domain::{KeyId, VersionId};

/// Bytes of a key by which all of one key (the letter, its keyspace, its id) are found; the Bloom filters of runs are asked for it.
pub(crate) const KEY_PREFIX_BYTES: usize = 1 + 4 + 12;

/// Names that a ranking of keys or owners keeps. Whoever has a share of more than one in so many is never missed.
pub(crate) const RANKED_MAX: usize = 1_024;
/// Networks that are kept of a keyspace and hour, and of it and a day.
pub(crate) const NETWORKS_MAX: usize = 256;
/// Networks that are kept of a key and hour, and of it and a day.
pub(crate) const KEY_NETWORKS_MAX: usize = 8;

/// How many names the ranking under this key keeps; `None`: it is no ranking.
pub(crate) fn names_max(key: &[u8]) -> Option<usize> {
    match key.first() {
        Some(b'h' | b'H' | b'w' | b'W' | b'q') => Some(RANKED_MAX),
        Some(b'N') => Some(NETWORKS_MAX),
        Some(b'n') => Some(KEY_NETWORKS_MAX),
        _ => None,
    }
}

/// Whether it is kept by the minute.
pub(crate) fn has_minutes(key: &[u8]) -> bool {
    matches!(key.first(), Some(b'K' | b'O' | b'S' | b'T' | b'A'))
}

/// One version.
pub(crate) fn version(keyspace: u32, key: KeyId, version: VersionId, region: u16) -> Vec<u8> {
    [&key_prefix(keyspace, key)[..], version.bytes(), &region.to_be_bytes()].concat()
}

/// All of a key.
pub(crate) fn key_prefix(keyspace: u32, key: KeyId) -> Vec<u8> {
    [b"K", &keyspace.to_be_bytes()[..], key.bytes()].concat()
}

/// One owner in one keyspace.
pub(crate) fn owner(owner: u32, keyspace: u32, region: u16) -> Vec<u8> {
    [&owner_prefix(owner, Some(keyspace))[..], &region.to_be_bytes()].concat()
}

/// All of an owner, or what is in one keyspace.
pub(crate) fn owner_prefix(owner: u32, keyspace: Option<u32>) -> Vec<u8> {
    let mut prefix = [b"O", &owner.to_be_bytes()[..]].concat();
    keyspace.iter().for_each(|keyspace| prefix.extend(keyspace.to_be_bytes()));
    prefix
}

/// One keyspace.
pub(crate) fn keyspace(keyspace: u32, region: u16) -> Vec<u8> {
    [&keyspace_prefix(Some(keyspace))[..], &region.to_be_bytes()].concat()
}

/// All of a keyspace, or all keyspaces.
pub(crate) fn keyspace_prefix(keyspace: Option<u32>) -> Vec<u8> {
    numbered(b'S', keyspace)
}

/// A tenant.
pub(crate) fn tenant(region: u16) -> Vec<u8> {
    [b"T", &region.to_be_bytes()[..]].concat()
}

/// All tenants.
pub(crate) fn all(region: u16) -> Vec<u8> {
    [b"A", &region.to_be_bytes()[..]].concat()
}

/// The countries of a keyspace, or of all.
pub(crate) fn countries(keyspace: Option<u32>) -> Vec<u8> {
    numbered(b'C', keyspace)
}

/// The networks of a key.
pub(crate) fn key_networks(keyspace: u32, key: KeyId) -> Vec<u8> {
    [b"n", &keyspace.to_be_bytes()[..], key.bytes()].concat()
}

/// The networks of a keyspace, or of all.
pub(crate) fn networks(keyspace: Option<u32>) -> Vec<u8> {
    numbered(b'N', keyspace)
}

/// The ranking of the keys of a keyspace, or of the tenant.
pub(crate) fn ranked_keys(keyspace: Option<u32>) -> Vec<u8> {
    keyspace.map_or_else(|| b"H".to_vec(), |keyspace| numbered(b'h', Some(keyspace)))
}

/// The ranking of the owners in a keyspace, or of the tenant.
pub(crate) fn ranked_owners(keyspace: Option<u32>) -> Vec<u8> {
    keyspace.map_or_else(|| b"W".to_vec(), |keyspace| numbered(b'w', Some(keyspace)))
}

/// The ranking of an owner's keys.
pub(crate) fn ranked_keys_of(owner: u32) -> Vec<u8> {
    numbered(b'q', Some(owner))
}

/// A key as rankings name it.
pub(crate) fn ranked_name(keyspace: u32, key: KeyId) -> [u8; 16] {
    let mut name = [0; 16];
    name[..4].copy_from_slice(&keyspace.to_be_bytes());
    name[4..].copy_from_slice(key.bytes());
    name
}

/// The keyspace and key that rankings name so.
pub(crate) fn read_ranked_name(name: &[u8]) -> Option<(u32, KeyId)> {
    let (keyspace, key) = name.split_first_chunk()?;
    Some((u32::from_be_bytes(*keyspace), KeyId::from_bytes(key.try_into().ok()?)?))
}

/// The number at a place of a key.
pub(crate) fn number_at(key: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(at..at + 4)?.try_into().ok()?))
}

/// The version of a row of versions.
pub(crate) fn version_of(key: &[u8]) -> Option<VersionId> {
    VersionId::from_bytes(key.get(KEY_PREFIX_BYTES..KEY_PREFIX_BYTES + 12)?.try_into().ok()?)
}

/// The region, with which each row of points but the countries' ends.
pub(crate) fn region_of(key: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*key.last_chunk()?))
}

/// The first key that begins with no such prefix.
pub(crate) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut after = prefix.to_vec();
    while let Some(last) = after.pop() {
        if last < u8::MAX {
            after.push(last + 1);
            return Some(after);
        }
    }
    None
}

fn numbered(letter: u8, number: Option<u32>) -> Vec<u8> {
    let mut key = vec![letter];
    number.iter().for_each(|number| key.extend(number.to_be_bytes()));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_rows_are_told_apart_and_read_back() {
        let (key, one) = (KeyId::from_random([7; 12]), VersionId::from_random([9; 12]));
        let row = version(0x0102_0304, key, one, 0x0506);
        assert!(row.starts_with(&key_prefix(0x0102_0304, key)));
        assert_eq!(key_prefix(1, key).len(), KEY_PREFIX_BYTES);
        assert_eq!(key_networks(1, key).len(), KEY_PREFIX_BYTES);
        assert_eq!(
            (number_at(&row, 1), version_of(&row), region_of(&row)),
            (Some(0x0102_0304), Some(one), Some(0x0506))
        );
        assert_eq!(read_ranked_name(&ranked_name(3, key)), Some((3, key)));
        assert_eq!(after(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(after(&[255]), None);
        assert_eq!((number_at(b"O12", 1), version_of(b"K"), region_of(b"T")), (None, None, None));
    }
}
