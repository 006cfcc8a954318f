//! The witness: up to where entries are durable here, as the cluster was told. Two slots, written in turn, so that a kill in the
//! middle of a write leaves the one before.

use super::error::OpenError;
use super::folder::{Folder, act};
use crate::whole_file::write_whole;
use latchkey_domain::ClusterId;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;

const FORMAT: u8 = 1;
const SLOT_BYTES: usize = 1 + 16 + 8 + 4;
/// The slots lie in different blocks of any disk, so that no torn write reaches both.
const SLOT_STRIDE: usize = 4_096;

#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    cluster: ClusterId,
    next: u64,
    /// The slot that holds `next`.
    slot: u64,
}

impl Witness {
    /// Makes it; from here on the folder is one of `cluster`.
    pub(super) fn create(folder: &Folder, cluster: ClusterId) -> Result<(), OpenError> {
        let mut bytes = vec![0; SLOT_STRIDE + SLOT_BYTES];
        bytes[..SLOT_BYTES].copy_from_slice(&encode(cluster, 0));
        bytes[SLOT_STRIDE..].copy_from_slice(&encode(cluster, 0));
        act("create", &folder.witness(), |path| write_whole(path, &bytes))
    }

    pub(super) fn open(folder: &Folder) -> Result<Self, OpenError> {
        let path = folder.witness();
        let file = act("open", &path, |path| OpenOptions::new().read(true).write(true).open(path))?;
        let read = |slot: u64| {
            let mut bytes = [0; SLOT_BYTES];
            let read = file.read_exact_at(&mut bytes, slot * SLOT_STRIDE as u64);
            read.ok().and_then(|()| decode(&bytes))
        };
        let slots = [read(0), read(1)];
        if slots.contains(&None) {
            tracing::warn!(path = %path.display(), "one slot of the witness does not read; the other one counts");
        }
        let newest = (0..)
            .zip(slots)
            .filter_map(|(slot, found)| found.map(|(cluster, next)| (next, slot, cluster)))
            .max_by_key(|found| found.0);
        match newest {
            Some((next, slot, cluster)) => Ok(Self { file, cluster, next, slot }),
            None => Err(OpenError::Damaged { path, what: "no slot reads".to_owned() }),
        }
    }

    pub(super) const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// All entries below it were promised to be durable.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Durable on return.
    pub(super) fn promise(&mut self, next: u64) -> io::Result<()> {
        let slot = 1 - self.slot;
        self.file.write_all_at(&encode(self.cluster, next), slot * SLOT_STRIDE as u64)?;
        self.file.sync_data()?;
        (self.slot, self.next) = (slot, next);
        Ok(())
    }
}

fn encode(cluster: ClusterId, next: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[0] = FORMAT;
    bytes[1..17].copy_from_slice(&cluster.0);
    bytes[17..25].copy_from_slice(&next.to_be_bytes());
    let crc = crc32fast::hash(&bytes[..25]);
    bytes[25..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<(ClusterId, u64)> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if *crc != crc32fast::hash(body).to_be_bytes() || body[0] != FORMAT {
        return None;
    }
    let (cluster, next) = body[1..].split_first_chunk()?;
    Some((ClusterId(*cluster), u64::from_be_bytes(next.try_into().ok()?)))
}
