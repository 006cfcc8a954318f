//! The file with the key that signs checkpoints: an Ed25519 seed in base64.

use crate::whole_file::folder_of;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_config::refused_mode;
use latchkey_crypto::{Entropy, draw};
use latchkey_transparency::note::{Algorithm, SignerKey};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than any such file has.
const BYTES_MAX: u64 = 256;

/// What signs checkpoints.
pub struct CheckpointKey {
    path: PathBuf,
    seed: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointKeyError {
    /// It cannot be read.
    #[error("cannot read checkpoint_key_file {path}; make it readable for us, or name another file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It is not there, and cannot be made.
    #[error("cannot make checkpoint_key_file {path}; make its folder, writable for us")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "{path} has mode {found:04o}, expected 0600, or 0440 where root owns it: only we may sign; chmod 600 {path}"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        found: u32,
    },
    /// It holds something else.
    #[error("{path} holds {found} bytes, expected an Ed25519 seed of 32 bytes in base64; put back the right file")]
    Shape {
        /// The file.
        path: PathBuf,
        /// How many bytes it has.
        found: usize,
    },
}

impl CheckpointKey {
    /// Reads the key; makes one where there is no such file, durable on return.
    ///
    /// # Errors
    /// [`CheckpointKeyError`].
    pub fn open_or_make(path: &Path, entropy: &mut impl Entropy) -> Result<Self, CheckpointKeyError> {
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path, entropy),
            Err(source) => Err(CheckpointKeyError::Read { path: path.into(), source }),
        }
    }

    /// Reads a key that is there.
    ///
    /// # Errors
    /// [`CheckpointKeyError`].
    pub fn open(path: &Path) -> Result<Self, CheckpointKeyError> {
        let file = File::open(path).map_err(|source| CheckpointKeyError::Read { path: path.into(), source })?;
        Self::read(path, file)
    }

    fn read(path: &Path, file: File) -> Result<Self, CheckpointKeyError> {
        let failed = |source| CheckpointKeyError::Read { path: path.into(), source };
        // Of the open file, not of the path: nobody can change one for another in between.
        if let Some(found) = refused_mode(&file.metadata().map_err(failed)?) {
            return Err(CheckpointKeyError::Mode { path: path.into(), found });
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
        let shape = || CheckpointKeyError::Shape { path: path.into(), found: text.len() };
        let bytes = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new).map_err(|_| shape())?;
        let seed = <[u8; 32]>::try_from(&bytes[..]).map(Zeroizing::new).map_err(|_| shape())?;
        Ok(Self::of(path, seed))
    }

    fn make(path: &Path, entropy: &mut impl Entropy) -> Result<Self, CheckpointKeyError> {
        let seed = Zeroizing::new(draw(entropy));
        let new = path.with_added_extension("new");
        // Whole under its name or not there: half a key would be refused by each start after a kill.
        let write = || {
            let _ = fs::remove_file(&new);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            let text = Zeroizing::new(format!("{}\n", STANDARD.encode(seed.as_slice())));
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Unlike a rename, this takes the place of nothing.
            fs::hard_link(&new, path)?;
            fs::remove_file(&new)?;
            File::open(folder_of(path))?.sync_all()
        };
        write().map_err(|source| CheckpointKeyError::Write { path: path.into(), source })?;
        Ok(Self::of(path, seed))
    }

    fn of(path: &Path, seed: Zeroizing<[u8; 32]>) -> Self {
        let signer = SignerKey::new("key", Algorithm::Ed25519, &seed).expect("a plain word is a name");
        Self { path: path.into(), public: signer.verifier().public(), seed }
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What signs in the name of the log.
    pub(super) fn signer(&self, origin: &str) -> SignerKey {
        SignerKey::new(origin, Algorithm::Ed25519, &self.seed).expect("the name of a log is well-formed")
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointKey").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_telemetry::OsEntropy;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_is_the_same_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.key");
        let made = CheckpointKey::open_or_make(&path, &mut OsEntropy).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = CheckpointKey::open_or_make(&path, &mut OsEntropy).unwrap();
        assert_eq!(made.public(), read.public());
        let shown = format!("{read:?}");
        assert!(!shown.contains(fs::read_to_string(&path).unwrap().trim()), "{shown}");
    }

    #[test]
    fn a_kill_while_the_key_is_made_leaves_none_and_the_next_start_makes_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("checkpoint.key"), folder.path().join("checkpoint.key.new"));
        fs::write(&new, "aGFsZg").unwrap();
        let made = CheckpointKey::open_or_make(&path, &mut OsEntropy).unwrap();
        assert!(!new.exists(), "what was half made is gone");
        assert_eq!(CheckpointKey::open_or_make(&path, &mut OsEntropy).unwrap().public(), made.public());
        // The key never lies half written under its own name, where the next start would refuse it.
        let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(beside, ["checkpoint.key"]);
    }

    #[test]
    fn what_others_may_read_or_is_no_key_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.key");
        for (text, mode, expected) in
            [("c2hvcnQ=", 0o600, "32 bytes in base64"), ("not base64!", 0o600, "base64"), ("", 0o644, "chmod 600")]
        {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let told = CheckpointKey::open_or_make(&path, &mut OsEntropy).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let missing = folder.path().join("no/such/folder");
        assert!(matches!(CheckpointKey::open_or_make(&missing, &mut OsEntropy), Err(CheckpointKeyError::Write { .. })));
    }
}
