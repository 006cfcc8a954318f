//! Making a folder, and opening it again: every frame that is still here is read, every leaf goes into the tree again. What was
//! published is not read again: the first segment says which tree was before it, and the archive which tree was published.

use super::Journal;
use super::error::OpenError;
use super::folder::{Folder, act};
use super::frame::{Encoding, Frame, is_cut};
use super::header::Header;
use super::options::JournalOptions;
use super::reader::Reader;
use super::segment::Segment;
use super::witness::Witness;
use super::writer::Writer;
use crate::whole_file::write_whole;
use latchkey_domain::ClusterId;
use latchkey_transparency::Frontier;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;

/// Makes a folder of `cluster` that goes on after `published`. A kill before the witness is there leaves one that is new.
pub(super) fn create(folder: &Folder, cluster: ClusterId, published: &Frontier) -> Result<(), OpenError> {
    for half_made in folder.segments()? {
        act("remove", &folder.segment(half_made), |path| fs::remove_file(path))?;
    }
    let header = Header::new(cluster, published.clone()).encode();
    act("create", &folder.segment(published.size()), |path| write_whole(path, &header))?;
    Witness::create(folder, cluster)?;
    // The name of the folder itself must survive as well; a path like `/` has no parent to ask.
    let whole = act("find", folder.path(), Path::canonicalize)?;
    whole.parent().map_or(Ok(()), |parent| act("sync", parent, |parent| fs::File::open(parent)?.sync_all()))
}

pub(super) fn open(folder: Folder, options: JournalOptions, published: &Frontier) -> Result<Journal, OpenError> {
    let is_copy = options.is_copy;
    if !is_copy {
        folder.remove_half_made()?;
    }
    let witness = Witness::open(&folder)?;
    let firsts = release(&folder, published.size(), is_copy)?;
    let mut walk = Walk { cluster: witness.cluster(), promised: witness.next(), is_copy, published, frontier: None };
    let (mut segments, mut cut_bytes) = (Vec::new(), 0);
    for (at, first) in firsts.iter().enumerate() {
        let path = folder.segment(*first);
        let (segment, cut) = walk.segment(&path, *first, at + 1 == firsts.len())?;
        segments.push(Arc::new(segment));
        cut_bytes = cut;
    }
    let frontier = walk.frontier.unwrap_or_default();
    let next = frontier.size();
    let mut last = match segments.last() {
        // What is missing here may be in the archive: see `Writer::skip_to`.
        Some(last) if next.max(published.size()) >= walk.promised => last.clone(),
        Some(last) if is_copy => {
            tracing::warn!(next_sequence = next, durable = walk.promised, "the copy lacks what came while it was made");
            last.clone()
        }
        last => {
            let path = last.map_or_else(|| folder.segment(0), |last| last.path().to_owned());
            let what = format!("entries below {} were durable, found those below {next}", walk.promised);
            return Err(OpenError::Damaged { path, what });
        }
    };
    if cut_bytes > 0 && !is_copy {
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
    if last.first() == next && !last.takes_more() {
        // Nothing is in it yet: it begins again, in the encoding of today.
        let header = Header::new(witness.cluster(), frontier.clone()).encode();
        act("create", last.path(), |path| write_whole(path, &header))?;
        last = Arc::new(Segment::new(last.path().to_owned(), Encoding::NEWEST, next, header_bytes(header.len())));
        segments.pop();
        segments.push(last.clone());
    }
    let reader = Reader::new(witness.cluster(), segments);
    let path = last.path().to_owned();
    let writer = Writer::new(folder, options, witness, reader.clone(), last, frontier);
    let writer = writer.map_err(|source| OpenError::Io { action: "open", path, source })?;
    Ok(Journal { writer, reader, cut_bytes })
}

/// Removes the segments all of which was published, as the process before would have, and tells which are left. From a copy nothing
/// is removed.
fn release(folder: &Folder, published: u64, is_copy: bool) -> Result<Vec<u64>, OpenError> {
    let mut firsts = folder.segments()?;
    while firsts.get(1).is_some_and(|next| *next <= published) {
        let gone = firsts.remove(0);
        if !is_copy {
            act("remove", &folder.segment(gone), |path| fs::remove_file(path))?;
        }
    }
    Ok(firsts)
}

fn header_bytes(length: usize) -> u32 {
    u32::try_from(length).expect("a header holds at most 64 peaks")
}

/// What is known while the segments are read one after the other.
struct Walk<'a> {
    cluster: ClusterId,
    promised: u64,
    /// Whether its end may be missing.
    is_copy: bool,
    /// What the archive has.
    published: &'a Frontier,
    /// Absent before the first segment.
    frontier: Option<Frontier>,
}

impl Walk<'_> {
    /// Reads one segment, and how many bytes at its end are to be cut.
    fn segment(&mut self, path: &Path, first: u64, is_last: bool) -> Result<(Segment, u64), OpenError> {
        let bytes = act("read", path, |path| fs::read(path))?;
        let (header, header_length) = Header::read(path, &bytes)?;
        self.check(path, first, &header)?;
        let too_long = |_| damaged(path, "longer than any segment".to_owned());
        u32::try_from(bytes.len()).map_err(too_long)?;
        let mut segment = Segment::new(path.to_owned(), header.encoding, first, header_bytes(header_length));
        let (encoding, frontier) = (header.encoding, self.frontier.insert(header.before));
        check_published(path, frontier, self.published)?;
        let mut rest = &bytes[header_length..];
        while !rest.is_empty() {
            let sequence = frontier.size();
            match Frame::leaf(encoding, sequence, rest) {
                Ok((leaf, length)) => {
                    frontier.push(leaf);
                    check_published(path, frontier, self.published)?;
                    segment.add(u32::try_from(length).expect("a frame is no longer than its segment"));
                    rest = &rest[length..];
                }
                // What was promised is whole; what was not, the cluster still has.
                Err(_) if is_last && sequence >= self.promised => break,
                // It was being appended. What is whole and wrong is damage here too.
                Err(_) if is_last && self.is_copy && is_cut(rest) => break,
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
        let expected = self.frontier.as_ref().map_or(self.published.size(), Frontier::size);
        // The first segment may begin anywhere within what was published.
        if first != expected && (self.frontier.is_some() || first > expected) {
            return Err(damaged(path, format!("it begins with entry {first}, expected {expected}")));
        }
        if self.frontier.as_ref().is_some_and(|frontier| header.before != *frontier) {
            return Err(damaged(path, "the tree before it is not the one of the entries before it".to_owned()));
        }
        Ok(())
    }
}

/// Where both have as many entries, they are the same: which includes all that was before.
fn check_published(path: &Path, frontier: &Frontier, published: &Frontier) -> Result<(), OpenError> {
    match frontier.size() == published.size() && frontier != published {
        true => Err(OpenError::OtherTree { path: path.into(), size: published.size() }),
        false => Ok(()),
    }
}

fn damaged(path: &Path, what: String) -> OpenError {
    OpenError::Damaged { path: path.into(), what }
}
