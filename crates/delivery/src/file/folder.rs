//! The folder of a file, held open and locked, so that nobody can change one for another on the way.

use crate::DeliveryError;
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What the name of a file ends with that is not written to its end.
pub(super) const PARTIAL: &str = ".partial";

/// Longer than any key text: what is longer is none.
const FILE_BYTES_MAX: u64 = 4096;

/// A folder. All of its files are reached through it, never through a path, and never through a link.
pub(super) struct Folder {
    path: PathBuf,
    open: OwnedFd,
}

impl Folder {
    /// Opens a folder for itself alone: an error of the kind `WouldBlock` where another process is at work in it. With `fixed`
    /// it is made where it is missing, but nothing up to `fixed`.
    pub(super) fn open(path: &Path, fixed: Option<&Path>) -> Result<Self, DeliveryError> {
        if let Some(fixed) = fixed {
            std::fs::metadata(fixed).map_err(|source| file_error("open the folder", fixed, source))?;
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(|source| file_error("make the folder", path, source))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let open = open.map_err(|errno| file_error("open the folder", path, errno.into()))?;
        let stat = rustix::fs::fstat(&open).map_err(|errno| file_error("look at", path, errno.into()))?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(DeliveryError::OpenFolder { path: path.to_owned(), mode: mode.as_raw_mode() & 0o7777 });
        }
        rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| file_error("lock the folder", path, errno.into()))?;
        Ok(Self { path: path.to_owned(), open })
    }

    /// That at `name` there is a regular file or nothing.
    pub(super) fn check_file(&self, name: &str) -> Result<(), DeliveryError> {
        let found = match rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(self.error("look at", name, errno)),
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => return Ok(()),
                FileType::Symlink => "a symbolic link",
                FileType::Directory => "a folder",
                _ => "no regular file",
            },
        };
        Err(DeliveryError::NotAFile { path: self.path.join(name), found })
    }

    /// All names.
    pub(super) fn names(&self) -> Result<Vec<String>, DeliveryError> {
        let failed = |errno: Errno| file_error("list", &self.path, errno.into());
        let entries = Dir::read_from(&self.open).map_err(failed)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        names.collect::<Result<_, _>>().map_err(failed)
    }

    /// Whether there is something at `name`.
    pub(super) fn has(&self, name: &str) -> Result<bool, DeliveryError> {
        match rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.error("look at", name, errno)),
        }
    }

    /// What lies at `name`, where it is a short text.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<String>>, DeliveryError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.open, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.error("read", name, errno)),
            Ok(file) => File::from(file),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|source| file_error("read", &self.path.join(name), source))?;
        Ok(std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.trim_end().to_owned())))
    }

    /// Writes a file of mode 0600 whole: durable on return, or not there at all.
    pub(super) fn write(&self, name: &str, text: &[u8]) -> Result<(), DeliveryError> {
        self.write_by(name, |file| file.write_all(text))
    }

    /// Likewise, by a function that may fail half way.
    pub(super) fn write_by(
        &self,
        name: &str,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), DeliveryError> {
        let partial = format!("{name}{PARTIAL}");
        // A process that was killed may have left one; the lock says that nobody is writing it.
        self.remove(&partial)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.open, &partial, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|errno| self.error("make", &partial, errno))?);
        let written = fill(&mut file).and_then(|()| file.sync_all());
        let written = written.map_err(|source| file_error("write", &self.path.join(name), source));
        let placed = written.and_then(|()| self.rename(&partial, name));
        if placed.is_err() {
            // What is not whole helps nobody, and holds a part of a secret.
            let _ = rustix::fs::unlinkat(&self.open, &partial, AtFlags::empty());
        }
        placed
    }

    /// Gives what lies at `name` a second name, unless that is taken or there is nothing.
    pub(super) fn keep(&self, name: &str, kept: &str) -> Result<(), DeliveryError> {
        match rustix::fs::linkat(&self.open, name, &self.open, kept, AtFlags::empty()) {
            Ok(()) | Err(Errno::EXIST | Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("keep", name, errno)),
        }
    }

    /// Puts a file in the place of another: durable on return.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), DeliveryError> {
        rustix::fs::renameat(&self.open, from, &self.open, to).map_err(|errno| self.error("replace", to, errno))?;
        self.sync()
    }

    /// Removes a file that may be there: durable on return.
    pub(super) fn remove(&self, name: &str) -> Result<(), DeliveryError> {
        match rustix::fs::unlinkat(&self.open, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error("remove", name, errno)),
        }
    }

    /// A name survives a power cut only once its folder is written too.
    fn sync(&self) -> Result<(), DeliveryError> {
        rustix::fs::fsync(&self.open).map_err(|errno| file_error("sync the folder", &self.path, errno.into()))
    }

    fn error(&self, verb: &'static str, name: &str, errno: Errno) -> DeliveryError {
        file_error(verb, &self.path.join(name), errno.into())
    }
}

fn file_error(verb: &'static str, path: &Path, source: io::Error) -> DeliveryError {
    DeliveryError::File { verb, path: path.to_owned(), source }
}
