//! Appending. One write and one `sync_data` for each batch; readers see it after both.

use super::error::AppendError;
use super::folder::Folder;
use super::frame::{Encoding, FRAME_BYTES_MAX, Frame};
use super::header::Header;
use super::options::JournalOptions;
use super::reader::Reader;
use super::segment::Segment;
use super::witness::Witness;
use crate::whole_file::write_whole;
use latchkey_domain::ClusterId;
use latchkey_transparency::Frontier;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Appends to a journal. There is one.
#[derive(Debug)]
pub struct Writer {
    folder: Folder,
    options: JournalOptions,
    witness: Witness,
    reader: Reader,
    file: File,
    segment: Arc<Segment>,
    frontier: Frontier,
    stopped: bool,
}

impl Writer {
    pub(super) fn new(
        folder: Folder,
        options: JournalOptions,
        witness: Witness,
        reader: Reader,
        segment: Arc<Segment>,
        frontier: Frontier,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(segment.path())?;
        Ok(Self { folder, options, witness, reader, file, segment, frontier, stopped: false })
    }

    /// Whose log it is.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.reader.cluster()
    }

    /// The tree over all entries that are stored.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// All entries below it may be trimmed by the cluster.
    #[must_use]
    pub const fn promised(&self) -> u64 {
        self.witness.next()
    }

    /// Appends entries. Durable on return.
    ///
    /// # Errors
    /// [`AppendError`]: nothing is stored.
    pub fn append(&mut self, frames: &[Frame]) -> Result<(), AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        if let Some(long) = frames.iter().find(|frame| frame.bytes() > FRAME_BYTES_MAX) {
            return Err(AppendError::TooLong { bytes: long.bytes(), bytes_max: FRAME_BYTES_MAX });
        }
        let mut bytes = Vec::with_capacity(frames.iter().map(Frame::bytes).sum());
        let mut grown = self.frontier.clone();
        for frame in frames {
            frame.encode(grown.size(), &mut bytes);
            grown.push(frame.leaf);
        }
        self.admit(bytes.len() as u64)?;
        if self.is_full_with(bytes.len() as u64) {
            self.rotate()?;
        }
        let end = self.segment.bytes();
        if let Err(source) = self.file.write_all_at(&bytes, end) {
            self.take_back(end)?;
            return Err(self.refused("write entries", source));
        }
        if let Err(error) = self.file.sync_data() {
            // The kernel may have dropped what it could not write and says so once only: nothing can be trusted any more.
            return Err(self.stop(&format!("sync of {} failed: {error}", self.segment.path().display())));
        }
        let lengths = frames.iter().map(|frame| u32::try_from(frame.bytes()).expect("FRAME_BYTES_MAX fits four bytes"));
        self.segment = Arc::new(self.segment.grown(lengths));
        self.frontier = grown;
        self.reader.grow(self.segment.clone());
        Ok(())
    }

    /// Promises that all that is stored stays: from here on the cluster may trim it. Durable on return.
    ///
    /// # Errors
    /// [`AppendError::Stopped`], where the process does not end.
    pub fn promise(&mut self) -> Result<u64, AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        let next = self.frontier.size();
        if next != self.witness.next()
            && let Err(error) = self.witness.promise(next)
        {
            return Err(self.stop(&format!("the witness cannot be written: {error}")));
        }
        Ok(next)
    }

    /// Goes on after `published`, which is more than is here: what is between lies elsewhere, durable. The caller has checked
    /// that what is here is how it begins.
    ///
    /// # Errors
    /// [`AppendError`]: nothing has changed.
    pub fn skip_to(&mut self, published: &Frontier) -> Result<(), AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        let before = std::mem::replace(&mut self.frontier, published.clone());
        if let Err(error) = self.rotate() {
            self.frontier = before;
            return Err(error);
        }
        Ok(())
    }

    fn is_full_with(&self, bytes: u64) -> bool {
        let entries = self.segment.next() - self.segment.first();
        let is_full = self.segment.bytes() + bytes > self.options.segment_bytes_max;
        entries > 0 && (is_full || !self.segment.takes_more())
    }

    fn admit(&self, bytes: u64) -> Result<(), AppendError> {
        let needed_bytes = self.options.free_bytes_min.saturating_add(bytes);
        match (self.options.free_bytes)(self.folder.path()) {
            Ok(free_bytes) if free_bytes < needed_bytes => Err(AppendError::Full { free_bytes, needed_bytes }),
            Ok(_) => Ok(()),
            Err(source) => Err(AppendError::Io { action: "ask for the free space", source }),
        }
    }

    /// Closes the segment and begins the next. Only the last segment may end in what a kill interrupted, so what is in this one is
    /// promised first.
    fn rotate(&mut self) -> Result<(), AppendError> {
        self.promise()?;
        let first = self.frontier.size();
        let header = Header::new(self.reader.cluster(), self.frontier.clone()).encode();
        let path = self.folder.segment(first);
        let made = write_whole(&path, &header).and_then(|()| OpenOptions::new().write(true).open(&path));
        self.file = match made {
            Ok(file) => file,
            // It lies there, or may after a power loss: entries that went on in the segment before would be there twice.
            Err(error) if path.exists() => return Err(self.stop(&format!("{} half begun: {error}", path.display()))),
            Err(source) => return Err(self.refused("begin a segment", source)),
        };
        let header_bytes = u32::try_from(header.len()).expect("a header holds at most 64 peaks");
        self.segment = Arc::new(Segment::new(path, Encoding::NEWEST, first, header_bytes));
        self.reader.begin(self.segment.clone());
        tracing::info!(first_sequence = first, "a segment of the audit log begins");
        Ok(())
    }

    /// Takes a write back that was interrupted.
    fn take_back(&mut self, end: u64) -> Result<(), AppendError> {
        self.file.set_len(end).map_err(|error| self.stop(&format!("a failed write cannot be taken back: {error}")))
    }

    fn refused(&self, action: &'static str, source: io::Error) -> AppendError {
        if source.kind() == io::ErrorKind::StorageFull {
            let free_bytes = (self.options.free_bytes)(self.folder.path()).unwrap_or(0);
            return AppendError::Full { free_bytes, needed_bytes: self.options.free_bytes_min };
        }
        AppendError::Io { action, source }
    }

    fn stop(&mut self, why: &str) -> AppendError {
        self.stopped = true;
        (self.options.on_fatal)(why);
        AppendError::Stopped
    }
}
