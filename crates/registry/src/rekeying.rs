//! Drawing keys of the keyring for an operator who has one rotated. What follows from it is the leader's duty.

use crate::keyring::KeyringError;
use crate::registry::Registry;
use latchkey_domain::RingNumber;
use latchkey_kms::{KmsError, OsEntropy};
use latchkey_minting::{DrawnKey, Numbered};
use latchkey_state::{NewRingKey, RingPurpose};

/// What wraps the keys at the top.
const KEK: RingNumber = RingNumber(0);

/// Why a new key of the keyring is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The key-encryption key does not wrap it.
    #[error("a new key cannot be wrapped")]
    Kms(#[from] KmsError),
    /// The key of its tenant is not to be had.
    #[error("the key that would wrap a new one is not to be had")]
    Keyring(#[from] KeyringError),
}

impl Registry {
    /// Draws a key of this purpose, wrapped by what wraps such keys now.
    ///
    /// # Errors
    /// [`DrawError`]
    pub async fn draw_ring_key(&self, purpose: RingPurpose) -> Result<NewRingKey, DrawError> {
        let drawn = DrawnKey::draw(&mut OsEntropy, self.core().cluster(), purpose.into());
        let parent = self.core().state().wrapping_key(purpose);
        let (wrapped_by, kek, wrapped) = match parent {
            number if number != KEK => {
                let parent = self.core().keyring.key(number).await?;
                (number, None, drawn.wrapped_under(Numbered::new(number, &parent), &mut OsEntropy))
            }
            _ => {
                let (wrapped, kek) = self.wrap_ring_key(&drawn).await?;
                (KEK, Some(kek), wrapped)
            }
        };
        Ok(NewRingKey { id: wrapped.id, purpose, wrapped_by, kek, wrapped: wrapped.wrapped })
    }
}
