//! Where an export goes: standard output, or a file that is there whole or not at all.

use crate::cli::error::CliError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// A place to write to.
pub(crate) struct Target {
    way: Way,
    written: u64,
}

enum Way {
    Output(BufWriter<Stdout>),
    File(Beside),
}

/// A file under another name until it is finished; dropped before, it leaves nothing.
struct Beside {
    file: BufWriter<File>,
    beside: PathBuf,
    path: PathBuf,
    named: bool,
}

impl Target {
    /// Opens it.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        if path.as_os_str() == STANDARD_OUTPUT {
            return Ok(Self { way: Way::Output(BufWriter::new(io::stdout())), written: 0 });
        }
        let failed = |source| CliError::File { verb: "write", path: path.to_owned(), source };
        if path.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let beside = PathBuf::from(beside);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
        let file = Beside { file: BufWriter::new(file), beside, path: path.to_owned(), named: false };
        Ok(Self { way: Way::File(file), written: 0 })
    }

    /// Gives it its name, or the reader what is left; how many bytes it has.
    ///
    /// # Errors
    /// [`CliError`].
    pub(crate) fn close(self) -> Result<u64, CliError> {
        match self.way {
            Way::Output(mut output) => output.flush().map_err(CliError::Output)?,
            Way::File(mut beside) => {
                let save = |beside: &mut Beside| {
                    beside.file.flush()?;
                    beside.file.get_ref().sync_all()?;
                    fs::rename(&beside.beside, &beside.path)
                };
                let saved = save(&mut beside);
                saved.map_err(|source| CliError::File { verb: "write", path: beside.path.clone(), source })?;
                beside.named = true;
            }
        }
        Ok(self.written)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.way {
            Way::Output(output) => output.write(bytes),
            Way::File(beside) => beside.file.write(bytes),
        }?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Output(output) => output.flush(),
            Way::File(beside) => beside.file.flush(),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.named {
            // Nothing depends on it, and whoever looks finds a name that says what it is.
            let _ = fs::remove_file(&self.beside);
        }
    }
}
