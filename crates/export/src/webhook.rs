//! Signatures of Standard Webhooks: HMAC-SHA-256 under a shared secret (`whsec_`), Ed25519 under a private key (`whsk_`).
//!
//! ```text
//! webhook-id: 6f1d...-7
//! webhook-timestamp: 1795420800
//! webhook-signature: v1,<base64> v1a,<base64>       each secret signs `{id}.{timestamp}.{body}`
//! ```

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use latchkey_dial::{DialError, read_file};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// What a shared secret begins with.
const SHARED: &str = "whsec_";
/// What a private key begins with.
const PRIVATE: &str = "whsk_";
/// What a public key begins with.
const PUBLIC: &str = "whpk_";
/// A seed of Ed25519, and the form with the public key behind it. Bytes.
const SEED_BYTES: usize = 32;
const PAIR_BYTES: usize = 64;

/// What signs.
pub enum SigningKey {
    /// A secret that the receiver has as well.
    Shared(Box<hmac::Key>),
    /// A private key, of which the receiver has the public half.
    Private(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared(_) => "SigningKey::Shared",
            Self::Private(_) => "SigningKey::Private",
        })
    }
}

impl SigningKey {
    /// Reads one: `whsec_` and 24 to 64 bytes of base64, or `whsk_` and the 32 bytes of a seed, its public key behind it or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok().map(Zeroizing::new);
        if let Some(text) = text.strip_prefix(SHARED) {
            let secret = decode(text).filter(|secret| (24..=64).contains(&secret.len()))?;
            return Some(Self::Shared(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret))));
        }
        let secret = decode(text.strip_prefix(PRIVATE)?)?;
        let pair = match secret.len() {
            SEED_BYTES => Ed25519KeyPair::from_seed_unchecked(&secret),
            PAIR_BYTES => Ed25519KeyPair::from_seed_and_public_key(&secret[..SEED_BYTES], &secret[SEED_BYTES..]),
            _ => return None,
        };
        pair.ok().map(Self::Private)
    }

    /// Reads the one in a file.
    ///
    /// # Errors
    /// [`DialError`]: it cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, DialError> {
        let bytes = read_file(path)?;
        let key = std::str::from_utf8(&bytes).ok().and_then(Self::parse);
        key.ok_or_else(|| DialError::Content { path: path.to_owned(), expected: "whsec_ or whsk_ and base64" })
    }

    /// The public half, `whpk_` and base64, where there is one.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        match self {
            Self::Shared(_) => None,
            Self::Private(pair) => Some(format!("{PUBLIC}{}", BASE64_STANDARD.encode(pair.public_key().as_ref()))),
        }
    }

    fn sign(&self, signed: &[u8]) -> String {
        match self {
            Self::Shared(key) => format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, signed).as_ref())),
            Self::Private(pair) => format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(signed).as_ref())),
        }
    }
}

/// The three headers of a call. Without a key there is no signature, and the id alone tells repeats.
#[must_use]
pub fn headers(keys: &[SigningKey], id: &str, unix_seconds: u64, body: &[u8]) -> Vec<(&'static str, String)> {
    let mut signed = format!("{id}.{unix_seconds}.").into_bytes();
    signed.extend_from_slice(body);
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(&signed)).collect();
    let mut headers = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", unix_seconds.to_string())];
    headers.extend((!signatures.is_empty()).then(|| ("webhook-signature", signatures.join(" "))));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    /// The vector of the Standard Webhooks libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_shared_secret_signs_as_the_reference_does() {
        let key = SigningKey::parse(SECRET).unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let headers = headers(&[key], id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(headers[0], ("webhook-id", id.to_owned()));
        assert_eq!(headers[1], ("webhook-timestamp", "1614265330".to_owned()));
        assert_eq!(headers[2], ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn several_keys_sign_at_once_and_each_by_its_kind() {
        let private = format!("{PRIVATE}{}", BASE64_STANDARD.encode([7; 32]));
        let keys = [SECRET, &private].map(|text| SigningKey::parse(text).unwrap());
        let headers = headers(&keys, "id", 5, b"body");
        let signatures: Vec<_> = headers[2].1.split(' ').collect();
        assert!(signatures.len() == 2 && signatures[0].starts_with("v1,"), "{signatures:?}");
        let signature = BASE64_STANDARD.decode(signatures[1].strip_prefix("v1a,").unwrap()).unwrap();
        let public = keys[1].public().unwrap();
        let public = BASE64_STANDARD.decode(public.strip_prefix(PUBLIC).unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public).verify(b"id.5.body", &signature).unwrap();
        assert_eq!(format!("{keys:?}"), "[SigningKey::Shared, SigningKey::Private]");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let short = format!("{SHARED}{}", BASE64_STANDARD.encode([1; 23]));
        let mismatched = format!("{PRIVATE}{}", BASE64_STANDARD.encode([7; 64]));
        for text in ["", "whsec_", "whsec_***", "whsk_AAAA", "whpk_AAAA", &short, &mismatched] {
            assert!(SigningKey::parse(text).is_none(), "{text}");
        }
    }
}
