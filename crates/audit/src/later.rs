//! What an audit log knows beyond a state: for whoever goes on from an older one.

use crate::archive::{ArchiveError, Place};
use crate::cluster::AuditKey;
use crate::disk::{Disk, DiskError};
use crate::entry;
use crate::journal::JournalOptions;
use crate::told::Told;
use latchkey_crypto::{DataKey, envelope};
use latchkey_domain::{ClusterId, RingNumber, Sequence, TenantNumber, UnixMillis};
use latchkey_transparency::Frontier;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an audit log knows beyond a state.
#[derive(Clone, Debug)]
pub struct Later {
    /// Its tree.
    pub tree: Frontier,
    /// The newest epoch of its later entries; 0 where there are none.
    pub epoch: u64,
    /// When the newest of them was made.
    pub at: UnixMillis,
    /// Those that were asked for, in order.
    pub kept: Vec<Told>,
    /// How many there are of each action.
    pub counts: BTreeMap<String, u64>,
    /// How many could not be opened: of tenants that the state does not know.
    pub sealed: u64,
}

/// Why an audit log cannot tell.
#[derive(Debug, thiserror::Error)]
pub enum LaterError {
    /// It cannot be opened. Where its service runs, stop that, or name a copy of its folder.
    #[error("the audit log cannot be opened; stop its service, or name a copy of its folder")]
    Open(#[from] DiskError),
    /// It cannot be read.
    #[error("the audit log cannot be read")]
    Read(#[from] ArchiveError),
    /// There is nothing.
    #[error("{path} holds no audit log; name the data folder of the audit service")]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// It is another cluster's.
    #[error("{path} is the audit log of cluster {found}, expected {expected}")]
    OtherCluster {
        /// The folder.
        path: PathBuf,
        /// Whose log it is.
        found: ClusterId,
        /// Whose it was to be.
        expected: ClusterId,
    },
    /// It does not go on from the state.
    #[error(
        "the first {size} entries of the audit log in {path} are not those that the state knows: it is another log, such as one that \
         began since, or one of both was changed; keep both as evidence, and name the folder of the log that the state knows"
    )]
    OtherTree {
        /// The folder.
        path: PathBuf,
        /// Of how many that was seen.
        size: u64,
    },
    /// It is older than the state: what came after that is not in it.
    #[error(
        "the audit log in {path} ends before entry {size}, and the service had {had} when the state was taken; it is an old copy, name the newest"
    )]
    TooOld {
        /// The folder.
        path: PathBuf,
        /// How many entries it holds.
        size: u64,
        /// How many the state knows that the service had.
        had: u64,
    },
    /// An entry whose key is at hand is not what was written: it may be a revocation.
    #[error(
        "entry {sequence} of the audit log in {path} does not open, or is of a newer build; take another copy of the folder"
    )]
    Entry {
        /// The folder.
        path: PathBuf,
        /// Which.
        sequence: u64,
    },
}

/// What a state knows of the audit log.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// The tree of all its entries.
    pub tree: Frontier,
    /// How many of them the audit service had.
    pub had: u64,
}

/// Reads the entries after those that a state knows, which is `before`. `key` gives the keys that open them, as far as
/// they are known; `keep` says which are wanted. Holds the folder meanwhile. What is in the archive of entries that the state knows
/// is not read. A copy that was made while the service ran is told as far as it goes.
///
/// # Errors
/// [`LaterError`].
pub async fn later(
    folder: &Path,
    place: &Place,
    cluster: ClusterId,
    before: &Before,
    mut key: impl FnMut(RingNumber) -> Option<Arc<DataKey>> + Send,
    keep: impl Fn(&Told) -> bool + Send + Sync,
) -> Result<Later, LaterError> {
    let nothing = || LaterError::Nothing { path: folder.into() };
    if !folder.is_dir() {
        return Err(nothing());
    }
    let options = JournalOptions { is_copy: true, ..JournalOptions::default() };
    let disk = Disk::open(folder, options, place).await?.ok_or_else(nothing)?;
    let (Disk { log, archive, .. }, path) = (disk, folder.to_owned());
    let found = log.journal().cluster();
    if found != cluster {
        return Err(LaterError::OtherCluster { path, found, expected: cluster });
    }
    let Before { tree: before, had } = before;
    // Of a log that is shorter than the state's the state knows some beginnings, and those have to be its own.
    let check = |tree: &Frontier| match before.beginning(tree.size()) {
        known if known.size() == tree.size() && known != *tree => {
            Err(LaterError::OtherTree { path: path.clone(), size: known.size() })
        }
        _ => Ok(()),
    };
    let published = before.size().min(archive.size());
    let mut tree = archive.frontier_at(before.beginning(published).size()).await?;
    check(&tree)?;
    if tree.size() < published {
        tree = archive.frontier_at(published).await?;
    }
    let mut later = Later::nothing();
    let end = log.next().max(archive.size());
    while tree.size() < end {
        let next = tree.size();
        let Some(block) = log.block(next).await? else {
            // Retention took it, and left its leaf.
            tree.push(archive.node(0, next).await?);
            check(&tree)?;
            later.sealed += 1;
            continue;
        };
        for (sequence, frame) in (block.first..).zip(&block.frames).skip_while(|(at, _)| *at < next) {
            tree.push(frame.leaf);
            if sequence < before.size() {
                check(&tree)?;
                continue;
            }
            let number = envelope::ring_number(&frame.sealed).ok();
            let tenant = frame.tenant.unwrap_or(TenantNumber(0));
            let key = number.and_then(|number| Some(AuditKey { number, key: key(number)?, tenant, name: None }));
            let Some(key) = key else {
                later.sealed += 1;
                continue;
            };
            let unreadable = || LaterError::Entry { path: path.clone(), sequence };
            let event = entry::open(cluster, Sequence(sequence), &key, frame).map_err(|_| unreadable())?;
            let told = Told::read(&event.bytes).map_err(|_| unreadable())?;
            later.add(event.revision.epoch, told, &keep);
        }
    }
    if tree.size() < *had {
        return Err(LaterError::TooOld { path, size: tree.size(), had: *had });
    }
    Ok(Later { tree, ..later })
}

impl Later {
    fn nothing() -> Self {
        Self {
            tree: Frontier::new(),
            epoch: 0,
            at: UnixMillis::default(),
            kept: Vec::new(),
            counts: BTreeMap::new(),
            sealed: 0,
        }
    }

    fn add(&mut self, epoch: u64, told: Told, keep: &(impl Fn(&Told) -> bool + Send + Sync)) {
        self.epoch = self.epoch.max(epoch);
        self.at = self.at.max(told.at);
        *self.counts.entry(told.action.clone()).or_default() += 1;
        if keep(&told) {
            self.kept.push(told);
        }
    }
}
