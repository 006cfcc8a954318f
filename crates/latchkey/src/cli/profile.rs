//! The profile file: where the services are and the management key, for whoever types `latchkey login` once.
//!
//! It holds a secret, so it is written for its owner only, and not read where others could have.

use crate::cli::error::CliError;
use crate::cli::files;
use crate::cli::service::Service;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The profile where none is named.
pub(crate) const DEFAULT: &str = "default";

/// What stands above it.
const HEADING: &str = "# Written by `latchkey login`. It holds management keys: for its owner only.\n\n";

/// One profile.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuance_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validation_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rotation_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audit_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_trust: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_text: Option<String>,
}

impl Profile {
    pub(crate) fn address(&self, service: Service) -> Option<&String> {
        match service {
            Service::Issuance => self.issuance_address.as_ref(),
            Service::Validation => self.validation_address.as_ref(),
            Service::Rotation => self.rotation_address.as_ref(),
            Service::Audit => self.audit_address.as_ref(),
        }
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("issuance_address", &self.issuance_address)
            .field("validation_address", &self.validation_address)
            .field("rotation_address", &self.rotation_address)
            .field("audit_address", &self.audit_address)
            .field("tenant", &self.tenant)
            .field("tls_trust", &self.tls_trust)
            .field("tls_certificate", &self.tls_certificate)
            .field("tls_key", &self.tls_key)
            .field("key_text", &self.key_text.as_ref().map(|_| "hidden"))
            .finish()
    }
}

/// All profiles of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the file; none is as good as an empty one.
    ///
    /// # Errors
    /// [`CliError`]: it cannot be read, others could read it, or it is not of this form.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let Some(text) = files::read_private(path)? else { return Ok(Self::default()) };
        // The parser shows the line that it dislikes, which may hold a key text: only the place is told.
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            CliError::usage(format!("line {line} of {} is not what `latchkey login` writes", path.display()))
                .remedy("mend it, or remove the file and log in again")
        })
    }

    /// Writes the file whole, for its owner only.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn write(&self, path: &Path) -> Result<(), CliError> {
        let text = toml::to_string(self).expect("tables of texts are TOML");
        files::write_private(path, &format!("{HEADING}{text}"))
    }
}

/// Where the file lies: `$XDG_CONFIG_HOME/latchkey/config.toml`, else below `$HOME/.config`.
pub(crate) fn path(config_home: Option<&str>, home: Option<&str>) -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let absolute = |text: &&str| Path::new(text).is_absolute();
    let base = config_home.filter(absolute).map(PathBuf::from);
    let base = base.or_else(|| home.filter(absolute).map(|home| Path::new(home).join(".config")))?;
    Some(base.join("latchkey").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn profiles() -> Profiles {
        let profile = Profile {
            issuance_address: Some("127.0.0.1:1".to_owned()),
            key_text: Some("lkm_secret".to_owned()),
            ..Profile::default()
        };
        Profiles { profiles: [("dev".to_owned(), profile)].into() }
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latchkey/config.toml");
        profiles().write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Profiles::read(&path).unwrap_err();
        assert!(error.text().contains("0640") && error.text().contains("chmod 600"), "{}", error.text());
    }

    #[test]
    fn what_was_written_reads_the_same_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latchkey/config.toml");
        assert_eq!(Profiles::read(&path).unwrap(), Profiles::default());
        profiles().write(&path).unwrap();
        profiles().write(&path).unwrap();
        assert_eq!(Profiles::read(&path).unwrap(), profiles());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn neither_an_error_nor_debug_shows_a_key_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        files::write_private(&path, "[profiles.dev]\nkey_text = lkm_secret\n").unwrap();
        let error = Profiles::read(&path).unwrap_err().text();
        assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
        assert!(!format!("{:?}", profiles()).contains("secret"));
    }

    #[test]
    fn the_file_lies_where_the_specification_says() {
        assert_eq!(path(Some("/c"), Some("/h")), Some("/c/latchkey/config.toml".into()));
        assert_eq!(path(Some("c"), Some("/h")), Some("/h/.config/latchkey/config.toml".into()));
        assert_eq!(path(None, None), None);
    }
}
