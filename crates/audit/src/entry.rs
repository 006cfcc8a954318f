//! An entry as it is kept: sealed under its tenant's audit key, bound to its place.
//!
//! ```text
//! plaintext = epoch (8) || index (8) || format (1) || o (32) || root (32) || event
//! ```

use crate::cluster::{AuditKey, Event};
use crate::journal::{Frame, Preimage};
use latchkey_crypto::envelope::{self, OpenError};
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{ClusterId, Revision, Sequence, TenantNumber};
use latchkey_minting::contexts::EntryPlace;
use latchkey_transparency::{Hash, commitment, hash_preimage, leaf_preimage};

const FIXED_BYTES: usize = 8 + 8 + 1 + 32 + 32;

/// Why a frame is no entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// It does not open in its place.
    #[error("entry {sequence} does not open: {error:?}")]
    Open {
        /// Its number.
        sequence: u64,
        /// Why not.
        error: OpenError,
    },
    /// It opens, and is not what its leaf commits to.
    #[error("entry {sequence} is not what its leaf commits to")]
    Leaf {
        /// Its number.
        sequence: u64,
    },
}

/// What the leaf of an event is the hash of.
pub(crate) fn preimage(event: &Event) -> Preimage {
    leaf_preimage(event.format, event.sequence, event.revision, &commitment(&event.o, &event.bytes))
}

/// Seals an event as the entry of a tenant.
pub(crate) fn seal(
    cluster: ClusterId,
    tenant: Option<TenantNumber>,
    key: &AuditKey,
    event: &Event,
    preimage: Preimage,
    entropy: &mut impl Entropy,
) -> Frame {
    let mut plain = Vec::with_capacity(FIXED_BYTES + event.bytes.len());
    plain.extend_from_slice(&event.revision.epoch.to_be_bytes());
    plain.extend_from_slice(&event.revision.index.to_be_bytes());
    plain.push(event.format);
    plain.extend_from_slice(&event.o);
    plain.extend_from_slice(event.root.as_bytes());
    plain.extend_from_slice(&event.bytes);
    let place = EntryPlace::new(cluster, tenant, event.sequence);
    let sealed = envelope::seal(&key.key, key.number, &place.context(), draw(entropy), &plain);
    Frame::new(preimage, tenant, sealed)
}

/// Opens the entry `sequence`, and checks it against its leaf.
///
/// # Errors
/// [`EntryError`].
pub(crate) fn open(cluster: ClusterId, sequence: Sequence, key: &AuditKey, frame: &Frame) -> Result<Event, EntryError> {
    let place = EntryPlace::new(cluster, frame.tenant, sequence);
    let plain = envelope::open(&key.key, &place.context(), &frame.sealed)
        .map_err(|error| EntryError::Open { sequence: sequence.0, error })?;
    let altered = EntryError::Leaf { sequence: sequence.0 };
    let Some(event) = read(sequence, &plain) else { return Err(altered) };
    if hash_preimage(&preimage(&event)) == frame.leaf { Ok(event) } else { Err(altered) }
}

fn read(sequence: Sequence, plain: &[u8]) -> Option<Event> {
    let (epoch, rest) = plain.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (format, rest) = rest.split_first()?;
    let (o, rest) = rest.split_first_chunk()?;
    let (root, bytes) = rest.split_first_chunk()?;
    Some(Event {
        sequence,
        revision: Revision::new(u64::from_be_bytes(*epoch), u64::from_be_bytes(*index)),
        format: *format,
        bytes: bytes.to_vec(),
        o: *o,
        root: Hash::new(*root),
        trace: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_crypto::DataKey;
    use latchkey_domain::RingNumber;
    use std::sync::Arc;

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);
    const TENANT: Option<TenantNumber> = Some(TenantNumber(2));

    struct Zeros;
    impl Entropy for Zeros {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn key(byte: u8) -> AuditKey {
        AuditKey { number: RingNumber(5), key: Arc::new(DataKey::new([byte; 32])), tenant: TenantNumber(2), name: None }
    }

    fn event() -> Event {
        Event {
            sequence: Sequence(9),
            revision: Revision::new(1, 42),
            format: 1,
            bytes: b"what happened".to_vec(),
            o: [3; 32],
            root: Hash::new([4; 32]),
            trace: None,
        }
    }

    #[test]
    fn an_entry_opens_in_its_place_and_nowhere_else() {
        let frame = seal(CLUSTER, TENANT, &key(1), &event(), preimage(&event()), &mut Zeros);
        assert_eq!(open(CLUSTER, Sequence(9), &key(1), &frame).unwrap(), event());
        assert!(!frame.sealed.windows(4).any(|part| part == b"what"));
        assert!(open(CLUSTER, Sequence(10), &key(1), &frame).is_err());
        assert!(open(ClusterId([0; 16]), Sequence(9), &key(1), &frame).is_err());
        assert!(open(CLUSTER, Sequence(9), &key(2), &frame).is_err());
        let moved = Frame { tenant: Some(TenantNumber(3)), ..frame };
        assert!(open(CLUSTER, Sequence(9), &key(1), &moved).is_err());
    }

    #[test]
    fn an_entry_under_another_leaf_is_refused() {
        let frame = seal(CLUSTER, TENANT, &key(1), &event(), [0; 57], &mut Zeros);
        assert!(matches!(open(CLUSTER, Sequence(9), &key(1), &frame), Err(EntryError::Leaf { sequence: 9 })));
    }
}
