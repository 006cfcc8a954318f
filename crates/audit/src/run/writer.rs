//! Writing a run.

use super::CLUSTER;
use super::block::Builder;
use super::bloom::Collector;
use super::directory::{Directory, Tenant};
use super::error::RunError;
use super::keys::{Keys, SealingKey};
use super::part::{self, Kind, Place};
use super::reader::{Reader, head, tail};
use super::section::{Fence, Section};
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{ClusterId, TenantNumber};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A block is closed before it would be longer.
const BLOCK_BYTES_MAX: usize = 16 << 10;
/// Longest item, its key and its value together.
const ITEM_BYTES_MAX: usize = 1 << 20;
/// A file with this ending is still being written; nothing in it counts.
pub(super) const NEW: &str = ".new";

/// How a run is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A block is closed before it would be longer.
    pub block_bytes_max: usize,
    /// How many bytes of a key the Bloom filter is asked for: what is looked for as a whole. Shorter keys stand for themselves.
    pub prefix_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { block_bytes_max: BLOCK_BYTES_MAX, prefix_bytes: usize::MAX }
    }
}

/// Writes one run. Without [`Self::finish`] nothing of it is left.
pub struct Writer {
    path: PathBuf,
    cluster: ClusterId,
    run: [u8; 16],
    keys: Arc<dyn Keys>,
    entropy: Box<dyn Entropy + Send>,
    options: Options,
    file: Option<BufWriter<File>>,
    offset: u64,
    current: Option<Current>,
    directory: Directory,
}

/// The tenant whose items come.
struct Current {
    number: TenantNumber,
    key: SealingKey,
    block: Builder,
    first: Vec<u8>,
    last: Vec<u8>,
    bloom: Collector,
    fences: Vec<Fence>,
    items: u64,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Writer {
    /// Begins a run that will appear at `path`.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn create(
        path: &Path,
        cluster: ClusterId,
        keys: Arc<dyn Keys>,
        options: Options,
        entropy: impl Entropy + Send + 'static,
    ) -> Result<Self, RunError> {
        let mut entropy: Box<dyn Entropy + Send> = Box::new(entropy);
        let file = act("create", &new(path), |path| File::create(path))?;
        let run = draw(&mut *entropy);
        let directory = Directory { prefix_bytes: options.prefix_bytes, ..Directory::default() };
        let mut writer = Self {
            path: path.into(),
            cluster,
            run,
            keys,
            entropy,
            options,
            file: Some(BufWriter::with_capacity(1 << 18, file)),
            offset: 0,
            current: None,
            directory,
        };
        writer.write(&head(cluster, run))?;
        Ok(writer)
    }

    /// Appends an item. They come in the order of tenant and key, no two alike.
    ///
    /// # Errors
    /// [`RunError`]; [`RunError::Destroyed`] where the tenant has no key, and nothing was written then.
    pub fn push(&mut self, tenant: TenantNumber, key: &[u8], value: &[u8]) -> Result<(), RunError> {
        let bytes = key.len() + value.len();
        if bytes > ITEM_BYTES_MAX {
            return Err(RunError::TooLong { path: self.path.clone(), bytes, bytes_max: ITEM_BYTES_MAX });
        }
        match &self.current {
            Some(current) if current.number == tenant => {
                if current.last.as_slice() >= key {
                    return Err(RunError::Order { path: self.path.clone() });
                }
            }
            Some(current) if current.number > tenant => return Err(RunError::Order { path: self.path.clone() }),
            _ => self.begin(tenant)?,
        }
        let current = self.current.as_ref().expect("a tenant was begun");
        // Lengths take at most five bytes each.
        if current.block.items() > 0 && current.block.bytes() + bytes + 15 > self.options.block_bytes_max {
            self.end_block()?;
        }
        let current = self.current.as_mut().expect("a tenant was begun");
        if current.block.items() == 0 {
            current.first = key.to_vec();
        }
        current.block.push(key, value);
        current.bloom.add(&key[..key.len().min(self.options.prefix_bytes)]);
        current.last.clear();
        current.last.extend_from_slice(key);
        current.items += 1;
        Ok(())
    }

    /// Makes the run appear, with a note of up to some MiB beside its items. Durable on return.
    ///
    /// # Errors
    /// [`RunError`]: it did not appear.
    pub fn finish(mut self, note: &[u8]) -> Result<Reader, RunError> {
        self.end_tenant()?;
        self.directory.note = note.to_vec();
        let key = self.keys.cluster_key()?;
        let (_, length) = self.part(CLUSTER, Kind::Directory, &key, &self.directory.encode())?;
        let length = u32::try_from(length).expect("an envelope holds at most 64 MiB");
        self.write(&tail(self.cluster, self.run, length))?;
        let file = self.file.take().expect("it is taken here only");
        let file = file.into_inner().map_err(|error| self.failed("write", error.into_error()))?;
        file.sync_all().map_err(|error| self.failed("sync", error))?;
        drop(file);
        act("rename", &new(&self.path), |new| fs::rename(new, &self.path))?;
        sync_folder(&self.path)?;
        Reader::open(&self.path, self.cluster, self.keys.clone())
    }

    fn begin(&mut self, number: TenantNumber) -> Result<(), RunError> {
        self.end_tenant()?;
        let key = self.keys.key(number)?.ok_or(RunError::Destroyed { tenant: number.0 })?;
        let (block, bloom) = (Builder::default(), Collector::default());
        let (first, last, fences) = (Vec::new(), Vec::new(), Vec::new());
        self.current = Some(Current { number, key, block, first, last, bloom, fences, items: 0 });
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), RunError> {
        let Some(current) = self.current.as_mut().filter(|current| current.block.items() > 0) else { return Ok(()) };
        let (items, plain) = (current.block.items(), current.block.take());
        let (number, key, first) = (current.number, current.key.clone(), std::mem::take(&mut current.first));
        let (offset, length) = self.part(number, Kind::Block, &key, &plain)?;
        let current = self.current.as_mut().expect("it was there above");
        current.fences.push(Fence { offset, length, items, first });
        Ok(())
    }

    fn end_tenant(&mut self) -> Result<(), RunError> {
        self.end_block()?;
        let Some(Current { number, key, last, bloom, fences, items, .. }) = self.current.take() else { return Ok(()) };
        let section = Section { bloom: bloom.finish(), fences, last };
        let (offset, length) = self.part(number, Kind::Section, &key, &section.encode())?;
        self.directory.tenants.push(Tenant { number, items, offset, length });
        Ok(())
    }

    /// Seals a part and writes it; where it stands and how long it is.
    fn part(
        &mut self,
        tenant: TenantNumber,
        kind: Kind,
        key: &SealingKey,
        plain: &[u8],
    ) -> Result<(u64, usize), RunError> {
        let offset = self.offset;
        let place = Place { cluster: self.cluster, run: self.run, tenant, kind, offset };
        let part = part::seal(&place, key, plain, &mut *self.entropy);
        self.write(&part)?;
        Ok((offset, part.len()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let file = self.file.as_mut().expect("it is taken by `finish` only");
        let written = file.write_all(bytes);
        written.map_err(|error| self.failed("write", error))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn failed(&self, action: &'static str, source: io::Error) -> RunError {
        RunError::Io { action, path: new(&self.path), source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Finished, it has another name. What a kill leaves, whoever opens the folder removes.
        let _ = fs::remove_file(new(&self.path));
    }
}

fn new(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(NEW);
    new.into()
}

/// Makes durable which names the folder of `path` has.
pub(super) fn sync_folder(path: &Path) -> Result<(), RunError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    act("sync", folder, |folder| File::open(folder)?.sync_all())
}

pub(super) fn act<T>(
    action: &'static str,
    path: &Path,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, RunError> {
    act(path).map_err(|source| RunError::Io { action, path: path.into(), source })
}
