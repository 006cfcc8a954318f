//! What happens to the keyring: rotations of its keys, and what is made anew after them.

use super::build::{key_id, ring_key, version_id};
use latchkey_crypto::{DataKey, Digest, envelope};
use latchkey_domain::{ClusterId, KeyspaceNumber, RingNumber, TenantNumber};
use latchkey_state::{
    NewRingKey, Operation, RedigestVersions, ResealInners, RewrappedKey, RingPurpose, SealedInner, bootstrap_ring,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The first number that a furnished world has not given.
const FRESH: u32 = 15;

/// An inner digest that says to be sealed under this data key.
pub(crate) fn inner(data_key: RingNumber) -> SealedInner {
    let place = envelope::Context {
        cluster: ClusterId([0; 16]),
        tenant: TenantNumber(0),
        record: b"",
        field: envelope::Field::INNER,
        schema: 1,
    };
    let sealed = envelope::seal(&DataKey::new([1; 32]), data_key, &place, [0; 16], &[7; 32]);
    sealed.try_into().unwrap()
}

/// Rotating a key: mostly one that there is, wrapped by what wraps it.
pub(super) fn rotation() -> impl Strategy<Value = Operation> {
    let purposes = vec![
        (RingPurpose::Pepper, 0),
        (RingPurpose::Pepper, 0),
        (RingPurpose::Log, 0),
        (RingPurpose::Tenant(TenantNumber(2)), 0),
        (RingPurpose::Keyspace(KeyspaceNumber(2)), 7),
        (RingPurpose::Keyspace(KeyspaceNumber(2)), 0),
        (RingPurpose::Keyspace(KeyspaceNumber(9)), 7),
        (RingPurpose::Replay, 0),
        (RingPurpose::Audit(TenantNumber(2)), 7),
    ];
    select(purposes).prop_map(|(purpose, wrapped_by)| {
        Operation::RotateRingKey(NewRingKey { wrapped_by: RingNumber(wrapped_by), ..ring_key(purpose) })
    })
}

/// What a leader makes anew.
pub(super) fn rekeying() -> BoxedStrategy<Operation> {
    let number = || prop_oneof![2 => 0..FRESH, 5 => FRESH..FRESH + 8].prop_map(RingNumber);
    let versions = || vec((0..3_u8, select(vec![0, 1, 2, 3, 70_u8])), 1..6);
    let at = |key: u8| (KeyspaceNumber(2), key_id(key));
    prop_oneof![
        vec((1..30_u32, number(), any::<u8>()), 0..4).prop_map(|keys| {
            let rewrap = |(number, wrapped_by, byte)| RewrappedKey {
                number: RingNumber(number),
                wrapped_by,
                kek: None,
                wrapped: Box::new([byte; 60]),
            };
            Operation::RewrapRingKeys(keys.into_iter().map(rewrap).collect())
        }),
        (number(), versions(), any::<u8>()).prop_map(move |(pepper, versions, byte)| {
            let versions = versions.into_iter().map(|(key, version)| {
                let version = if key == 0 { version_id(70) } else { version_id(version) };
                (at(key), version, Digest::new([byte; 32]))
            });
            Operation::RedigestVersions(RedigestVersions { pepper, versions: versions.collect() })
        }),
        (number(), number(), versions()).prop_map(move |(data_key, other, versions)| {
            let versions = versions.into_iter().map(|(key, version)| {
                let version = if key == 0 { version_id(70) } else { version_id(version) };
                (at(key), version, inner(if version == version_id(3) { other } else { data_key }))
            });
            Operation::ResealInners(Box::new(ResealInners { data_key, versions: versions.collect() }))
        }),
        prop_oneof![Just(bootstrap_ring::PEPPER), number()].prop_map(Operation::DropRingKey),
    ]
    .boxed()
}
