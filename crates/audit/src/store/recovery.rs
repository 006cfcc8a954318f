//! Making a folder, and opening it again: every frame is read, every leaf goes into the tree again.

use super::Store;
use super::error::OpenError;
use super::folder::{Folder, act};
use super::frame::Frame;
use super::header::Header;
use super::options::StoreOptions;
use super::reader::Reader;
use super::segment::Segment;
use super::witness::Witness;
use super::writer::Writer;
use latchkey_domain::ClusterId;
use latchkey_transparency::Frontier;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;

/// Makes a folder of `cluster`. A kill before the witness is there leaves one that is new.
pub(super) fn create(folder: &Folder, cluster: ClusterId) -> Result<(), OpenError> {
    let header = Header { cluster, before: Frontier::new() }.encode();
    act("create", &folder.segment(0), |path| folder.make(path, &header))?;
    Witness::create(folder, cluster)?;
    // The name of the folder itself must survive as well; a path like `/` has no parent to ask.
    let whole = act("find", folder.path(), Path::canonicalize)?;
    whole.parent().map_or(Ok(()), |parent| act("sync", parent, |parent| fs::File::open(parent)?.sync_all()))
}

pub(super) fn open(folder: Folder, options: StoreOptions) -> Result<Store, OpenError> {
    folder.remove_half_made()?;
    let witness = Witness::open(&folder)?;
    let mut walk = Walk { cluster: witness.cluster(), promised: witness.next(), frontier: Frontier::new() };
    let firsts = folder.segments()?;
    let (mut segments, mut cut_bytes) = (Vec::new(), 0);
    for (at, first) in firsts.iter().enumerate() {
        let path = folder.segment(*first);
        let (segment, cut) = walk.segment(&path, *first, at + 1 == firsts.len())?;
        segments.push(Arc::new(segment));
        cut_bytes = cut;
    }
    let next = walk.frontier.size();
    let last = match segments.last() {
        Some(last) if next >= walk.promised => last.clone(),
        last => {
            let path = last.map_or_else(|| folder.segment(0), |last| last.path().to_owned());
            let what = format!("entries below {} were durable, found those below {next}", walk.promised);
            return Err(OpenError::Damaged { path, what });
        }
    };
    if cut_bytes > 0 {
        act("cut", last.path(), |path| {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(last.bytes())?;
            file.sync_all()
        })?;
        tracing::warn!(
            bytes = cut_bytes,
            next_sequence = next,
            "an append that was interrupted is cut, and comes again"
        );
    }
    let reader = Reader::new(witness.cluster(), segments);
    let path = last.path().to_owned();
    let writer = Writer::new(folder, options, witness, reader.clone(), last, walk.frontier);
    let writer = writer.map_err(|source| OpenError::Io { action: "open", path, source })?;
    Ok(Store { writer, reader, cut_bytes })
}

/// What is known while the segments are read one after the other.
struct Walk {
    cluster: ClusterId,
    promised: u64,
    frontier: Frontier,
}

impl Walk {
    /// Reads one segment, and how many bytes at its end are to be cut.
    fn segment(&mut self, path: &Path, first: u64, is_last: bool) -> Result<(Segment, u64), OpenError> {
        let bytes = act("read", path, |path| fs::read(path))?;
        let (header, header_bytes) = Header::read(path, &bytes)?;
        self.check(path, first, &header)?;
        let too_long = |_| damaged(path, "longer than any segment".to_owned());
        u32::try_from(bytes.len()).map_err(too_long)?;
        let header_bytes = u32::try_from(header_bytes).expect("a header holds at most 64 peaks");
        let mut segment = Segment::new(path.to_owned(), first, header_bytes);
        let mut rest = &bytes[header_bytes as usize..];
        while !rest.is_empty() {
            let sequence = self.frontier.size();
            match Frame::leaf(sequence, rest) {
                Ok((leaf, length)) => {
                    self.frontier.push(leaf);
                    segment.add(u32::try_from(length).expect("a frame is no longer than its segment"));
                    rest = &rest[length..];
                }
                // What was promised is whole; what was not, the cluster still has.
                Err(_) if is_last && sequence >= self.promised => break,
                Err(what) => {
                    let offset = bytes.len() - rest.len();
                    return Err(damaged(path, format!("entry {sequence} at byte {offset}: {what}")));
                }
            }
        }
        Ok((segment, rest.len() as u64))
    }

    fn check(&self, path: &Path, first: u64, header: &Header) -> Result<(), OpenError> {
        if header.cluster != self.cluster {
            let what = format!("it is of cluster {}, expected {}", header.cluster, self.cluster);
            return Err(damaged(path, what));
        }
        if header.before.size() != first {
            return Err(damaged(path, format!("it begins with entry {}, as its header says", header.before.size())));
        }
        let expected = self.frontier.size();
        if first != expected {
            return Err(damaged(path, format!("it begins with entry {first}, expected {expected}")));
        }
        if header.before != self.frontier {
            return Err(damaged(path, "the tree before it is not the one of the entries before it".to_owned()));
        }
        Ok(())
    }
}

fn damaged(path: &Path, what: String) -> OpenError {
    OpenError::Damaged { path: path.into(), what }
}
