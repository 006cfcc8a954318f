//! Minting one key: its ids, its secret, what is kept of the secret, and the text that shows it once.

use crate::Numbered;
use crate::contexts;
use latchkey_crypto::envelope::{self, SALT_BYTES};
use latchkey_crypto::{
    DataKey, Digest, Entropy, Inner, KeyText, Pepper, Secret, compose, draw, draw_key_id, draw_version_id,
};
use latchkey_domain::{
    ClusterId, DisplayName, KeyId, Metadata, Prefix, Purpose, RingNumber, TenantNumber, Terms, UnixMillis, VersionId,
};
use latchkey_state::{Expiry, HolderName, NewKey, SealedInner};

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
    /// The id of its first version.
    pub version: VersionId,
    /// What is shown once.
    pub text: KeyText,
    pepper: RingNumber,
    digest: Digest,
    inner: SealedInner,
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
    /// What it may do and from where.
    pub terms: Terms,
    /// The tenant's own words.
    pub metadata: Metadata,
    /// From when on it is accepted.
    pub not_before: Option<UnixMillis>,
    /// How long it lives.
    pub expiry: Expiry,
}

impl Mint<'_> {
    /// Draws a key. The secret is gone when this returns, but for the text.
    pub fn key(&self, entropy: &mut (impl Entropy + ?Sized)) -> Minted {
        let (key, version) = (draw_key_id(entropy), draw_version_id(entropy));
        let secret = Secret::draw(entropy);
        let inner = Inner::of(version, &secret);
        let place = contexts::inner(self.cluster, self.tenant, &version);
        let salt = draw::<SALT_BYTES>(entropy);
        let sealed = envelope::seal(self.data_key.key, self.data_key.number, &place, salt, inner.expose());
        Minted {
            key,
            version,
            text: compose(self.prefix, version, &secret),
            pepper: self.pepper.number,
            digest: self.pepper.key.digest(&inner),
            inner: sealed.try_into().expect("an inner digest has one length, and so has its envelope"),
        }
    }
}

impl Minted {
    /// What is proposed, and what is shown once it was accepted.
    #[must_use]
    pub fn into_new_key(self, details: KeyDetails) -> (NewKey, KeyText) {
        let KeyDetails { holder, display_name, purpose, terms, metadata, not_before, expiry } = details;
        let new = NewKey {
            id: self.key,
            version: self.version,
            pepper: self.pepper,
            digest: self.digest,
            inner: self.inner,
            holder,
            display_name,
            purpose,
            terms,
            metadata,
            not_before,
            expiry,
        };
        (new, self.text)
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
            metadata: Metadata::default(),
            not_before: None,
            expiry: Expiry::Default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Seeded, hex};
    use latchkey_crypto::parse;
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
