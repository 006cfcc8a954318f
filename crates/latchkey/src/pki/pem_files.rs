//! PEM files: a key is for its owner only, and what is replaced is replaced whole.

use super::PkiError;
use super::authority::Issued;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where a certificate and its key lie: `replica-3.pem`, `replica-3.key`.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// In a folder, named after what it is for.
    pub(crate) fn within(folder: &Path, word: &str) -> Self {
        let name = word.replace('/', "-");
        Self { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) }
    }

    /// That of a certificate: its key has its name, and ends in `.key`.
    pub(crate) fn of(certificate: &Path) -> Self {
        Self { certificate: certificate.to_owned(), key: certificate.with_extension("key") }
    }

    /// Writes both, the key first: for a moment it fits no certificate, and whoever watches them waits until it does.
    pub(crate) fn write(&self, issued: &Issued) -> Result<(), PkiError> {
        write_private(&self.key, &issued.key)?;
        write_public(&self.certificate, &issued.certificate)
    }
}

/// Writes a file for its owner only.
pub(super) fn write_private(path: &Path, text: &Zeroizing<String>) -> Result<(), PkiError> {
    replace(path, text, 0o600)
}

/// Writes a file that everybody may read.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), PkiError> {
    replace(path, text, 0o644)
}

fn replace(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let failed = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| PkiError::File { verb, path, source }
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    let written = write();
    if written.is_err() {
        // Where it got its name it is not there any more, and nothing is to be tidied.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(failed("write", path))
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::File { verb: "read", path: path.to_owned(), source })
}

/// Reads a file that must be for its owner only.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, PkiError> {
    let failed = |source| PkiError::File { verb: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    if let Some(mode) = latchkey_config::refused_mode(&file.metadata().map_err(failed)?) {
        return Err(PkiError::Mode { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
