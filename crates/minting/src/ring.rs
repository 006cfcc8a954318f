//! New keys of the keyring, and opening those that another ring key wraps.

use crate::Numbered;
use crate::contexts::{RingKeyPlace, RingKind};
use alloc::boxed::Box;
use core::fmt;
use latchkey_crypto::envelope::{self, OpenError, SALT_BYTES};
use latchkey_crypto::{DataKey, Entropy, draw};
use latchkey_domain::ClusterId;
use latchkey_state::WrappedKey;

/// A fresh ring key that nothing has wrapped yet.
#[derive(Debug)]
pub struct DrawnKey {
    id: [u8; 16],
    place: RingKeyPlace,
    key: DataKey,
}

impl DrawnKey {
    /// Draws a key and the random id that it is wrapped under.
    pub fn draw(entropy: &mut (impl Entropy + ?Sized), cluster: ClusterId, kind: RingKind) -> Self {
        let id = draw(entropy);
        Self { id, place: RingKeyPlace::new(cluster, kind, id), key: DataKey::draw(entropy) }
    }

    /// The key itself: for `Kms::wrap`, and for what is sealed under it at once.
    #[must_use]
    pub const fn key(&self) -> &DataKey {
        &self.key
    }

    /// Its place, whose `kek_context` the KMS is told.
    #[must_use]
    pub const fn place(&self) -> &RingKeyPlace {
        &self.place
    }

    /// With what the KMS made of [`Self::key`].
    #[must_use]
    pub fn wrapped(&self, wrapped: impl Into<Box<[u8]>>) -> WrappedKey {
        WrappedKey { id: self.id, wrapped: wrapped.into() }
    }

    /// Wrapped under another ring key. Its number is 0 where that key has none yet.
    pub fn wrapped_under(&self, parent: Numbered<&DataKey>, entropy: &mut (impl Entropy + ?Sized)) -> WrappedKey {
        let salt = draw::<SALT_BYTES>(entropy);
        self.wrapped(envelope::seal(parent.key, parent.number, &self.place.context(), salt, self.key.expose()))
    }
}

/// Opens what [`DrawnKey::wrapped_under`] made. `parent` is the key that the row of the keyring says wraps it.
///
/// # Errors
/// [`UnwrapError`]; trying again does not help.
pub fn unwrap(parent: &DataKey, place: &RingKeyPlace, wrapped: &[u8]) -> Result<DataKey, UnwrapError> {
    let opened = envelope::open(parent, &place.context(), wrapped).map_err(UnwrapError::Open)?;
    let bytes = opened.as_slice().try_into().map_err(|_| UnwrapError::Length { found: opened.len() })?;
    Ok(DataKey::new(bytes))
}

/// Why a wrapped key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwrapError {
    /// It does not open.
    Open(OpenError),
    /// What it holds is no key.
    Length {
        /// Bytes found.
        found: usize,
    },
}

impl fmt::Display for UnwrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("the wrapped key does not open"),
            Self::Length { found } => write!(f, "a wrapped key holds 32 bytes, found {found}"),
        }
    }
}

impl core::error::Error for UnwrapError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::Length { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Seeded, hex};
    use latchkey_domain::RingNumber;

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

    #[test]
    fn a_wrapped_key_opens_under_its_parent_and_in_its_place_only() {
        let mut entropy = Seeded(1);
        let parent = DataKey::new([1; 32]);
        let drawn = DrawnKey::draw(&mut entropy, CLUSTER, RingKind::Keyspace);
        let wrapped = drawn.wrapped_under(Numbered::new(RingNumber(4), &parent), &mut entropy);

        assert_eq!(unwrap(&parent, drawn.place(), &wrapped.wrapped).unwrap().expose(), drawn.key().expose());
        let audit = RingKeyPlace::new(CLUSTER, RingKind::Audit, wrapped.id);
        let elsewhere = RingKeyPlace::new(ClusterId([0; 16]), RingKind::Keyspace, wrapped.id);
        for (parent, place) in [(&parent, &audit), (&parent, &elsewhere), (&DataKey::new([2; 32]), drawn.place())] {
            let error = unwrap(parent, place, &wrapped.wrapped).unwrap_err();
            assert_eq!(error, UnwrapError::Open(OpenError::WrongKey { number: RingNumber(4) }));
        }
    }

    #[test]
    fn what_holds_no_key_is_refused() {
        let (parent, place) = (DataKey::new([1; 32]), RingKeyPlace::new(CLUSTER, RingKind::Log, [0; 16]));
        let sealed = envelope::seal(&parent, RingNumber(0), &place.context(), [0; 16], &[7; 31]);
        assert_eq!(unwrap(&parent, &place, &sealed).unwrap_err(), UnwrapError::Length { found: 31 });
    }

    #[test]
    fn the_bytes_of_a_wrapped_key_are_a_contract() {
        let mut entropy = Seeded(7);
        let drawn = DrawnKey::draw(&mut entropy, CLUSTER, RingKind::Keyspace);
        let wrapped = drawn.wrapped_under(Numbered::new(RingNumber(4), &DataKey::new([0x11; 32])), &mut entropy);
        assert_eq!(hex(&wrapped.wrapped), GOLDEN);
    }

    const GOLDEN: &str = concat!(
        "010000000477cbc4a133c2d0f653fcd6513d02befeb73e1953abcb0297f462facb4e2a23ee4b092c2257b8c69b6c252d",
        "0ba740b4a8a801cec8101c390785c7b2e1317c138bc7ef24055d9b31347075f50065847a1d55196c016dcf2b1e544a14",
        "b32b854558",
    );
}
