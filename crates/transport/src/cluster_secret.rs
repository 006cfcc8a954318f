//! The secret that the services of one cluster share until they have certificates. It lives in a file of its own.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use latchkey_config::refused_mode;
use latchkey_crypto::Entropy;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Shorter ones could be guessed or were typed by hand.
const SECRET_BYTES_MIN: usize = 32;

/// Longer ones do not fit into a header with the rest.
const SECRET_BYTES_MAX: usize = 512;

/// What [`ClusterSecret::generate`] draws: 256 bits.
const DRAWN_BYTES: usize = 32;

/// What internal services show each other. Zeroed on drop, never shown, compared in constant time.
#[derive(Clone)]
pub struct ClusterSecret {
    text: Arc<Zeroizing<String>>,
}

/// Why a cluster secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClusterSecretError {
    /// The file cannot be read.
    #[error("cannot read the cluster secret from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot write a new cluster secret to {path}, which must not exist yet")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Others may read or write the file.
    #[error(
        "{path} has mode {mode:04o}, expected 0600, or 0440 where root owns it: only we may read the cluster secret"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file lies where backups and support bundles are taken from.
    #[error("{path} lies in the data folder {data_folder}; keep the cluster secret outside of it")]
    InDataFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        data_folder: PathBuf,
    },
    /// The file's text cannot be a secret.
    #[error("{path} holds {found} bytes, expected {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} visible ASCII characters")]
    Shape {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds, without the line's end.
        found: usize,
    },
}

impl ClusterSecret {
    /// Reads the secret of a file that only its owner may read, and that does not lie in `data_folder`.
    /// # Errors
    /// [`ClusterSecretError`], with what was found.
    pub fn read(path: &Path, data_folder: Option<&Path>) -> Result<Self, ClusterSecretError> {
        let read_error = |source| ClusterSecretError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read_error)?;
        // Of the open file, not of the path: nobody can change one for another in between.
        let metadata = file.metadata().map_err(read_error)?;
        if let Some(mode) = refused_mode(&metadata) {
            return Err(ClusterSecretError::Mode { path: path.to_owned(), mode });
        }
        if let Some(data_folder) = data_folder {
            refuse_inside(path, data_folder)?;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 2));
        let bytes_max = u64::try_from(SECRET_BYTES_MAX + 2).expect("a small constant");
        file.take(bytes_max).read_to_end(&mut bytes).map_err(read_error)?;
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        Self::from_text(text).ok_or_else(|| ClusterSecretError::Shape { path: path.to_owned(), found: text.len() })
    }

    /// Draws a new secret and writes it to `path`, mode 0600, durable on return. An existing file is left alone.
    /// # Errors
    /// [`ClusterSecretError::Write`].
    pub fn generate(path: &Path, entropy: &mut impl Entropy) -> Result<Self, ClusterSecretError> {
        let mut drawn = Zeroizing::new([0_u8; DRAWN_BYTES]);
        entropy.fill(&mut *drawn);
        let mut text = Zeroizing::new(String::with_capacity(DRAWN_BYTES * 2 + 1));
        for byte in drawn.iter() {
            for nibble in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(nibble.into(), 16).expect("a nibble is a hexadecimal digit"));
            }
        }
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|source| ClusterSecretError::Write { path: path.to_owned(), source })?;
        Ok(Self { text: Arc::new(text) })
    }

    /// The text as it travels.
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether `shown` is this secret. The time it takes tells nothing but whether the length is right.
    pub(crate) fn matches(&self, shown: &[u8]) -> bool {
        self.text.as_bytes().ct_eq(shown).into()
    }

    fn from_text(bytes: &[u8]) -> Option<Self> {
        let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len());
        if !fits || !bytes.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        Some(Self { text: Arc::new(Zeroizing::new(text.to_owned())) })
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterSecret({} bytes)", self.text.len())
    }
}

fn refuse_inside(path: &Path, data_folder: &Path) -> Result<(), ClusterSecretError> {
    // A data folder that does not exist yet holds nothing.
    let Ok(folder) = fs::canonicalize(data_folder) else { return Ok(()) };
    let real = fs::canonicalize(path).map_err(|source| ClusterSecretError::Read { path: path.to_owned(), source })?;
    if real.starts_with(&folder) {
        return Err(ClusterSecretError::InDataFolder { path: path.to_owned(), data_folder: data_folder.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use latchkey_telemetry::OsEntropy;

    use super::*;

    fn written(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let path = folder.join("cluster-secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_generated_secret_is_read_back_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster-secret");
        let made = ClusterSecret::generate(&path, &mut OsEntropy).unwrap();
        let read = ClusterSecret::read(&path, None).unwrap();
        assert!(read.matches(made.reveal().as_bytes()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(format!("{read:?}"), "ClusterSecret(64 bytes)");
    }

    #[test]
    fn a_secret_that_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), "mine", 0o600);
        assert!(matches!(ClusterSecret::generate(&path, &mut OsEntropy), Err(ClusterSecretError::Write { .. })));
        assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &"a".repeat(32), 0o640);
        let error = ClusterSecret::read(&path, None).unwrap_err();
        assert!(error.to_string().contains("has mode 0640, expected 0600"), "{error}");
    }

    #[test]
    fn a_file_in_the_data_folder_is_refused_through_links_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let inside = written(&data, &"a".repeat(32), 0o600);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        for path in [&inside, &link] {
            let read = ClusterSecret::read(path, Some(&data));
            assert!(matches!(read, Err(ClusterSecretError::InDataFolder { .. })), "{read:?}");
        }
    }

    #[test]
    fn what_is_too_short_too_long_or_no_text_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "a\n", &"a".repeat(31), &"a".repeat(513), &format!("{} {}", "a".repeat(20), "b".repeat(20))] {
            let path = written(folder.path(), text, 0o600);
            let read = ClusterSecret::read(&path, None);
            assert!(matches!(read, Err(ClusterSecretError::Shape { .. })), "{text:?}: {read:?}");
        }
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = ClusterSecret::from_text(&[b'a'; 32]).unwrap();
        assert!(secret.matches(&[b'a'; 32]));
        for wrong in [&[][..], &[b'a'; 31], &[b'a'; 33], &[b'b'; 32]] {
            assert!(!secret.matches(wrong));
        }
    }
}
