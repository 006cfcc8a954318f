//! The file: TOML, every table of it optional.

use crate::cli::Kind;
use latchkey_wire::pb::v1::Outcome;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a cluster begins with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The word that all secrets come from: another word, other key texts.
    pub(super) word: String,
    #[serde(default)]
    pub(super) tenants: Vec<SeedTenant>,
    #[serde(default)]
    pub(super) owners: Vec<SeedOwner>,
    #[serde(default)]
    pub(super) roles: Vec<SeedRole>,
    #[serde(default)]
    pub(super) keyspaces: Vec<SeedKeyspace>,
    #[serde(default)]
    pub(super) identities: Vec<SeedIdentity>,
    #[serde(default)]
    pub(super) keys: Vec<SeedKey>,
}

/// A tenant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedTenant {
    pub(super) name: String,
    #[serde(default)]
    pub(super) display_name: String,
}

/// An owner, `TENANT/OWNER`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedOwner {
    pub(super) name: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) contacts: Vec<String>,
}

/// A role, `TENANT/ROLE`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedRole {
    pub(super) name: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) permissions: Vec<String>,
    #[serde(default)]
    pub(super) methods: Vec<String>,
}

/// A keyspace, `TENANT/KEYSPACE`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedKeyspace {
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) environment: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) allowed_permissions: Vec<String>,
    #[serde(default)]
    pub(super) networks: Vec<String>,
}

/// An identity, `TENANT/IDENTITY`, with grants as on the command line: `issuer:acme/orders`. It gets a management key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedIdentity {
    pub(super) name: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) grants: Vec<String>,
}

/// A key, or a text that is none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedKey {
    /// The word for it in the file, and the name of the file with its text.
    pub(super) name: String,
    /// Where it lies; for a text that is no key the keyspace whose prefix it has.
    pub(super) keyspace: String,
    /// What a validation of it gives. What it takes is done, where the fields below do not do it already.
    #[serde(default = "valid")]
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) owner: String,
    #[serde(default)]
    pub(super) permissions: Vec<String>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) networks: Vec<String>,
    #[serde(default)]
    pub(super) methods: Vec<String>,
    #[serde(default)]
    pub(super) resources: Vec<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

fn valid() -> String {
    "VALID".to_owned()
}

/// Why a seed file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is not of the form that a seed has.
    #[error("{path} is no seed")]
    Form {
        /// Which.
        path: PathBuf,
        /// Where, and what was expected.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value of it is not what it must be.
    #[error("{path}: {what}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// What was expected and what was found.
        what: String,
    },
}

impl Seed {
    /// Reads a file. What it says is checked as far as no service is needed for it.
    ///
    /// # Errors
    /// [`SeedFileError`].
    pub fn read(path: &Path) -> Result<Self, SeedFileError> {
        let text = fs::read_to_string(path).map_err(|source| SeedFileError::Read { path: path.to_owned(), source })?;
        let form = |source| SeedFileError::Form { path: path.to_owned(), source: Box::new(source) };
        let seed: Self = toml::from_str(&text).map_err(form)?;
        seed.check().map_err(|what| SeedFileError::Value { path: path.to_owned(), what })?;
        Ok(seed)
    }

    fn check(&self) -> Result<(), String> {
        if self.word.is_empty() {
            return Err("word is empty: all key texts come from it".to_owned());
        }
        for key in &self.keys {
            let outcome = Outcome::from_str_name(&format!("OUTCOME_{}", key.outcome));
            if !outcome.is_some_and(|outcome| OUTCOMES.contains(&outcome)) {
                let known: Vec<&str> = OUTCOMES.iter().map(|outcome| word(*outcome)).collect();
                return Err(format!("key {}: outcome is one of {}, found {}", key.name, known.join(", "), key.outcome));
            }
            let named =
                !key.name.is_empty() && key.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !named {
                return Err(format!("the name of a key is letters, digits, - and _, found {:?}", key.name));
            }
            Kind::Keyspace.full(&key.keyspace, None).map_err(|error| format!("key {}: {error}", key.name))?;
        }
        let mut names: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        twice.map_or(Ok(()), |pair| Err(format!("two keys are named {}", pair[0])))
    }
}

/// Those that a seed can arrange.
pub(super) const OUTCOMES: [Outcome; 12] = [
    Outcome::Valid,
    Outcome::Malformed,
    Outcome::NotFound,
    Outcome::WrongKeyspace,
    Outcome::Revoked,
    Outcome::Suspended,
    Outcome::NotYetValid,
    Outcome::Expired,
    Outcome::NetworkNotAllowed,
    Outcome::MethodNotAllowed,
    Outcome::ResourceNotAllowed,
    Outcome::InsufficientPermissions,
];

/// The word of an outcome, as the manuals write it.
pub(super) fn word(outcome: Outcome) -> &'static str {
    let name = outcome.as_str_name();
    name.strip_prefix("OUTCOME_").unwrap_or(name)
}

impl SeedKey {
    /// The outcome; the file was checked when it was read.
    pub(super) fn outcome(&self) -> Outcome {
        Outcome::from_str_name(&format!("OUTCOME_{}", self.outcome)).unwrap_or(Outcome::Unspecified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/local/seed.toml");

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed.toml");
        fs::write(&path, text).unwrap();
        let error = Seed::read(&path).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error} {source}")
    }

    #[test]
    fn what_is_no_seed_is_told_with_what_was_expected() {
        assert!(refused("").contains("word"));
        assert!(refused("word = \"\"").contains("word is empty"));
        assert!(refused("word = \"a\"\nwords = 1").contains("unknown field"));
        let key = "word = \"a\"\n[[keys]]\nname = \"a\"\nkeyspace = \"a/b\"\n";
        assert!(refused(&format!("{key}outcome = \"GOOD\"")).contains("INSUFFICIENT_PERMISSIONS"));
        assert!(refused(&format!("{key}{}", key.split_once('\n').unwrap().1)).contains("two keys"));
        assert!(refused(&key.replace("a/b", "a")).contains("TENANT/KEYSPACE"));
    }

    #[test]
    fn the_seed_that_is_shipped_arranges_every_outcome() {
        let seed = Seed::read(Path::new(SHIPPED)).unwrap();
        for outcome in OUTCOMES {
            assert!(seed.keys.iter().any(|key| key.outcome() == outcome), "{}", word(outcome));
        }
        assert!(!seed.tenants.is_empty() && !seed.roles.is_empty() && !seed.identities.is_empty());
    }
}
