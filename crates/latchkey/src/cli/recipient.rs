//! Public keys of recipients, from files.

use crate::cli::error::CliError;
use crate::cli::files;
use latchkey_delivery::{RecipientKey, read_recipient};
use latchkey_wire::pb::v1 as pb;
use std::path::Path;

/// The public key in a file, as the API takes it.
///
/// # Errors
/// [`CliError`]: there is none that secrets can be sealed to.
pub(crate) fn read(path: &Path) -> Result<pb::RecipientKey, CliError> {
    use pb::recipient_key::Key;
    let key = read_recipient(&files::read_text(path)?);
    let key = match key.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))? {
        RecipientKey::X25519(key) => Key::X25519(key.to_vec()),
        RecipientKey::Rsa(key) => Key::Rsa(key.der().to_vec()),
    };
    Ok(pb::RecipientKey { key: Some(key) })
}
