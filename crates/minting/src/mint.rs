//! Minting a secret: for a new key with its ids, or for another version of a key. What is kept of it is proposed; the
//! text shows it once.

use crate::Numbered;
use crate::contexts;
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_crypto::envelope::{self, SALT_BYTES};
use latchkey_crypto::{DataKey, Entropy, Inner, KeyText, Pepper, Secret, compose, draw, draw_key_id, draw_version_id};
use latchkey_domain::{
    ClusterId, DisplayName, KeyId, Metadata, Prefix, Purpose, RotationPolicy, Slug, TenantNumber, Terms, UnixMillis,
    VersionId,
};
use latchkey_state::{Expiry, HolderName, NewKey, NewVersion};

/// What minting needs to know of a keyspace. Its keys are unwrapped, so this lives as briefly as can be.
#[derive(Clone, Copy, Debug)]
pub struct Mint<'a> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The keyspace's tenant.
    pub tenant: TenantNumber,
    /// The keyspace's prefix.
    pub prefix: &'a Prefix,
    /// The keyspace's data key.
    pub data_key: Numbered<&'a DataKey>,
    /// The newest pepper.
    pub pepper: Numbered<&'a Pepper>,
}

/// A key that nobody has proposed yet.
#[derive(Debug)]
pub struct Minted {
    /// Its id.
    pub key: KeyId,
    /// Its first version.
    pub version: MintedVersion,
}

/// A version that nobody has proposed yet.
#[derive(Debug)]
pub struct MintedVersion {
    /// What is shown once.
    pub text: KeyText,
    new: NewVersion,
}

/// What the caller says about a new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDetails {
    /// Whom it belongs to.
    pub holder: HolderName,
    /// What people call it.
    pub display_name: DisplayName,
    /// What it is for.
    pub purpose: Purpose,
    /// What it may do and from where; its roles are those below.
    pub terms: Terms,
    /// Its roles, by id within the tenant; sorted.
    pub roles: Vec<Slug>,
    /// The key whose child it shall be, of the same keyspace.
    pub parent: Option<KeyId>,
    /// The tenant's own words.
    pub metadata: Metadata,
    /// From when on it is accepted.
    pub not_before: Option<UnixMillis>,
    /// How long it lives.
    pub expiry: Expiry,
    /// When it rotates by itself, in place of what its keyspace says.
    pub rotation_policy: Option<Box<RotationPolicy>>,
}

impl Mint<'_> {
    /// Draws a key with its first version. The secret is gone when this returns, but for the text.
    pub fn key(&self, entropy: &mut (impl Entropy + ?Sized)) -> Minted {
        // The first draw is the key's id, so that it tells nothing of the version's.
        let key = draw_key_id(entropy);
        Minted { key, version: self.version(entropy) }
    }

    /// Draws a version: the first of a new key, or the one that takes the place of another. The secret is gone when this
    /// returns, but for the text.
    pub fn version(&self, entropy: &mut (impl Entropy + ?Sized)) -> MintedVersion {
        let id = draw_version_id(entropy);
        let secret = Secret::draw(entropy);
        let inner = Inner::of(id, &secret);
        let place = contexts::inner(self.cluster, self.tenant, &id);
        let salt = draw::<SALT_BYTES>(entropy);
        let sealed = envelope::seal(self.data_key.key, self.data_key.number, &place, salt, inner.expose());
        let new = NewVersion {
            id,
            pepper: self.pepper.number,
            digest: self.pepper.key.digest(&inner),
            inner: sealed.try_into().expect("an inner digest has one length, and so has its envelope"),
        };
        MintedVersion { text: compose(self.prefix, id, &secret), new }
    }
}

impl Minted {
    /// What is proposed, and what is shown once it was accepted.
    #[must_use]
    pub fn into_new_key(self, details: KeyDetails) -> (NewKey, KeyText) {
        let (version, text) = self.version.into_new_version();
        (details.into_new_key(self.key, &version), text)
    }
}

impl KeyDetails {
    /// What is proposed: a key with this id and this first version.
    pub(crate) fn into_new_key(self, key: KeyId, version: &NewVersion) -> NewKey {
        let NewVersion { id, pepper, digest, inner } = *version;
        let Self { holder, display_name, purpose, terms, roles, parent, metadata, not_before, expiry, rotation_policy } =
            self;
        NewKey {
            id: key,
            version: id,
            pepper,
            digest,
            inner,
            holder,
            display_name,
            purpose,
            terms,
            roles,
            parent,
            metadata,
            not_before,
            expiry,
            rotation_policy,
        }
    }
}

impl MintedVersion {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> VersionId {
        self.new.id
    }

    /// What is proposed, and what is shown once it was accepted, if it was: where a standby is there, that one takes the
    /// place, and this text is no key's.
    #[must_use]
    pub fn into_new_version(self) -> (NewVersion, KeyText) {
        (self.new, self.text)
    }
}

impl Default for KeyDetails {
    /// Nobody's key, without a permission, that lives as its keyspace says.
    fn default() -> Self {
        Self {
            holder: HolderName::None,
            display_name: DisplayName::default(),
            purpose: Purpose::default(),
            terms: Terms::default(),
            roles: Vec::new(),
            parent: None,
            metadata: Metadata::default(),
            not_before: None,
            expiry: Expiry::Default,
            rotation_policy: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Seeded, hex};
    use latchkey_crypto::parse;
    use latchkey_domain::RingNumber;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

    fn with_mint<T>(prefix: &str, tell: impl FnOnce(Mint<'_>) -> T) -> T {
        let (prefix, data_key, pepper) =
            (Prefix::parse(prefix).unwrap(), DataKey::new([0x11; 32]), Pepper::new(&[0x22; 32]));
        tell(Mint {
            cluster: CLUSTER,
            tenant: TenantNumber(2),
            prefix: &prefix,
            data_key: Numbered::new(RingNumber(6), &data_key),
            pepper: Numbered::new(RingNumber(2), &pepper),
        })
    }

    proptest! {
        #[test]
        fn the_text_shown_is_the_one_that_the_digest_knows(seed: u64, prefix in "[a-z][a-z0-9]{0,7}(_[a-z0-9]{1,7})?") {
            with_mint(&prefix, |mint| {
                let (new, text) = mint.key(&mut Seeded(seed)).into_new_key(KeyDetails::default());
                let presented = parse(text.expose()).expect("minting writes key texts that parse");
                let inner = Inner::of(presented.version, &presented.secret);
                assert_eq!((presented.prefix, presented.version), (prefix.as_str(), new.version));
                assert!(mint.pepper.key.digest(&inner).matches(&new.digest));

                let place = contexts::inner(CLUSTER, TenantNumber(2), &new.version);
                let opened = envelope::open(mint.data_key.key, &place, &new.inner).expect("opens in its own place");
                assert_eq!(opened.as_slice(), inner.expose());
                assert_eq!(envelope::ring_number(&new.inner), Ok(RingNumber(6)));
                let other = contexts::inner(CLUSTER, TenantNumber(3), &new.version);
                assert!(envelope::open(mint.data_key.key, &other, &new.inner).is_err());
            });
        }
    }

    #[test]
    fn another_version_is_minted_as_the_first_one_is() {
        with_mint("acme", |mint| {
            let mut entropy = Seeded(11);
            let (new, text) = mint.version(&mut entropy).into_new_version();
            let presented = parse(text.expose()).expect("minting writes key texts that parse");
            let inner = Inner::of(presented.version, &presented.secret);
            assert_eq!((presented.prefix, presented.version), ("acme", new.id));
            assert_eq!(new.pepper, RingNumber(2));
            assert!(mint.pepper.key.digest(&inner).matches(&new.digest));
            let place = contexts::inner(CLUSTER, TenantNumber(2), &new.id);
            let opened = envelope::open(mint.data_key.key, &place, &new.inner).expect("opens in its own place");
            assert_eq!(opened.as_slice(), inner.expose());

            let other = mint.version(&mut entropy);
            assert!(other.id() != new.id && other.text.expose() != text.expose());
        });
    }

    #[test]
    fn neither_ids_nor_texts_nor_ciphertexts_come_twice() {
        with_mint("acme", |mint| {
            let mut entropy = Seeded(3);
            let mut seen = BTreeSet::new();
            for _ in 0..1_000 {
                let (new, text) = mint.key(&mut entropy).into_new_key(KeyDetails::default());
                assert!(seen.insert(new.id.to_string()) && seen.insert(new.version.to_string()));
                assert!(seen.insert(text.expose().to_owned()) && seen.insert(hex(&new.inner)));
            }
        });
    }

    #[test]
    fn nothing_that_is_proposed_contains_the_secret() {
        with_mint("acme", |mint| {
            let (new, text) = mint.key(&mut Seeded(3)).into_new_key(KeyDetails::default());
            let secret = &text.expose()[text.expose().len() - 38..][..32];
            assert!(!format!("{new:?}").contains(secret));
            assert!(!new.inner.windows(32).any(|bytes| bytes == secret.as_bytes()));
        });
    }

    #[test]
    fn the_bytes_of_a_minted_key_are_a_contract() {
        with_mint("acme_live", |mint| {
            let (new, text) = mint.key(&mut Seeded(7)).into_new_key(KeyDetails::default());
            assert_eq!(text.expose(), TEXT);
            assert_eq!(hex(new.digest.as_bytes()), DIGEST);
            assert_eq!(hex(&new.inner), INNER);
        });
    }

    const TEXT: &str = "acme_live_fIF0fLbsV1YnaCJs_rPxeiUXW1W4AH4kHvHAbp8MyLSJz24YW33DgJ3";
    const DIGEST: &str = "6e6da9c021cc15dbc490c97b3d7bb47640d601037e58b12a260e31fc92a2990b";
    const INNER: &str = concat!(
        "0100000006eb0354df4a45b34edf0f9924a3016430f174919dc60d53826c81dd372b6dcf71f35c2da9cf72852ed3ad41",
        "80375ddb74bc1e448f984ce6aec5ddfc539bae131b7d194a03ccaf8cb5bb18ae6c95b53e2442687619c07063482d9ba8",
        "2ef9146a0d",
    );
}
