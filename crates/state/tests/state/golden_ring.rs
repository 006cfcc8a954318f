//! The canonical bytes of keys of the keyring that say which key-encryption key wraps them: level 5.

use crate::golden::check;
use crate::support::START;
use latchkey_domain::{KekId, RingNumber};
use latchkey_state::{RingKey, RingPurpose, Row};
use std::sync::Arc;

#[test]
fn the_bytes_of_ring_keys_of_level_5_do_not_change() {
    let key = RingKey {
        number: RingNumber(7),
        id: [5; 16],
        purpose: RingPurpose::Pepper,
        wrapped_by: RingNumber(0),
        kek: Some(KekId([0xE1; 8])),
        wrapped: Box::new([6; 101]),
        created_at: START,
    };
    check("row/ring_key_level_5", &[Row::RingKey(Arc::new(key)).canonical_bytes()]);
}
