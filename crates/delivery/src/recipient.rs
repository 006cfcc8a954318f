//! The keys of recipients: the public one, which secrets are sealed to, and the private one, which never reaches a service.

use crate::{pem, sealing};
use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PrivateDecryptingKey;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::Hpke as _;
use std::fmt;
use zeroize::Zeroizing;

pub use latchkey_domain::RecipientKey;

const PUBLIC_LABEL: &str = "PUBLIC KEY";
const PRIVATE_LABEL: &str = "PRIVATE KEY";

/// What an X25519 key begins with as `SubjectPublicKeyInfo`, and as PKCS #8: RFC 8410.
const X25519_PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
const X25519_PRIVATE: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];

/// Why a key of a recipient cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// It is no public key that secrets can be sealed to.
    #[error(
        "expected a public key as PEM (`BEGIN PUBLIC KEY`), X25519 or RSA of 2,048 to 8,192 bits; \
         `latchkey recipient new` makes one"
    )]
    Public,
    /// It is no private key that opens them.
    #[error(
        "expected a private key as PEM without a passphrase (`BEGIN PRIVATE KEY`), X25519 or RSA of 2,048 to 8,192 bits"
    )]
    Private,
}

/// Reads a public key as PEM, `SubjectPublicKeyInfo`.
///
/// # Errors
/// [`RecipientError::Public`].
pub fn read_recipient(text: &str) -> Result<RecipientKey, RecipientError> {
    let der = pem::read(PUBLIC_LABEL, text).ok_or(RecipientError::Public)?;
    let key = match der.strip_prefix(&X25519_PUBLIC).and_then(|key| key.try_into().ok()) {
        Some(key) => RecipientKey::X25519(key),
        None => RecipientKey::rsa(&der).map_err(|_| RecipientError::Public)?,
    };
    check_recipient(&key)?;
    Ok(key)
}

/// Writes a public key as PEM.
#[must_use]
pub fn write_recipient(key: &RecipientKey) -> String {
    let der = match key {
        RecipientKey::X25519(key) => [&X25519_PUBLIC[..], key].concat(),
        RecipientKey::Rsa(key) => key.der().to_vec(),
    };
    pem::write(PUBLIC_LABEL, &der).to_string()
}

/// Whether a key can be sealed to. An API that takes one asks before it keeps it.
///
/// # Errors
/// [`RecipientError::Public`].
pub fn check_recipient(key: &RecipientKey) -> Result<(), RecipientError> {
    let usable = match key {
        // A point of low order is found by trying: whatever is sealed to it, everybody opens.
        RecipientKey::X25519(key) => {
            SUITE.setup_sealer(b"", &rustls::crypto::hpke::HpkePublicKey(key.to_vec())).is_ok()
        }
        RecipientKey::Rsa(key) => sealing::public_rsa(key.der()).is_ok(),
    };
    usable.then_some(()).ok_or(RecipientError::Public)
}

/// The private key of a recipient. Zeroed on drop; `Debug` shows nothing of it.
pub struct RecipientSecret(Secret);

/// The private key itself.
pub(crate) enum Secret {
    X25519(Zeroizing<[u8; 32]>),
    /// PKCS #8.
    Rsa(Zeroizing<Vec<u8>>),
}

impl RecipientSecret {
    /// A fresh X25519 key.
    ///
    /// # Panics
    /// Where the operating system gives no randomness.
    #[must_use]
    pub fn generate() -> Self {
        let (_, secret) = SUITE.generate_key_pair().expect("the operating system gives randomness");
        let bytes = secret.secret_bytes().try_into().expect("a key of X25519 has 32 bytes");
        Self(Secret::X25519(Zeroizing::new(bytes)))
    }

    /// Reads a private key as PEM, PKCS #8, without a passphrase.
    ///
    /// # Errors
    /// [`RecipientError::Private`].
    pub fn read(text: &str) -> Result<Self, RecipientError> {
        let der = pem::read(PRIVATE_LABEL, text).ok_or(RecipientError::Private)?;
        if let Some(key) = der.strip_prefix(&X25519_PRIVATE).and_then(|key| key.try_into().ok()) {
            return Ok(Self(Secret::X25519(Zeroizing::new(key))));
        }
        PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| RecipientError::Private)?;
        Ok(Self(Secret::Rsa(der)))
    }

    /// Writes it as PEM, PKCS #8.
    #[must_use]
    pub fn write(&self) -> Zeroizing<String> {
        match &self.0 {
            Secret::X25519(key) => pem::write(PRIVATE_LABEL, &Zeroizing::new([&X25519_PRIVATE[..], &key[..]].concat())),
            Secret::Rsa(der) => pem::write(PRIVATE_LABEL, der),
        }
    }

    /// The public key that belongs to it.
    ///
    /// # Errors
    /// [`RecipientError::Private`].
    pub fn public(&self) -> Result<RecipientKey, RecipientError> {
        match &self.0 {
            Secret::X25519(key) => x25519_public(key).map(RecipientKey::X25519),
            Secret::Rsa(der) => {
                let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| RecipientError::Private)?.public_key();
                let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| RecipientError::Private)?;
                RecipientKey::rsa(der.as_ref()).map_err(|_| RecipientError::Private)
            }
        }
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.0
    }
}

fn x25519_public(secret: &[u8; 32]) -> Result<[u8; 32], RecipientError> {
    let key = PrivateKey::from_private_key(&X25519, secret).map_err(|_| RecipientError::Private)?;
    let public = key.compute_public_key().map_err(|_| RecipientError::Private)?;
    public.as_ref().try_into().map_err(|_| RecipientError::Private)
}

impl fmt::Debug for RecipientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Secret::X25519(_) => "RecipientSecret(X25519)",
            Secret::Rsa(_) => "RecipientSecret(RSA)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        let secret = RecipientSecret::generate();
        let public = write_recipient(&secret.public().unwrap());
        for text in
            ["", "hello", &secret.write(), &public.replace("MCow", "MCox"), &public.replace("PUBLIC", "RSA PUBLIC")]
        {
            assert_eq!(read_recipient(text), Err(RecipientError::Public));
        }
        for text in ["", &public, &secret.write().replace("MC4C", "MC4D")] {
            assert_eq!(RecipientSecret::read(text).err(), Some(RecipientError::Private));
        }
        assert_eq!(check_recipient(&RecipientKey::X25519([0; 32])), Err(RecipientError::Public));
    }

    #[test]
    fn keys_are_read_as_they_were_written_and_as_openssl_writes_them() {
        let secret = RecipientSecret::generate();
        let again = RecipientSecret::read(&secret.write()).unwrap();
        assert_eq!(again.public(), secret.public());
        let public = secret.public().unwrap();
        assert_eq!(read_recipient(&write_recipient(&public)), Ok(public));
        // Alice's keys of RFC 7748, section 6.1, as openssl writes them.
        let alice = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n\
                     -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n\
                      -----END PUBLIC KEY-----\n";
        let read = RecipientSecret::read(alice).unwrap();
        assert_eq!(format!("{read:?}"), "RecipientSecret(X25519)");
        assert_eq!(write_recipient(&read.public().unwrap()), public);
        assert_eq!(*read.write(), alice);
    }

    #[test]
    fn an_rsa_key_is_told_from_others() {
        let secret = crate::testing::rsa_secret();
        let public = secret.public().unwrap();
        assert!(matches!(public, RecipientKey::Rsa(_)));
        assert_eq!(read_recipient(&write_recipient(&public)), Ok(public));
    }
}
