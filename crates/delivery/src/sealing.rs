//! Sealing a key text to a recipient's public key, so that nobody on the way can read it, and opening it again.
//!
//! X25519: HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM; `info` is
//! `latchkey/rotation/1`, the additional data is the full name of the version. What is sealed is `enc (32 bytes) || ciphertext`, as
//! the single-shot calls of most libraries give and take it.
//!
//! RSA: RSAES-OAEP with SHA-256 for both the digest and MGF1 (RFC 8017), without a label, which key stores of clouds cannot
//! take. What is sealed is the ciphertext, as long as the modulus.

use crate::recipient::Secret;
use crate::{RecipientKey, RecipientSecret};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use latchkey_crypto::KeyText;
use latchkey_domain::VersionName;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

/// What a sealed text was sealed for: `info` of HPKE.
const INFO: &[u8] = b"latchkey/rotation/1";
/// An encapsulated key of X25519. Bytes.
const ENCAPSULATED_BYTES: usize = 32;
/// Longest sealed text: the ciphertext of the longest RSA key that is accepted, 8,192 bits. Bytes.
pub const SEALED_BYTES_MAX: usize = 1024;

/// The recipient's key cannot be sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recipient's public key cannot be used, expected X25519, or RSA of 2,048 to 8,192 bits; give another")]
pub struct SealError;

/// What was sealed does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this does not open: expected a text sealed to this key, for this version, and unchanged")]
pub struct OpenError;

/// Seals `text`, the text of `version`. The same text is sealed differently each time.
///
/// # Errors
/// [`SealError`]: a key that [`crate::check_recipient`] refuses too.
pub fn seal(recipient: &RecipientKey, version: &VersionName, text: &KeyText) -> Result<Vec<u8>, SealError> {
    let plain = text.expose().as_bytes();
    match recipient {
        RecipientKey::X25519(key) => {
            let (name, key) = (version.to_string(), HpkePublicKey(key.to_vec()));
            let (encapsulated, sealed) = SUITE.seal(INFO, name.as_bytes(), plain, &key).map_err(|_| SealError)?;
            Ok([encapsulated.0, sealed].concat())
        }
        RecipientKey::Rsa(key) => {
            let key = public_rsa(key.der())?;
            let mut sealed = vec![0; key.ciphertext_size()];
            key.encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut sealed, None).map_err(|_| SealError)?;
            Ok(sealed)
        }
    }
}

/// Opens what [`seal`] gave.
///
/// # Errors
/// [`OpenError`].
pub fn open(secret: &RecipientSecret, version: &VersionName, sealed: &[u8]) -> Result<Zeroizing<String>, OpenError> {
    let plain = match secret.secret() {
        Secret::X25519(key) => {
            let (encapsulated, sealed) = sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(OpenError)?;
            let (key, encapsulated) = (HpkePrivateKey::from(key.to_vec()), EncapsulatedSecret(encapsulated.to_vec()));
            SUITE.open(&encapsulated, INFO, version.to_string().as_bytes(), sealed, &key).map_err(|_| OpenError)?
        }
        Secret::Rsa(der) => {
            let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| OpenError)?;
            let key = OaepPrivateDecryptingKey::new(key).map_err(|_| OpenError)?;
            let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
            let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, sealed, &mut plain, None).map_err(|_| OpenError)?;
            opened.to_vec()
        }
    };
    match String::from_utf8(plain) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(OpenError)
        }
    }
}

/// An RSA key of a length that aws-lc-rs accepts: 2,048 to 8,192 bits.
pub(crate) fn public_rsa(der: &[u8]) -> Result<OaepPublicEncryptingKey, SealError> {
    let key = PublicEncryptingKey::from_der(der).map_err(|_| SealError)?;
    OaepPublicEncryptingKey::new(key).map_err(|_| SealError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{key_text, version_name};

    #[test]
    fn what_is_changed_or_meant_for_another_does_not_open() {
        let (secret, other) = (RecipientSecret::generate(), RecipientSecret::generate());
        let sealed = seal(&secret.public().unwrap(), &version_name(1), &key_text(1)).unwrap();
        assert!(open(&other, &version_name(1), &sealed).is_err(), "another key");
        assert!(open(&secret, &version_name(2), &sealed).is_err(), "another version");
        for at in [0, 31, 32, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&secret, &version_name(1), &changed).is_err(), "byte {at}");
        }
        for length in [0, 31, 32, 33, sealed.len() - 1] {
            assert!(open(&secret, &version_name(1), &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn what_was_sealed_opens_and_differs_each_time() {
        let secret = RecipientSecret::generate();
        let public = secret.public().unwrap();
        let seal = || seal(&public, &version_name(1), &key_text(1)).unwrap();
        let (first, second) = (seal(), seal());
        assert_ne!(first, second);
        for sealed in [first, second] {
            assert_eq!(sealed.len(), 32 + key_text(1).expose().len() + 16);
            assert!(!sealed.windows(8).any(|part| key_text(1).expose().as_bytes().starts_with(part)));
            assert_eq!(*open(&secret, &version_name(1), &sealed).unwrap(), key_text(1).expose());
        }
    }

    #[test]
    fn what_another_implementation_sealed_opens() {
        // By pyhpke 0.6.5 over OpenSSL, to the public key of Alice of RFC 7748, section 6.1.
        let digits = "dcac302f5a8792def86da3435190303dedb97d69e643085025734179c782d77538c3bb210619ccb1ae80e3c494b717e6\
                      2f5fa80e8696010e82a2c2eef1619ec2";
        let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let sealed: Vec<u8> = (0..digits.len()).step_by(2).map(digit).collect();
        let alice = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n\
                     -----END PRIVATE KEY-----\n";
        let alice = RecipientSecret::read(alice).unwrap();
        assert_eq!(*open(&alice, &version_name(1), &sealed).unwrap(), "sealed elsewhere");
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        // Whatever is agreed with these points, everybody knows: RFC 7748, section 6.1. A policy refuses what this refuses.
        let points = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ];
        for digits in points {
            let digit = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
            let point: [u8; 32] = std::array::from_fn(digit);
            assert_eq!(seal(&RecipientKey::X25519(point), &version_name(1), &key_text(1)), Err(SealError), "{digits}");
            assert!(RecipientKey::x25519(&point).is_err(), "{digits}");
        }
    }

    #[test]
    fn a_recipient_who_has_only_rsa_opens_it_too() {
        let secret = crate::testing::rsa_secret();
        let public = secret.public().unwrap();
        let sealed = seal(&public, &version_name(1), &key_text(1)).unwrap();
        assert_eq!(sealed.len(), 256);
        assert_eq!(*open(&secret, &version_name(1), &sealed).unwrap(), key_text(1).expose());
        let mut changed = sealed.clone();
        changed[100] ^= 1;
        assert_eq!(open(&secret, &version_name(1), &changed), Err(OpenError));
        assert!(open(&secret, &version_name(1), &sealed[1..]).is_err());
    }
}
