//! What tests of deliveries need: a store in memory, the suite that every store must pass, and names and texts.

pub mod conformance;
mod memory;

pub use conformance::Rig;
pub use memory::MemoryStore;

use crate::Item;
use latchkey_crypto::{KeyText, Secret, compose, parse};
use latchkey_domain::{KeyName, Prefix, RotationId, RotationName, VersionId, VersionName};

/// A key whose secrets are delivered.
#[must_use]
pub fn key_name() -> KeyName {
    KeyName::parse("tenants/acme/keyspaces/orders/keys/0Jx5k3f9QmZ2aB7c").expect("a name")
}

/// The `number`th rotation of that key.
#[must_use]
pub fn rotation_name(number: u8) -> RotationName {
    rotation_of(key_name(), number)
}

/// The `number`th rotation of a key.
#[must_use]
pub fn rotation_of(key: KeyName, number: u8) -> RotationName {
    RotationName { key, rotation: RotationId::from_chars(&numbered(number)).expect("an id") }
}

/// The `number`th version of that key.
#[must_use]
pub fn version_name(number: u8) -> VersionName {
    VersionName { key: key_name(), version: version_id(number) }
}

/// The text of the `number`th version.
#[must_use]
pub fn key_text(number: u8) -> KeyText {
    let mut secret = *b"SECRETsecretSECRETsecretSECRETs0";
    secret[31] = b'A' + number % 26;
    let secret = Secret::from_chars(&secret).expect("a secret");
    compose(&Prefix::parse("acme_live").expect("a prefix"), version_id(number), &secret)
}

/// A text on its way, as the version that it says it is.
///
/// # Panics
/// Where it is no text of a key.
#[must_use]
pub fn item<'a>(rotation: &'a RotationName, text: &'a KeyText) -> Item<'a> {
    let version = parse(text.expose()).expect("the text of a key").version;
    Item { rotation, version, text }
}

fn version_id(number: u8) -> VersionId {
    VersionId::from_chars(&numbered(number)).expect("an id")
}

fn numbered(number: u8) -> [u8; 16] {
    let mut chars = *b"1Wq8Zr4tYv6u0000";
    chars[13] = b'0' + number / 100;
    chars[14] = b'0' + number / 10 % 10;
    chars[15] = b'0' + number % 10;
    chars
}

/// A script in `folder` that a hook can run: its path.
#[cfg(test)]
pub(crate) fn script(folder: &tempfile::TempDir, body: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = folder.path().join(format!("script-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    // Written by a process of its own: a file that this one writes could not be executed while another thread starts a
    // process, which holds it open for a moment.
    let written = std::process::Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 700 \"$0\""])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            use std::io::Write as _;
            child.stdin.take().expect("a pipe").write_all(format!("#!/bin/sh\n{body}\n").as_bytes())?;
            child.wait()
        });
    assert!(written.expect("a shell").success());
    assert_eq!(path.metadata().expect("it was written").permissions().mode() & 0o777, 0o700);
    path.display().to_string()
}

/// A fresh RSA key of 2,048 bits.
#[cfg(test)]
pub(crate) fn rsa_secret() -> crate::RecipientSecret {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("randomness");
    let der: Pkcs8V1Der<'_> = key.as_der().expect("DER");
    crate::RecipientSecret::read(&crate::pem::write("PRIVATE KEY", der.as_ref())).expect("a key")
}
