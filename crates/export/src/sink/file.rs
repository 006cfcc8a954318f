//! Files in a folder: a line for each record, a new file by size and age.
//!
//! ```text
//! audit-00000000000000000000.jsonl          whole: it never changes again
//! audit-00000000000000004711.open           grows; named by its first sequence
//! ```
//! A file is whole once it has its last name, which a rename gives it: whoever ships files away sees no half of one. What a crash
//! left of a line is cut off before the next is written.

use super::{BoxFuture, Sink, SinkError, Taken};
use crate::format::Format;
use crate::item::Item;
use latchkey_config::{SinkSettings, SinkStream};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const OPEN: &str = "open";
const WHOLE: &str = "jsonl";

/// Files in a folder.
#[derive(Debug)]
pub struct FileSink {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// What the names of files begin with.
    prefix: &'static str,
    format: Format,
    rotate_bytes: u64,
    rotate_s: u64,
    files_max: usize,
    growing: Mutex<Option<Growing>>,
}

/// The file that grows.
#[derive(Debug)]
struct Growing {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// When this process first wrote to it.
    since: u64,
}

impl FileSink {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let inner = Inner {
            folder: settings.folder.clone().expect("the settings were checked: this kind has a folder"),
            prefix: match settings.stream {
                SinkStream::Entries => "audit-",
                SinkStream::Usage => "usage-",
                SinkStream::Access => "access-",
            },
            format: settings.form().into(),
            rotate_bytes: settings.rotate_bytes,
            rotate_s: settings.rotate_s,
            files_max: usize::try_from(settings.files_max).unwrap_or(usize::MAX),
            growing: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    fn write<T: Item>(&self, batch: &[T], now: u64) -> Result<(), SinkError> {
        let Some(first) = batch.first() else { return Ok(()) };
        let mut slot = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        // After an error the file is looked at anew: nobody knows what of the batch it holds.
        let mut growing = match slot.take() {
            Some(growing) => growing,
            None => self.open(first.sequence(), now)?,
        };
        let due = growing.bytes >= self.rotate_bytes || now.saturating_sub(growing.since) >= self.rotate_s;
        if due && growing.bytes > 0 {
            self.finish(&growing)?;
            growing = self.open(first.sequence(), now)?;
        }
        let lines = self.format.lines(batch);
        let told = |verb| {
            let path = growing.path.clone();
            move |source| SinkError::File { verb, path, source }
        };
        growing.file.write_all(&lines).map_err(told("write"))?;
        growing.file.sync_data().map_err(told("sync"))?;
        growing.bytes += lines.len() as u64;
        *slot = Some(growing);
        Ok(())
    }

    /// The file that was growing, or a new one.
    fn open(&self, first: u64, now: u64) -> Result<Growing, SinkError> {
        let path = match self.named(OPEN)?.pop() {
            Some(path) => path,
            None => self.folder.join(format!("{}{first:020}.{OPEN}", self.prefix)),
        };
        let opened = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&path);
        let told = |verb| {
            let path = path.clone();
            move |source| SinkError::File { verb, path, source }
        };
        let mut file = opened.map_err(told("open"))?;
        let bytes = cut(&mut file).map_err(told("mend"))?;
        sync_folder(&self.folder)?;
        Ok(Growing { path, file, bytes, since: now })
    }

    /// Gives a file its last name, and lets the oldest others go.
    fn finish(&self, growing: &Growing) -> Result<(), SinkError> {
        let mut whole = growing.path.with_extension(WHOLE);
        let mut again = 1;
        // After a cursor was lost the same entries come again: what is whole is not written over.
        while whole.exists() {
            whole = growing.path.with_extension(format!("{again}.{WHOLE}"));
            again += 1;
        }
        fs::rename(&growing.path, &whole).map_err(|source| SinkError::File {
            verb: "rename",
            path: growing.path.clone(),
            source,
        })?;
        if self.files_max > 0 {
            self.remove_oldest(&whole)?;
        }
        sync_folder(&self.folder)
    }

    /// Removes what is more than there may be: those that were written first, whatever their names, as the sequences of another log begin
    /// with 0 again; never `newest`.
    fn remove_oldest(&self, newest: &Path) -> Result<(), SinkError> {
        let told = |verb, path: &Path| {
            let path = path.to_owned();
            move |source| SinkError::File { verb, path, source }
        };
        let mut files = Vec::new();
        for path in self.named(WHOLE)?.into_iter().filter(|path| path != newest) {
            let written = fs::metadata(&path).and_then(|found| found.modified()).map_err(told("read", &path))?;
            files.push((written, path));
        }
        files.sort();
        for (_, path) in files.iter().take((files.len() + 1).saturating_sub(self.files_max)) {
            fs::remove_file(path).map_err(told("remove", path))?;
        }
        Ok(())
    }

    /// Our files with this ending, in the order of their names.
    fn named(&self, ending: &str) -> Result<Vec<PathBuf>, SinkError> {
        let told = |source| SinkError::File { verb: "read", path: self.folder.clone(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(told)? {
            let path = entry.map_err(told)?.path();
            let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(self.prefix));
            if ours && path.extension().is_some_and(|found| found == ending) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// Cuts off what is no whole line at the end of a file, and tells how long it is then.
fn cut(file: &mut File) -> io::Result<u64> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let mut end = bytes;
    let mut chunk = [0; 4_096];
    while end > 0 {
        let length = end.min(chunk.len() as u64);
        file.seek(SeekFrom::Start(end - length))?;
        let part = &mut chunk[..usize::try_from(length).expect("as long as a chunk at most")];
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            end = end - length + at as u64 + 1;
            break;
        }
        end -= length;
    }
    if end < bytes {
        file.set_len(end)?;
    }
    Ok(end)
}

fn sync_folder(folder: &Path) -> Result<(), SinkError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| SinkError::File { verb: "sync", path: folder.to_owned(), source })
}

impl<T: Item> Sink<T> for FileSink {
    fn send<'a>(&'a self, batch: &'a [T], unix_seconds: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        let (inner, batch) = (self.inner.clone(), batch.to_vec());
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || inner.write(&batch, unix_seconds)).await;
            written.expect("writing a file does not panic").map(|()| Taken::default())
        })
    }
}
