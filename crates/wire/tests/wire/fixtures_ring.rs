//! What feature level 5 brought to the keyring: commands and a row.

use crate::fixtures_level_3;
use latchkey_crypto::Digest;
use latchkey_domain::{IdentityName, KekId, KeyId, KeyspaceNumber, NodeId, RingNumber, UnixMillis, VersionId};
use latchkey_state::{
    Actor, Command, KeyAt, NewRingKey, Operation, RedigestVersions, RequestMark, ResealInners, RewrappedKey, RingKey,
    RingPurpose, Row, SEALED_INNER_BYTES,
};
use std::sync::Arc;

const AT: UnixMillis = UnixMillis::new(1_700_000_000_000);

fn version(number: u8) -> (KeyAt, VersionId) {
    let key = (KeyspaceNumber(number.into()), KeyId::from_random([number; 12]));
    (key, VersionId::from_random([0x70 | number; 12]))
}

fn new_key(purpose: RingPurpose, wrapped_by: u32, kek: Option<KekId>) -> NewRingKey {
    NewRingKey { id: [9; 16], purpose, wrapped_by: RingNumber(wrapped_by), kek, wrapped: vec![9; 101].into() }
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let operator = || Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    let kek = Some(KekId([0xE1; 8]));
    let by = |operation| {
        let request = Some(RequestMark { id: [0x1D; 16], hash: [0x4A; 32] });
        Command { at: AT, request, ..Command::new(operator(), [0x0E; 32], operation) }
    };
    let of_leader = |operation| Command { at: AT, ..Command::new(Actor::Replica(NodeId(1)), [0x0E; 32], operation) };
    let rewrapped = |number, wrapped_by, kek| RewrappedKey {
        number: RingNumber(number),
        wrapped_by: RingNumber(wrapped_by),
        kek,
        wrapped: vec![0xEE; 101].into(),
    };
    let digested = |number| (version(number).0, version(number).1, Digest::new([number; 32]));
    let sealed = |number| (version(number).0, version(number).1, [number; SEALED_INNER_BYTES]);
    let redigested = RedigestVersions { pepper: RingNumber(9), versions: vec![digested(1), digested(2)] };
    let resealed = ResealInners { data_key: RingNumber(11), versions: vec![sealed(1), sealed(3)] };
    vec![
        ("rotate_ring_key_pepper", by(Operation::RotateRingKey(new_key(RingPurpose::Pepper, 0, kek)))),
        ("rotate_ring_key_keyspace", {
            by(Operation::RotateRingKey(new_key(RingPurpose::Keyspace(KeyspaceNumber(2)), 4, None)))
        }),
        ("add_ring_key_under_a_kek", of_leader(Operation::AddRingKey(new_key(RingPurpose::Replay, 0, kek)))),
        ("rewrap_ring_keys", of_leader(Operation::RewrapRingKeys(vec![rewrapped(5, 9, None), rewrapped(2, 0, kek)]))),
        ("redigest_versions", of_leader(Operation::RedigestVersions(redigested))),
        ("reseal_inners", of_leader(Operation::ResealInners(Box::new(resealed)))),
        ("import_keys_under_two_peppers", import_keys()),
    ]
}

/// An import while the pepper rotates.
fn import_keys() -> Command {
    let (_, mut command) = fixtures_level_3::commands().into_iter().find(|(name, _)| *name == "import_keys").unwrap();
    if let Operation::ImportKeys(operation) = &mut command.operation {
        operation.keys[0].also =
            vec![(RingNumber(2), Digest::new([0xA1; 32])), (RingNumber(7), Digest::new([0xA2; 32]))];
    }
    command.feature_level = command.feature_level_needed();
    command
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let key = RingKey {
        number: RingNumber(9),
        id: [6; 16],
        purpose: RingPurpose::Pepper,
        wrapped_by: RingNumber(0),
        kek: Some(KekId([0xE1; 8])),
        wrapped: vec![6; 101].into(),
        created_at: AT,
    };
    vec![("ring_key_under_a_kek", Row::RingKey(Arc::new(key)))]
}
