//! Wrapping under a KEK that is at hand: a key is sealed like any record.
use crate::KmsError;
use latchkey_crypto::envelope::{self, Context, Field, OpenError, SALT_BYTES};
use latchkey_crypto::{DataKey, Entropy, draw};
use latchkey_domain::{ClusterId, RingNumber, TenantNumber};

/// The number of the KEK, which is in no keyring.
const KEK: RingNumber = RingNumber(0);
/// Version of the plaintext: the 32 bytes of the key.
const SCHEMA: u16 = 1;

pub(crate) fn wrap(kek: &DataKey, context: &[u8], key: &DataKey, entropy: &mut impl Entropy) -> Vec<u8> {
    let salt = draw::<SALT_BYTES>(entropy);
    envelope::seal(kek, KEK, &place(context), salt, key.expose())
}

pub(crate) fn unwrap(kek: &DataKey, context: &[u8], wrapped: &[u8]) -> Result<DataKey, KmsError> {
    let opened = envelope::open(kek, &place(context), wrapped).map_err(|error| match error {
        OpenError::WrongKey { .. } => KmsError::WrongKey,
        OpenError::TooShort { .. } | OpenError::Suite { .. } | OpenError::Altered { .. } => KmsError::Malformed,
    })?;
    let key = opened.as_slice().try_into().map_err(|_| KmsError::Malformed)?;
    Ok(DataKey::new(key))
}

/// The caller's context says the cluster and the purpose, so the fixed fields say neither.
fn place(context: &[u8]) -> Context<'_> {
    Context {
        cluster: ClusterId([0; 16]),
        tenant: TenantNumber(0),
        record: context,
        field: Field::WRAPPED_KEY,
        schema: SCHEMA,
    }
}
