//! Files that hold secrets, and secrets from standard input. Never from an argument: those are in the list of processes and
//! in the shell's history.

use crate::cli::error::CliError;
use latchkey_delivery::RecipientSecret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// A key text is at most 72 characters; a file that is much longer is another file.
const SECRET_BYTES_MAX: usize = 4_096;

/// Keys of recipients and answers of ours are far shorter. Bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Characters of the id in a key text.
const ID_CHARS: usize = 16;

/// The mode bits that let others in.
const OTHERS: u32 = 0o077;

/// Reads a whole text file that must be for its owner only; `None` where there is none.
///
/// # Errors
/// [`CliError`].
pub(crate) fn read_private(path: &Path) -> Result<Option<String>, CliError> {
    let failed = |source| CliError::File { verb: "read", path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the file that is open, so that nobody can put another one in its place.
    if let Some(mode) = open_to_others(&file.metadata().map_err(failed)?) {
        let what = format!("{} has mode {mode:04o}, so others can read it, and it holds secrets", path.display());
        return Err(CliError::usage(what).remedy(format!("chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Reads the private key of a recipient.
///
/// # Errors
/// [`CliError`]: there is none, or others may read it.
pub(crate) fn read_recipient_secret(path: &Path) -> Result<RecipientSecret, CliError> {
    let missing = || CliError::File { verb: "read", path: path.to_owned(), source: io::ErrorKind::NotFound.into() };
    let text = Zeroizing::new(read_private(path)?.ok_or_else(missing)?);
    RecipientSecret::read(&text).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
}

/// Reads a whole text file that is no secret; `-` is standard input.
///
/// # Errors
/// [`CliError`].
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::File { verb: "read", path: path.to_owned(), source };
    let mut text = String::new();
    let read = if path.as_os_str() == STANDARD_INPUT {
        io::stdin().take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        File::open(path).map_err(failed)?.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)
    };
    if read.map_err(failed)? as u64 > TEXT_BYTES_MAX {
        return Err(CliError::usage(format!("{} is longer than {TEXT_BYTES_MAX} bytes", path.display())));
    }
    Ok(text)
}

/// The mode of an ordinary file that others may read or write.
pub(crate) fn open_to_others(metadata: &fs::Metadata) -> Option<u32> {
    let mode = metadata.mode() & 0o7777;
    (metadata.is_file() && mode & OTHERS != 0).then_some(mode)
}

/// Writes a file whole, for its owner only, and makes its folder.
///
/// # Errors
/// [`CliError::File`].
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let folder = folder_of(path);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| CliError::File { verb: "make", path: folder.to_owned(), source })?;
    Reserved::new(path, Existing::Replaced)?.fill(text)
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and that is an error: the key text in it is shown nowhere else.
    Kept,
    /// It is replaced.
    Replaced,
}

/// A place for a secret that does not exist yet: whatever keeps a file from being written is found before the secret is
/// made. Dropped without being filled, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Reserved {
    file: File,
    beside: PathBuf,
    path: PathBuf,
}

impl Reserved {
    /// Makes the file under another name, for its owner only. Its folder must be there.
    ///
    /// # Errors
    /// [`CliError`].
    pub(crate) fn new(path: &Path, existing: Existing) -> Result<Self, CliError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = folder_of(path).join(name);
        let refused = |source| CliError::File { verb: "write", path: path.to_owned(), source };
        if path.is_dir() {
            return Err(refused(io::ErrorKind::IsADirectory.into()));
        }
        if existing == Existing::Kept && fs::symlink_metadata(path).is_ok() {
            let what = format!("{} is there already, and the key text in it may be the only copy", path.display());
            return Err(CliError::usage(what).remedy("name another file, or replace it with --force"));
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(refused)?;
        Ok(Self { file, beside, path: path.to_owned() })
    }

    /// Writes it and gives it its name: whoever reads finds the old file or the new one, and never a mode of before.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn fill(mut self, text: &str) -> Result<(), CliError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let named = written.and_then(|()| fs::rename(&self.beside, &self.path));
        named.map_err(|source| CliError::File { verb: "write", path: self.path.clone(), source })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Where it got its name it is not there any more, and nothing is to be tidied.
        let _ = fs::remove_file(&self.beside);
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a key text from a file, or from standard input where `source` is `-`. `what` is told to whoever types it.
///
/// # Errors
/// [`CliError`]. What was read is not repeated.
pub(crate) fn read_key_text(source: &Path, what: &str) -> Result<Zeroizing<String>, CliError> {
    let from_input = source.as_os_str() == STANDARD_INPUT;
    let read = if from_input { read_input(what) } else { read_short(File::open(source), source) };
    let text = read?;
    let trimmed = text.trim();
    let place = if from_input { "standard input".to_owned() } else { source.display().to_string() };
    if trimmed.is_empty() {
        return Err(CliError::usage(format!("expected {what} in {place}, found nothing")));
    }
    if trimmed.lines().count() > 1 {
        return Err(CliError::usage(format!("expected {what} alone on one line in {place}")));
    }
    Ok(Zeroizing::new(trimmed.to_owned()))
}

/// Tells whoever watches that others can read a file with a secret in it. It is used all the same: what mounts a secret for a
/// container often chooses its mode.
pub(crate) fn warn_of_others(path: &Path, what: &str) {
    if let Some(mode) = fs::metadata(path).ok().as_ref().and_then(open_to_others) {
        let path = path.display();
        crate::cli::output::note(&format!(
            "latchkey: {path} has mode {mode:04o}, so others can read {what}\n  do: chmod 600 {path}"
        ));
    }
}

/// Whether this is a secret where a file was meant: words of a prefix, the 16 signs of an id, and a long tail.
fn is_like_key_text(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.split('_').collect();
    let [.., _, id, tail] = parts.as_slice() else { return false };
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    id.len() == ID_CHARS && tail.len() >= ID_CHARS && plain(id) && plain(tail)
}

fn read_short(file: io::Result<File>, path: &Path) -> Result<Zeroizing<String>, CliError> {
    if file.is_err() && is_like_key_text(path) {
        return Err(CliError::usage("expected a file, found what looks like a key text, which is not repeated here")
            .remedy("give it in a file or on standard input; it may be in your shell's history now: rotate the key"));
    }
    let failed = |source| CliError::File { verb: "read", path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX));
    file.map_err(failed)?.take(SECRET_BYTES_MAX as u64).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn read_input(what: &str) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX));
    let input = io::stdin();
    if !input.is_terminal() {
        input.lock().take(SECRET_BYTES_MAX as u64).read_to_string(&mut text).map_err(CliError::Input)?;
        return Ok(text);
    }
    crate::cli::output::note(&format!("Type or paste {what}, then Enter; it is not shown."));
    let before = tcgetattr(&input).map_err(|error| CliError::Input(error.into()))?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &quiet).map_err(|error| CliError::Input(error.into()))?;
    let read = input.read_line(&mut text);
    tcsetattr(&input, OptionalActions::Flush, &before).map_err(|error| CliError::Input(error.into()))?;
    read.map_err(CliError::Input)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_text_is_alone_on_its_line_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for wrong in ["", "\n\n", "lkm_secret\nlkm_other"] {
            write_private(&path, wrong).unwrap();
            let error = read_key_text(&path, "a management key").unwrap_err().to_string();
            assert!(error.contains("a management key") && !error.contains("secret"), "{error}");
        }
        write_private(&path, "lkm_secret\n").unwrap();
        assert_eq!(read_key_text(&path, "a management key").unwrap().as_str(), "lkm_secret");
        assert!(read_key_text(&folder.path().join("none"), "a key text").is_err());
    }

    #[test]
    fn a_key_text_where_a_file_was_meant_is_not_repeated() {
        let text = "acme_live_Mgrfe9oFfuJZ1QpB_SgNoo66T4g63oxCZkDD0Y7x4dzWT91Xe1cYnn4";
        let error = read_key_text(Path::new(text), "a key text").unwrap_err().text();
        assert!(error.contains("looks like a key text") && !error.contains("SgNoo66"), "{error}");
        assert!(
            read_key_text(Path::new("no_such_file.key"), "a key text").unwrap_err().text().contains("no_such_file")
        );
    }

    #[test]
    fn a_file_that_is_there_is_replaced_by_word_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Reserved::new(&path, Existing::Kept).unwrap().fill("1").unwrap();
        let error = Reserved::new(&path, Existing::Kept).unwrap_err().text();
        assert!(error.contains("--force"), "{error}");
        Reserved::new(&path, Existing::Replaced).unwrap().fill("2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn writing_leaves_nothing_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join("deep/er/key"), "1").unwrap();
        write_private(&folder.path().join("deep/er/key"), "2").unwrap();
        let names: Vec<_> = fs::read_dir(folder.path().join("deep/er")).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(fs::read_to_string(folder.path().join("deep/er/key")).unwrap(), "2");
    }

    #[test]
    fn a_place_that_is_none_is_found_before_and_one_that_stays_empty_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Reserved::new(&folder.path().join("no/such/key"), Existing::Kept).is_err());
        assert!(Reserved::new(folder.path(), Existing::Replaced).is_err());
        let path = folder.path().join("key");
        write_private(&path, "before").unwrap();
        drop(Reserved::new(&path, Existing::Replaced).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
