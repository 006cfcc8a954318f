//! Making anew what is kept of a secret, when a pepper, a data key or the key of a tenant rotates. The secret itself is
//! not needed for it, and not had.

use crate::contexts::{self, RingKeyPlace};
use crate::{Numbered, UnwrapError};
use alloc::boxed::Box;
use latchkey_crypto::envelope::{self, SALT_BYTES};
use latchkey_crypto::{DataKey, Entropy, Inner, draw};
use latchkey_domain::{ClusterId, TenantNumber};
use latchkey_state::{SealedInner, Version};

/// The inner digest of a version of a tenant. `data_key` is the one that its header names.
///
/// # Errors
/// [`UnwrapError`]: it was altered, or sealed elsewhere; trying again does not help.
pub fn open_inner(
    data_key: &DataKey,
    cluster: ClusterId,
    tenant: TenantNumber,
    version: &Version,
) -> Result<Inner, UnwrapError> {
    let place = contexts::inner(cluster, tenant, &version.id);
    let opened = envelope::open(data_key, &place, &version.inner).map_err(UnwrapError::Open)?;
    let bytes = opened.as_slice().try_into().map_err(|_| UnwrapError::Length { found: opened.len() })?;
    Ok(Inner::new(bytes))
}

/// The same inner digest under another data key.
pub fn seal_inner(
    data_key: Numbered<&DataKey>,
    cluster: ClusterId,
    tenant: TenantNumber,
    version: &Version,
    inner: &Inner,
    entropy: &mut (impl Entropy + ?Sized),
) -> SealedInner {
    let place = contexts::inner(cluster, tenant, &version.id);
    let sealed = envelope::seal(data_key.key, data_key.number, &place, draw::<SALT_BYTES>(entropy), inner.expose());
    sealed.try_into().expect("an inner digest has one length, and so has its envelope")
}

/// A key of the keyring, wrapped under another parent than before: the same key in the same place.
pub fn rewrap(
    key: &DataKey,
    place: &RingKeyPlace,
    parent: Numbered<&DataKey>,
    entropy: &mut (impl Entropy + ?Sized),
) -> Box<[u8]> {
    envelope::seal(parent.key, parent.number, &place.context(), draw::<SALT_BYTES>(entropy), key.expose()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contexts::RingKind;
    use crate::test_support::Seeded;
    use crate::unwrap;
    use latchkey_crypto::{Digest, envelope::OpenError};
    use latchkey_domain::{RingNumber, UnixMillis, VersionId};
    use latchkey_state::{Rare, SEALED_INNER_BYTES};

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);
    const TENANT: TenantNumber = TenantNumber(3);

    fn version() -> Version {
        Version {
            id: VersionId::from_random([5; 12]),
            pepper: RingNumber(2),
            digest: Digest::new([0; 32]),
            inner: [0; SEALED_INNER_BYTES],
            created_at: UnixMillis::new(0),
            details: Rare::default(),
        }
    }

    #[test]
    fn an_inner_digest_goes_from_one_data_key_to_another_and_stays_the_same() {
        let (old, new) = (DataKey::new([1; 32]), DataKey::new([2; 32]));
        let (inner, mut version, mut entropy) = (Inner::new([7; 32]), version(), Seeded(1));
        version.inner = seal_inner(Numbered::new(RingNumber(6), &old), CLUSTER, TENANT, &version, &inner, &mut entropy);
        let opened = open_inner(&old, CLUSTER, TENANT, &version).unwrap();
        version.inner =
            seal_inner(Numbered::new(RingNumber(9), &new), CLUSTER, TENANT, &version, &opened, &mut entropy);
        assert_eq!(envelope::ring_number(&version.inner), Ok(RingNumber(9)));
        assert_eq!(open_inner(&new, CLUSTER, TENANT, &version).unwrap().expose(), inner.expose());
        let wrong = UnwrapError::Open(OpenError::WrongKey { number: RingNumber(9) });
        assert_eq!(open_inner(&old, CLUSTER, TENANT, &version).unwrap_err(), wrong);
        assert_eq!(open_inner(&new, CLUSTER, TenantNumber(4), &version).unwrap_err(), wrong);
    }

    #[test]
    fn a_key_that_is_wrapped_anew_opens_under_its_new_parent_only() {
        let (key, old, new) = (DataKey::new([9; 32]), DataKey::new([1; 32]), DataKey::new([2; 32]));
        let place = RingKeyPlace::new(CLUSTER, RingKind::Keyspace, [4; 16]);
        let wrapped = rewrap(&key, &place, Numbered::new(RingNumber(11), &new), &mut Seeded(1));
        assert_eq!(envelope::ring_number(&wrapped), Ok(RingNumber(11)));
        assert_eq!(unwrap(&new, &place, &wrapped).unwrap().expose(), key.expose());
        assert!(unwrap(&old, &place, &wrapped).is_err());
    }
}
