//! Several KEKs at hand: one wraps, all unwrap.
use crate::{KmsError, Wrapped, wrapping};
use latchkey_crypto::{DataKey, Entropy};
use latchkey_domain::KekId;

/// A KEK and its id.
#[derive(Debug)]
pub(crate) struct Kek {
    pub(crate) id: KekId,
    key: DataKey,
}

impl Kek {
    pub(crate) fn new(key: DataKey) -> Self {
        Self { id: KekId(key.id()), key }
    }
}

/// The ids, each once, in order.
pub(crate) fn ids<'a>(keks: impl Iterator<Item = &'a Kek>) -> Vec<KekId> {
    let mut ids = Vec::new();
    for kek in keks {
        if !ids.contains(&kek.id) {
            ids.push(kek.id);
        }
    }
    ids
}

/// Wraps under the one with this id.
pub(crate) fn wrap<'a>(
    mut keks: impl Iterator<Item = &'a Kek>,
    under: KekId,
    context: &[u8],
    key: &DataKey,
    entropy: &mut impl Entropy,
) -> Result<Wrapped, KmsError> {
    let kek = keks.find(|kek| kek.id == under).ok_or(KmsError::WrongKey)?;
    Ok(Wrapped::new(kek.id, wrapping::wrap(&kek.key, context, key, entropy)))
}

/// Unwraps, and tells which one wrapped it. Trying is cheap and never wrong: the commitment says whose it is.
pub(crate) fn unwrap<'a>(
    keks: impl Iterator<Item = &'a Kek>,
    context: &[u8],
    wrapped: &[u8],
) -> Result<(KekId, DataKey), KmsError> {
    for kek in keks {
        match wrapping::unwrap(&kek.key, context, wrapped) {
            Err(KmsError::WrongKey) => {}
            unwrapped => return unwrapped.map(|key| (kek.id, key)),
        }
    }
    Err(KmsError::WrongKey)
}
