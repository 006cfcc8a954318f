//! Reading a run.

use super::directory::Directory;
use super::error::RunError;
use super::keys::{Keys, SealingKey};
use super::part::{self, HEAD_BYTES as PART_HEAD_BYTES, Kind, Place};
use super::range::Range;
use super::section::{Fence, Section};
use super::sections::Kept;
use super::writer::act;
use super::{CLUSTER, Item, block};
use latchkey_domain::{ClusterId, TenantNumber};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const MAGIC: &[u8; 5] = b"LKRUN";
pub(super) const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 5 + 1 + 16 + 16;
const TAIL_BYTES: usize = 4 + 4;

/// A run that is there. Any number of threads may read it; each call blocks its thread for a read or two.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    bytes: u64,
    cluster: ClusterId,
    run: [u8; 16],
    keys: Arc<dyn Keys>,
    directory: Directory,
    sections: Kept,
}

/// The section of a tenant, and what opens its blocks.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) tenant: TenantNumber,
    pub(super) section: Arc<Section>,
    key: SealingKey,
}

impl Reader {
    /// Opens the run at `path`.
    ///
    /// # Errors
    /// [`RunError`]: it is damaged, of another cluster, or of another build.
    pub fn open(path: &Path, cluster: ClusterId, keys: Arc<dyn Keys>) -> Result<Self, RunError> {
        let damaged = |what: String| RunError::Damaged { path: path.into(), what };
        let file = act("open", path, |path| File::open(path))?;
        let bytes = act("read", path, |_| file.metadata())?.len();
        if bytes < (HEAD_BYTES + TAIL_BYTES) as u64 {
            return Err(damaged(format!("{bytes} bytes are no run")));
        }
        let (mut found, mut end) = ([0; HEAD_BYTES], [0; TAIL_BYTES]);
        act("read", path, |_| file.read_exact_at(&mut found, 0))?;
        let tail_at = bytes - TAIL_BYTES as u64;
        act("read", path, |_| file.read_exact_at(&mut end, tail_at))?;
        let run = *found.last_chunk().expect("a head ends with the id of its run");
        if let Some([found, ..]) = found.strip_prefix(MAGIC)
            && *found != FORMAT
        {
            // Nothing more of it is read, not even its CRCs: they may stand elsewhere.
            return Err(RunError::Format { path: path.into(), found: *found, expected: FORMAT });
        }
        if found != head(cluster, run) {
            return Err(damaged(format!("it does not begin as a run of cluster {cluster}")));
        }
        let length = u32::from_be_bytes(*end.first_chunk().expect("a tail begins with a length"));
        let at = tail_at.checked_sub(u64::from(length)).filter(|at| *at >= HEAD_BYTES as u64);
        let offset = at.filter(|_| end == tail(cluster, run, length)).ok_or_else(|| damaged("the tail".to_owned()))?;

        let directory = Directory::default();
        let mut reader = Self { path: path.into(), file, bytes, cluster, run, keys, directory, sections: Kept::new() };
        let key = reader.keys.cluster_key()?;
        let plain = reader.part(CLUSTER, Kind::Directory, &key, offset, length as usize)?;
        reader.directory =
            Directory::decode(&plain).ok_or_else(|| damaged("its directory does not read".to_owned()))?;
        Ok(reader)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on the disk.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was noted when it was finished.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.directory.note
    }

    /// The tenants that it has items of, with how many, by number. Those whose key is gone are named too.
    pub fn tenants(&self) -> impl Iterator<Item = (TenantNumber, u64)> {
        self.directory.tenants.iter().map(|tenant| (tenant.number, tenant.items))
    }

    /// Bytes of memory that its sections take now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.sections.bytes()
    }

    /// The value of a key; absent where the tenant's key is gone too.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn get(&self, tenant: TenantNumber, key: &[u8]) -> Result<Option<Vec<u8>>, RunError> {
        let Some(opened) = self.opened(tenant)? else { return Ok(None) };
        if !opened.section.bloom.may_hold(&key[..key.len().min(self.directory.prefix_bytes)]) {
            return Ok(None);
        }
        let fences = &opened.section.fences;
        let Some(at) = fences.partition_point(|fence| fence.first.as_slice() <= key).checked_sub(1) else {
            return Ok(None);
        };
        let items = self.block(&opened, &fences[at])?;
        let found = items.binary_search_by(|(item, _)| item.as_slice().cmp(key));
        Ok(found.ok().and_then(|at| items.into_iter().nth(at)).map(|(_, value)| value))
    }

    /// Whether the tenant may have a key that begins so, with as many bytes as the Bloom filter is asked for. Where it has one, it says so.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn may_hold(&self, tenant: TenantNumber, prefix: &[u8]) -> Result<bool, RunError> {
        Ok(self.opened(tenant)?.is_some_and(|opened| opened.section.bloom.may_hold(prefix)))
    }

    /// The items of a tenant from a key on and below another, in order from either end; none where the tenant's key is gone.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn range(&self, tenant: TenantNumber, from: &[u8], below: Option<&[u8]>) -> Result<Range<'_>, RunError> {
        Ok(Range::new(self, self.opened(tenant)?, from, below))
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// [`RunError::Damaged`] where any byte is not what was written. What lies under a key that is gone is held against its CRC.
    pub fn verify(&self) -> Result<(), RunError> {
        Self::open(&self.path, self.cluster, self.keys.clone())?;
        let mut at = HEAD_BYTES as u64;
        let end = self.bytes - TAIL_BYTES as u64;
        while at < end {
            let room = || self.damaged(at, "no part fits here");
            let mut head = [0; PART_HEAD_BYTES];
            if end - at < head.len() as u64 {
                return Err(room());
            }
            act("read", &self.path, |_| self.file.read_exact_at(&mut head, at))?;
            let length = Some(part::length(&head)).filter(|length| *length <= end - at).ok_or_else(room)?;
            let bytes = self.bytes_at(at, usize::try_from(length).map_err(|_| room())?)?;
            part::check(at, &bytes).map_err(|what| self.damaged(at, &what))?;
            at += length;
        }
        for tenant in &self.directory.tenants {
            let mut items = 0;
            for item in self.range(tenant.number, &[], None)? {
                item?;
                items += 1;
            }
            let is_there = self.keys.key(tenant.number)?.is_some();
            if is_there && items != tenant.items {
                return Err(self.damaged(tenant.offset, &format!("{items} items, expected {}", tenant.items)));
            }
        }
        Ok(())
    }

    /// The section of a tenant; `None` where it has no items here, or its key is gone.
    pub(super) fn opened(&self, number: TenantNumber) -> Result<Option<Opened>, RunError> {
        let Some(tenant) = self.directory.tenant(number) else { return Ok(None) };
        // The key is asked for each time, so that what is known of a tenant ends with it.
        let Some(key) = self.keys.key(number)? else { return Ok(None) };
        let known = self.sections.find(number);
        let section = match known {
            Some(section) => section,
            None => {
                let plain = self.part(number, Kind::Section, &key, tenant.offset, tenant.length)?;
                let section = Section::decode(&plain);
                let section = section.ok_or_else(|| self.damaged(tenant.offset, "a section"))?;
                let section = Arc::new(section);
                self.sections.keep(number, section.clone());
                section
            }
        };
        Ok(Some(Opened { tenant: number, section, key }))
    }

    /// The items of a block.
    pub(super) fn block(&self, opened: &Opened, fence: &Fence) -> Result<Vec<Item>, RunError> {
        let plain = self.part(opened.tenant, Kind::Block, &opened.key, fence.offset, fence.length)?;
        let items = block::items(&plain).filter(|items| items.len() as u64 == fence.items);
        items.ok_or_else(|| self.damaged(fence.offset, "a block"))
    }

    fn part(
        &self,
        tenant: TenantNumber,
        kind: Kind,
        key: &SealingKey,
        offset: u64,
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, RunError> {
        let place = Place { cluster: self.cluster, run: self.run, tenant, kind, offset };
        let part = self.bytes_at(offset, length)?;
        part::open(&place, key, &part).map_err(|what| self.damaged(offset, &what))
    }

    fn bytes_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, RunError> {
        let mut bytes = vec![0; length];
        act("read", &self.path, |_| self.file.read_exact_at(&mut bytes, offset))?;
        Ok(bytes)
    }

    fn damaged(&self, offset: u64, what: &str) -> RunError {
        RunError::Damaged { path: self.path.clone(), what: format!("at byte {offset}: {what}") }
    }
}

/// What a run begins with.
pub(super) fn head(cluster: ClusterId, run: [u8; 16]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..5].copy_from_slice(MAGIC);
    head[5] = FORMAT;
    head[6..22].copy_from_slice(&cluster.0);
    head[22..].copy_from_slice(&run);
    head
}

/// What a run ends with.
pub(super) fn tail(cluster: ClusterId, run: [u8; 16], length: u32) -> [u8; TAIL_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head(cluster, run));
    hasher.update(&length.to_be_bytes());
    let mut tail = [0; TAIL_BYTES];
    tail[..4].copy_from_slice(&length.to_be_bytes());
    tail[4..].copy_from_slice(&hasher.finalize().to_be_bytes());
    tail
}
