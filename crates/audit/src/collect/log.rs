//! The log of batches: what is acknowledged and not yet in runs, and what exports still follow.
//!
//! ```text
//! segment = "LKOBL" (5) || format (1) || cluster (16) || segment (16, random) || record ...
//! record  = length of body (4) || CRC-32 of body (4) || body
//! body    = sequence || node || incarnation || batch || began || complete || lost ... || region || parts: tenant, sealed part
//! ```
//! A record is durable when [`Log::append`] returns. One that a kill cut off was not acknowledged, and goes at the next start.

use super::batch::{Batch, Part};
use super::store::ObservedError;
use crate::run::Keys;
use crate::run::codec::{Taker, put, put_bytes};
use latchkey_crypto::envelope;
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{ClusterId, NodeId, TenantNumber};
use latchkey_minting::contexts::RunPlace;
use latchkey_telemetry::OsEntropy;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 5] = b"LKOBL";
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 6 + 16 + 16;
const FRAME_BYTES: usize = 8;
/// The kind of part that a log's is, in the context that it is sealed with; runs have others.
const PART_KIND: u8 = 0x4C;
/// Longest body. A batch has at most 1 MiB, and each of its tenants adds a seal.
const BODY_BYTES_MAX: u64 = 16 << 20;
const SUFFIX: &str = ".log";

/// One file of the log.
#[derive(Clone, Debug)]
struct Segment {
    /// The first record in it, or the one that will be.
    first: u64,
    id: [u8; 16],
    path: PathBuf,
    bytes: u64,
    /// Where each record begins.
    records: Vec<u64>,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    cluster: ClusterId,
    /// At least one; the last is written to.
    segments: VecDeque<Segment>,
    file: File,
    /// What stands behind the last whole record could not be taken away yet: until it is, nothing may be appended.
    broken: bool,
}

/// A record as it is read, still sealed.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) sequence: u64,
    batch: Batch,
    parts: Vec<(TenantNumber, Vec<u8>)>,
    segment: [u8; 16],
    cluster: ClusterId,
}

impl Log {
    /// Opens the log in a folder; cuts off what a kill left half written. What is missing below `next` is in the runs.
    pub(crate) fn open(folder: &Path, cluster: ClusterId, next: u64) -> Result<Self, ObservedError> {
        let mut paths = Vec::new();
        for entry in act("list", folder, |folder| fs::read_dir(folder))? {
            let path = act("list", folder, |_| entry)?.path();
            if let Some(first) = path.file_name().and_then(|name| name.to_str()).and_then(segment) {
                paths.push((first, path));
            }
        }
        paths.sort();
        let newest = paths.last().map(|(first, _)| *first);
        let mut segments = VecDeque::new();
        for (first, path) in paths {
            match Segment::open(first, &path, cluster, Some(first) == newest)? {
                Some(segment) => segments.push_back(segment),
                // Its head was cut off: it held nothing.
                None => act("remove", &path, |path| fs::remove_file(path))?,
            }
        }
        let ended = segments.back().map_or(next, Segment::next);
        let segment = match segments.back() {
            Some(last) if ended >= next => last.clone(),
            _ => {
                let made = Segment::create(folder, ended.max(next), cluster)?;
                segments.push_back(made.clone());
                made
            }
        };
        let file = act("open", &segment.path, |path| OpenOptions::new().read(true).write(true).open(path))?;
        Ok(Self { folder: folder.into(), cluster, segments, file, broken: false })
    }

    /// The sequence of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.segments.back().map_or(0, Segment::next)
    }

    /// The first record that is still there.
    pub(crate) fn first(&self) -> u64 {
        self.segments.front().map_or(0, |segment| segment.first)
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes of records from one on, by whole segments.
    pub(crate) fn bytes_from(&self, sequence: u64) -> u64 {
        self.segments.iter().filter(|segment| segment.next() > sequence).map(|segment| segment.bytes).sum()
    }

    /// Appends a batch, each part sealed under its tenant's key; what belongs to a tenant that was destroyed is left out. Durable on return.
    pub(crate) fn append(&mut self, batch: &Batch, keys: &dyn Keys) -> Result<u64, ObservedError> {
        self.mend()?;
        let (sequence, last) = (self.next(), self.segments.back_mut().expect("a log has a segment"));
        let mut parts = Vec::new();
        for (tenant, part) in &batch.parts {
            let Some(key) = keys.key(*tenant)? else { continue };
            let place = RunPlace::new(self.cluster, last.id, *tenant, PART_KIND, sequence);
            let salt = draw(&mut OsEntropy);
            parts.push((*tenant, envelope::seal(&key.key, key.number, &place.context(), salt, &part.encode())));
        }
        let body = body(sequence, batch, &parts);
        let mut frame = Vec::with_capacity(FRAME_BYTES + body.len());
        frame.extend(u32::try_from(body.len()).expect("a batch is bounded").to_be_bytes());
        frame.extend(crc32fast::hash(&body).to_be_bytes());
        frame.extend(body);
        let written = self.file.write_all_at(&frame, last.bytes).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // A record that was not acknowledged must not come back, nor stand before the next one.
            let undone = self.file.set_len(last.bytes).and_then(|()| self.file.sync_data());
            self.broken = undone.is_err();
            return Err(ObservedError::Io { action: "write", path: last.path.clone(), source });
        }
        last.records.push(last.bytes);
        last.bytes += frame.len() as u64;
        Ok(sequence)
    }

    /// Begins a new segment, and says with which record.
    pub(crate) fn rotate(&mut self) -> Result<u64, ObservedError> {
        // In a segment that is not the newest what is behind its last record is damage.
        self.mend()?;
        let next = self.next();
        if self.segments.back().is_some_and(|last| last.records.is_empty()) {
            return Ok(next);
        }
        let made = Segment::create(&self.folder, next, self.cluster)?;
        self.file = act("open", &made.path, |path| OpenOptions::new().read(true).write(true).open(path))?;
        self.segments.push_back(made);
        Ok(next)
    }

    /// Takes away what a write that failed left behind the last whole record.
    fn mend(&mut self) -> Result<(), ObservedError> {
        let (file, last) = (&self.file, self.segments.back().expect("a log has a segment"));
        if self.broken {
            act("take back a failed write to", &last.path, |_| {
                file.set_len(last.bytes)?;
                file.sync_data()
            })?;
            self.broken = false;
        }
        Ok(())
    }

    /// Removes the segments all of whose records are below `sequence`.
    pub(crate) fn remove_below(&mut self, sequence: u64) -> Result<(), ObservedError> {
        while self.segments.len() > 1 && self.segments[0].next() <= sequence {
            let segment = self.segments.pop_front().expect("there are several");
            act("remove", &segment.path, |path| fs::remove_file(path))?;
        }
        Ok(())
    }

    /// Reads records from one on, in order.
    pub(crate) fn read(&self, from: u64, records_max: usize) -> Result<Vec<Sealed>, ObservedError> {
        let mut read = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.next() > from) {
            let file = act("open", &segment.path, |path| File::open(path))?;
            let skipped = usize::try_from(from.saturating_sub(segment.first)).unwrap_or(usize::MAX);
            for (at, offset) in segment.records.iter().enumerate().skip(skipped) {
                if read.len() == records_max {
                    return Ok(read);
                }
                let body = act("read", &segment.path, |_| frame(&file, *offset))?;
                let damaged = || ObservedError::Damaged { path: segment.path.clone(), offset: *offset };
                let sealed = body.and_then(|body| read_body(&body, segment.id, self.cluster)).ok_or_else(damaged)?;
                if sealed.sequence != segment.first + at as u64 {
                    return Err(damaged());
                }
                read.push(sealed);
            }
        }
        Ok(read)
    }
}

impl Segment {
    fn create(folder: &Path, first: u64, cluster: ClusterId) -> Result<Self, ObservedError> {
        let path = folder.join(format!("{first:020}{SUFFIX}"));
        let mut id = [0; 16];
        OsEntropy.fill(&mut id);
        let head = [&MAGIC[..], &[FORMAT], &cluster.0, &id].concat();
        act("create", &path, |path| {
            let mut file = File::create(path)?;
            file.write_all(&head)?;
            file.sync_all()
        })?;
        act("sync", folder, |folder| File::open(folder)?.sync_all())?;
        Ok(Self { first, id, path, bytes: HEAD_BYTES as u64, records: Vec::new() })
    }

    /// Opens a segment; where it is the newest, cuts off a record that is not whole. `None`: it has no whole head, and is the newest.
    fn open(first: u64, path: &Path, cluster: ClusterId, newest: bool) -> Result<Option<Self>, ObservedError> {
        let bytes = act("read", path, |path| fs::read(path))?;
        let damaged = |offset| ObservedError::Damaged { path: path.into(), offset };
        if let Some(found) = bytes.strip_prefix(MAGIC).and_then(<[u8]>::first)
            && *found != FORMAT
        {
            // Nothing is cut off of what cannot be read.
            return Err(ObservedError::Format { path: path.into(), found: *found, expected: FORMAT });
        }
        let head = bytes.get(..HEAD_BYTES);
        let Some(head) = head else { return if newest { Ok(None) } else { Err(damaged(0)) } };
        let Some(head) = head.strip_prefix(MAGIC).map(|head| &head[1..]) else { return Err(damaged(0)) };
        if head[..16] != cluster.0 {
            return Err(ObservedError::OtherCluster { path: path.into(), expected: cluster });
        }
        let id = head[16..].try_into().expect("the head is that long");
        let (mut records, mut at) = (Vec::new(), HEAD_BYTES);
        while let Some(length) = whole(&bytes[at..]) {
            records.push(at as u64);
            at += FRAME_BYTES + length;
        }
        if at < bytes.len() {
            // A record that is not whole is what a kill cut off, unless something comes after it: each was synced before the next.
            if !newest || claimed(&bytes[at..]).is_some_and(|end| at + end < bytes.len()) {
                return Err(damaged(at as u64));
            }
            act("cut off", path, |path| {
                let file = OpenOptions::new().write(true).open(path)?;
                file.set_len(at as u64)?;
                file.sync_all()
            })?;
        }
        Ok(Some(Self { first, id, path: path.into(), bytes: at as u64, records }))
    }

    const fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

impl Sealed {
    /// Opens it. What belongs to a tenant that was destroyed is left out.
    pub(crate) fn open(self, keys: &dyn Keys) -> Result<Batch, ObservedError> {
        let Self { sequence, mut batch, parts, segment, cluster } = self;
        for (tenant, sealed) in parts {
            let Some(key) = keys.key(tenant)? else { continue };
            let place = RunPlace::new(cluster, segment, tenant, PART_KIND, sequence);
            let plain = envelope::open(&key.key, &place.context(), &sealed);
            let part = plain.ok().and_then(|plain| Part::decode(&plain));
            // It has a right CRC, so whoever wrote it had another key.
            let part = part.ok_or(ObservedError::Sealed { sequence, tenant: tenant.0 })?;
            batch.parts.insert(tenant, part);
        }
        Ok(batch)
    }
}

/// The first record of the segment that has this name; `None`: none has it.
pub(super) fn segment(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// The length of the body of the record with which bytes begin, where it is whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let body = rest.get(..length).filter(|body| !body.is_empty())?;
    (crc32fast::hash(body) == u32::from_be_bytes(*crc)).then_some(length)
}

/// Where the record with which bytes begin says that it ends. What was never written is zero, and says nothing.
fn claimed(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    (length > 0).then(|| FRAME_BYTES + length)
}

fn frame(file: &File, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; FRAME_BYTES];
    file.read_exact_at(&mut head, offset)?;
    let [a, b, c, d, crc @ ..] = head;
    let length = u32::from_be_bytes([a, b, c, d]);
    if u64::from(length) > BODY_BYTES_MAX {
        return Ok(None);
    }
    let mut body = vec![0; usize::try_from(length).expect("BODY_BYTES_MAX fits any address")];
    file.read_exact_at(&mut body, offset + FRAME_BYTES as u64)?;
    Ok((crc32fast::hash(&body) == u32::from_be_bytes(crc)).then_some(body))
}

fn body(sequence: u64, batch: &Batch, parts: &[(TenantNumber, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let (requests, lines) = batch.lost;
    let numbers =
        [sequence, batch.node.0, batch.incarnation, batch.number, batch.began_ms, batch.complete_ms, requests, lines];
    numbers.into_iter().for_each(|number| put(&mut out, number));
    put_bytes(&mut out, batch.region.as_bytes());
    put(&mut out, parts.len() as u64);
    for (tenant, sealed) in parts {
        put(&mut out, u64::from(tenant.0));
        put_bytes(&mut out, sealed);
    }
    out
}

fn read_body(body: &[u8], segment: [u8; 16], cluster: ClusterId) -> Option<Sealed> {
    let mut taker = Taker(body);
    let sequence = taker.number()?;
    let mut batch = Batch {
        node: NodeId(taker.number()?),
        incarnation: taker.number()?,
        number: taker.number()?,
        began_ms: taker.number()?,
        complete_ms: taker.number()?,
        lost: (taker.number()?, taker.number()?),
        region: String::new(),
        parts: BTreeMap::new(),
    };
    batch.region = String::from_utf8(taker.bytes()?.to_vec()).ok()?;
    let mut parts = Vec::new();
    for _ in 0..taker.number()? {
        let tenant = TenantNumber(u32::try_from(taker.number()?).ok()?);
        parts.push((tenant, taker.bytes()?.to_vec()));
    }
    taker.is_empty().then_some(Sealed { sequence, batch, parts, segment, cluster })
}

/// Does something to a path, and says what and where it failed.
pub(crate) fn act<T>(
    action: &'static str,
    path: &Path,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, ObservedError> {
    act(path).map_err(|source| ObservedError::Io { action, path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::tests::{CLUSTER, Ring, batch, cell};

    /// A log with one record, and behind it what a write left that could not be undone.
    fn broken(folder: &Path) -> Log {
        let mut log = Log::open(folder, CLUSTER, 0).unwrap();
        log.append(&batch(1, 1, 1, vec![cell(1, 1, 1, 0, &[1])]), &Ring::default()).unwrap();
        log.file.write_all_at(&[9; 70], log.segments[0].bytes).unwrap();
        log.broken = true;
        log
    }

    fn goes_on(folder: &Path, mut log: Log) {
        log.append(&batch(1, 1, 2, vec![cell(1, 1, 1, 0, &[1])]), &Ring::default()).unwrap();
        drop(log);
        let log = Log::open(folder, CLUSTER, 0).unwrap();
        assert_eq!((log.first(), log.next(), log.read(0, 9).unwrap().len()), (0, 2, 2));
    }

    #[test]
    fn what_a_failed_write_left_is_cut_before_another_segment_begins() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = broken(folder.path());
        assert_eq!(log.rotate().unwrap(), 1);
        goes_on(folder.path(), log);
    }

    #[test]
    fn no_segment_begins_while_what_a_failed_write_left_cannot_be_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = broken(folder.path());
        let path = log.segments[0].path.clone();
        let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
        assert!(log.rotate().is_err());
        assert!(log.append(&batch(1, 1, 2, Vec::new()), &Ring::default()).is_err());
        assert_eq!((log.segments.len(), log.next()), (1, 1));
        // The disk is well again.
        log.file = writable;
        goes_on(folder.path(), log);
    }
}
