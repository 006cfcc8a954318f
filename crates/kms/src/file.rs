//! KEKs in files, each of one line, `latchkey-kek-1:` and 64 hexadecimal digits, readable by its owner alone.
use crate::keks::{self, Kek};
use crate::{BoxFuture, Kms, KmsError, OsEntropy, Wrapped};
use latchkey_config::refused_mode;
use latchkey_crypto::DataKey;
use latchkey_domain::KekId;
use std::fs::{self, File, OpenOptions};
use std::future::ready;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a KEK file begins with: its kind and format.
const LABEL: &[u8] = b"latchkey-kek-1:";
/// The file without its line end. Bytes.
const LINE_BYTES: usize = LABEL.len() + 64;
/// Read and write for the owner.
const MODE: u32 = 0o600;

/// KEKs that lie in files and are held in memory, where they are zeroed on drop.
///
/// For one machine, for tests and for whoever mounts the files from a secret store. Each file is read once.
#[derive(Debug)]
pub struct FileKms {
    /// The one that wraps first.
    keks: Vec<Kek>,
    name: String,
}

impl FileKms {
    /// Reads the KEK in the file at `path`.
    ///
    /// # Errors
    /// [`KekFileError`], which says what to do.
    pub fn open(path: &Path) -> Result<Self, KekFileError> {
        Self::open_with(path, &[])
    }

    /// Reads the KEK that wraps from the file at `path`, and those that it takes the place of from `previous`.
    ///
    /// # Errors
    /// [`KekFileError`], which says what to do.
    pub fn open_with(path: &Path, previous: &[PathBuf]) -> Result<Self, KekFileError> {
        let mut keks = vec![read_kek(path)?];
        for path in previous {
            keks.push(read_kek(path)?);
        }
        Ok(Self { keks, name: name(path, previous) })
    }

    /// Makes a file with a fresh KEK, durable on return, and opens it. Never replaces a file.
    ///
    /// # Errors
    /// [`KekFileError::Exists`] and [`KekFileError::Write`].
    pub fn generate(path: &Path) -> Result<Self, KekFileError> {
        let write = |source| KekFileError::Write { path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map_err(|source| {
            match source.kind() {
                io::ErrorKind::AlreadyExists => KekFileError::Exists { path: path.to_owned() },
                _ => write(source),
            }
        })?;
        let kek = DataKey::draw(&mut OsEntropy);
        if let Err(source) = file.write_all(&line(&kek)).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path))
        {
            // Half a KEK helps nobody, and would stand in the way of the next attempt.
            let _ = fs::remove_file(path);
            return Err(write(source));
        }
        Self::open(path)
    }
}

impl Kms for FileKms {
    fn name(&self) -> &str {
        &self.name
    }

    fn keks(&self) -> Vec<KekId> {
        keks::ids(self.keks.iter())
    }

    fn wrap_under<'a>(
        &'a self,
        under: KekId,
        context: &'a [u8],
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<Wrapped, KmsError>> {
        Box::pin(ready(keks::wrap(self.keks.iter(), under, context, key, &mut OsEntropy)))
    }

    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        Box::pin(ready(keks::unwrap(self.keks.iter(), context, wrapped).map(|(_, key)| key)))
    }

    fn identify<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<KekId, KmsError>> {
        Box::pin(ready(keks::unwrap(self.keks.iter(), context, wrapped).map(|(kek, _)| kek)))
    }
}

/// What these files are called in logs.
pub(crate) fn name(path: &Path, previous: &[PathBuf]) -> String {
    previous.iter().fold(format!("file:{}", path.display()), |name, path| format!("{name}, before {}", path.display()))
}

/// Reads one file.
pub(crate) fn read_kek(path: &Path) -> Result<Kek, KekFileError> {
    let read = |source| KekFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(KekFileError::NotAFile { path: path.to_owned() });
    }
    if let Some(found) = refused_mode(&metadata) {
        return Err(KekFileError::Mode { path: path.to_owned(), found });
    }
    let kek = read_line(file).map_err(read)?;
    Ok(Kek::new(kek.ok_or_else(|| KekFileError::Malformed { path: path.to_owned() })?))
}

/// Why a KEK file cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KekFileError {
    /// The file is missing or cannot be read.
    #[error(
        "cannot read the key-encryption key in {path}; mount the file there, or generate one for a new cluster; a previous \
         one that nothing needs any more, see `latchkey keyring status`, is taken out of kek_files_previous"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The path leads to a folder, a device or a pipe.
    #[error("{path} is not a regular file; give the path of the file that holds the key-encryption key")]
    NotAFile {
        /// The path given.
        path: PathBuf,
    },
    /// Others than the owner may read or change the file.
    #[error(
        "{path} has mode {found:04o}, expected 0600 or 0400, or 0440 where root owns it: only we may read it; \
         run `chmod 600 {path}`"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        found: u32,
    },
    /// The file holds something else.
    #[error("{path} does not hold one line of `latchkey-kek-1:` and 64 hexadecimal digits; restore it from its backup")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// There is a file already. Replacing a KEK would lose all that it wrapped.
    #[error("{path} exists and is not replaced: what it wrapped would be lost; choose another path")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made durable.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// The line of a KEK file, with its line end.
fn line(kek: &DataKey) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES + 1));
    line.extend_from_slice(LABEL);
    for byte in kek.expose() {
        line.extend([byte >> 4, byte & 0xF].map(|digit| DIGITS[usize::from(digit)]));
    }
    line.push(b'\n');
    line
}

/// Reads the whole file; `None` where it is not one well-formed line. Never reads more than one line has.
fn read_line(file: File) -> io::Result<Option<DataKey>> {
    // Two more bytes than a line: its end, and one that shows that the file goes on.
    let mut text = Zeroizing::new(Vec::with_capacity(LINE_BYTES + 2));
    file.take(LINE_BYTES as u64 + 2).read_to_end(&mut text)?;
    Ok(parse_line(&text))
}

fn parse_line(text: &[u8]) -> Option<DataKey> {
    let digits: &[u8; 64] = text.strip_suffix(b"\n").unwrap_or(text).strip_prefix(LABEL)?.try_into().ok()?;
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(DataKey::new(*bytes))
}

/// A new file survives a power cut only once its folder is written too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::conformance;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn written(folder: &tempfile::TempDir, text: &str, mode: u32) -> PathBuf {
        let path = folder.path().join("kek");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn well_formed() -> String {
        format!("latchkey-kek-1:{}\n", "0a".repeat(32))
    }

    #[test]
    fn a_file_that_others_may_touch_is_refused_with_the_remedy() {
        let folder = folder();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o700, 0o4600, 0o777] {
            let path = written(&folder, &well_formed(), mode);
            let error = FileKms::open(&path).unwrap_err();
            assert!(matches!(error, KekFileError::Mode { found, .. } if found == mode), "{mode:o}: {error}");
            assert!(error.to_string().ends_with(&format!("run `chmod 600 {}`", path.display())), "{error}");
        }
        for mode in [0o600, 0o400] {
            assert!(FileKms::open(&written(&folder, &well_formed(), mode)).is_ok(), "{mode:o}");
            fs::remove_file(folder.path().join("kek")).unwrap();
        }
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused() {
        let folder = folder();
        let (half, other) = ("0a".repeat(31), "0a".repeat(33));
        for text in [
            String::new(),
            "\n".into(),
            "0a".repeat(32),
            format!("latchkey-kek-1:{half}\n"),
            format!("latchkey-kek-1:{other}\n"),
            format!("latchkey-kek-1:{half}0g\n"),
            format!("latchkey-kek-1:{half}+a\n"),
            format!("latchkey-kek-2:{half}0a\n"),
            format!(" {}", well_formed()),
            format!("{}\n", well_formed()),
            format!("{}{}", well_formed(), well_formed()),
            well_formed().replace('\n', "\r\n"),
        ] {
            let error = FileKms::open(&written(&folder, &text, 0o600)).unwrap_err();
            assert!(matches!(error, KekFileError::Malformed { .. }), "{text:?}: {error}");
        }
        assert!(FileKms::open(&written(&folder, well_formed().trim_end(), 0o600)).is_ok());
    }

    #[test]
    fn a_missing_file_and_a_folder_are_refused() {
        let folder = folder();
        let missing = FileKms::open(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, KekFileError::Read { .. }), "{missing}");
        let directory = FileKms::open(folder.path()).unwrap_err();
        assert!(matches!(directory, KekFileError::NotAFile { .. }), "{directory}");
    }

    #[test]
    fn generating_never_replaces_a_file_nor_follows_a_link() {
        let folder = folder();
        let path = written(&folder, "precious", 0o600);
        assert!(matches!(FileKms::generate(&path).unwrap_err(), KekFileError::Exists { .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = folder.path().join("link");
        symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(matches!(FileKms::generate(&link).unwrap_err(), KekFileError::Exists { .. }));
        let nowhere = folder.path().join("no/folder");
        assert!(matches!(FileKms::generate(&nowhere).unwrap_err(), KekFileError::Write { .. }));
    }

    #[test]
    fn what_was_generated_opens_and_differs_each_time() {
        let folder = folder();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let made = FileKms::generate(&first).unwrap();
        let other = FileKms::generate(&second).unwrap();
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(made.keks(), FileKms::open(&first).unwrap().keks());
        assert_ne!(made.keks(), other.keks());
        assert_eq!(made.name(), format!("file:{}", first.display()));
    }

    #[test]
    fn a_link_to_a_mounted_file_is_followed() {
        let folder = folder();
        let path = written(&folder, &well_formed(), 0o400);
        let link = folder.path().join("mounted");
        symlink(&path, &link).unwrap();
        assert!(FileKms::open(&link).is_ok());
    }

    #[test]
    fn debug_shows_no_digit_of_the_key() {
        let folder = folder();
        let kms = FileKms::open(&written(&folder, &well_formed(), 0o600)).unwrap();
        assert!(format!("{kms:?}").contains("key: DataKey(32 bytes) }], name: \"file:/"));
    }

    #[test]
    fn a_kek_in_a_file_passes_the_conformance_suite() {
        let folder = folder();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        conformance::suite(&FileKms::generate(&first).unwrap(), &FileKms::generate(&second).unwrap());
    }

    #[test]
    fn the_first_wraps_and_the_previous_ones_unwrap() {
        let folder = folder();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let before = FileKms::generate(&old).unwrap();
        drop(FileKms::generate(&new).unwrap());
        let both = FileKms::open_with(&new, std::slice::from_ref(&old)).unwrap();
        let after = FileKms::open(&new).unwrap();
        assert_eq!(both.keks(), [after.keks(), before.keks()].concat());
        assert_eq!(both.name(), format!("file:{}, before {}", new.display(), old.display()));
        conformance::change(&before, &both, &after);
    }

    #[test]
    fn a_kek_that_is_named_twice_is_one() {
        let folder = folder();
        let path = written(&folder, &well_formed(), 0o600);
        let kms = FileKms::open_with(&path, std::slice::from_ref(&path)).unwrap();
        assert_eq!(kms.keks().len(), 1);
    }

    #[test]
    fn a_previous_file_that_is_missing_is_told_with_the_remedy() {
        let folder = folder();
        let path = written(&folder, &well_formed(), 0o600);
        let error = FileKms::open_with(&path, &[folder.path().join("gone")]).unwrap_err();
        assert!(error.to_string().contains("taken out of kek_files_previous"), "{error}");
    }
}
