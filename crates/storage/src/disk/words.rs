//! The tree `words`: raft's words, the purge marker, the number of the last sync.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::chunks;
use super::engine::Engine;
use crate::error::StoreError;
use crate::facts::field;
use crate::log::Purged;
use crate::word::Word;

/// Numbers above those of [`Word`].
const PURGED: u8 = 0x80;
const SYNCS: u8 = 0x81;

pub(super) fn put_word(batch: &mut sled::Batch, word: Word, bytes: &[u8]) {
    chunks::put(batch, &[word as u8], bytes);
}

pub(super) fn put_purged(batch: &mut sled::Batch, purged: &Purged) {
    chunks::put(batch, &[PURGED], &[&purged.through.to_be_bytes(), &purged.marker[..]].concat());
}

pub(super) fn put_syncs(batch: &mut sled::Batch, number: u64) {
    chunks::put(batch, &[SYNCS], &number.to_be_bytes());
}

pub(super) fn load_words(engine: &Engine) -> Result<BTreeMap<Word, Bytes>, StoreError> {
    let mut words = BTreeMap::new();
    for word in Word::ALL {
        if let Some(bytes) = read(engine, word as u8)? {
            words.insert(word, bytes);
        }
    }
    Ok(words)
}

pub(super) fn load_purged(engine: &Engine) -> Result<Option<Purged>, StoreError> {
    let Some(mut bytes) = read(engine, PURGED)? else { return Ok(None) };
    if bytes.len() < 8 {
        return Err(StoreError::damaged("the purge marker is too short"));
    }
    let through = bytes.split_to(8);
    Ok(Some(Purged { through: u64::from_be_bytes(field(&through, 0)), marker: bytes }))
}

/// The number of the last sync that sled remembers.
pub(super) fn load_syncs(engine: &Engine) -> Result<u64, StoreError> {
    match read(engine, SYNCS)? {
        Some(bytes) if bytes.len() == 8 => Ok(u64::from_be_bytes(field(&bytes, 0))),
        Some(_) => Err(StoreError::damaged("the number of syncs has another length")),
        None => Ok(0),
    }
}

fn read(engine: &Engine, number: u8) -> Result<Option<Bytes>, StoreError> {
    chunks::read(engine, &engine.words, &[number], || format!("word {number}"))
}
