//! What is left of a cluster: a state, the keys that open it, and the entries that audit may not have.

use super::error::RestoreError;
use super::{replay, swap};
use crate::backup::BackupFile;
use crate::core::Core;
use crate::keyring::Keyring;
use crate::sealing::{OUTBOX_TABLE, Sealer};
use crate::snapshot_file::{Frame, Frames};
use crate::state_machine::load_once;
use crate::types::StoredMembership;
use crate::words::{decode, log_id_from_pb, stored_membership_from_pb, vote_from_pb};
use bytes::Bytes;
use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, NodeId, RingNumber};
use latchkey_kms::Kms;
use latchkey_state::{Entry, EpochOrigin, FEATURE_LEVEL_NEWEST, State};
use latchkey_storage::{Options, SledStore, StateSource, Store, StoreError, Word};
use latchkey_telemetry::Clock;
use latchkey_wire::pb::disk::v1 as pb;
use std::path::Path;
use std::sync::Arc;

/// Entries that are read at once.
const ENTRIES_PER_READ: usize = 512;

/// What is left of a cluster.
pub struct Remains {
    pub(super) origin: EpochOrigin,
    pub(super) cluster: ClusterId,
    /// The replica whose folder it is; absent for a backup.
    pub(super) node: Option<NodeId>,
    /// Above any term that a replica of it may have voted in, as far as is known.
    pub(super) term: u64,
    pub(super) membership: StoredMembership,
    pub(super) state: State,
    pub(super) sealer: Sealer,
    pub(super) keyring: Arc<Keyring>,
    pub(super) entries: Entries,
    /// What operators denied on the survivor, sealed.
    pub(super) denials: Option<Bytes>,
    /// The key that the survivor cosigns with, sealed: it goes on with it, and with what it vouched for.
    pub(super) node_key: Option<Bytes>,
    /// Entries of records that were in the log and not in the rows.
    pub(super) emitted: Vec<Entry>,
}

/// Where the entries lie, sealed.
pub(super) enum Entries {
    Backup(BackupFile),
    Store(Arc<dyn Store>),
}

impl Remains {
    /// What a backup holds. Its hash and its state are checked.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn of_backup(path: &Path, kms: Arc<dyn Kms>) -> Result<Self, RestoreError> {
        let backup = BackupFile::open(path)?;
        let (state, sealer, keyring) = backup.load(kms).await?;
        let meta = backup.frames()?.meta();
        Self {
            origin: EpochOrigin::Backup,
            cluster: backup.header().cluster,
            node: None,
            term: meta.last_log_id.map_or(0, |last| last.leader_id.term),
            membership: meta.last_membership,
            state,
            sealer,
            keyring,
            entries: Entries::Backup(backup),
            denials: None,
            node_key: None,
            emitted: Vec::new(),
        }
        .checked()
    }

    /// What the folder of a replica holds, with every record that was appended there: it may have been acknowledged. Holds
    /// the folder.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn of_survivor(
        data_folder: &Path,
        kms: Arc<dyn Kms>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RestoreError> {
        let folder = swap::survivor(data_folder)?;
        let store: Arc<dyn Store> = Arc::new(SledStore::open(&folder, &Options::default())?);
        if let Some(why) = store.word(Word::Fence) {
            return Err(RestoreError::Fenced { why: String::from_utf8_lossy(&why).into_owned() });
        }
        let core = Core::new(store.clone(), kms, clock);
        let (applied, membership) = standing(&core)?;
        let voted = store.word(Word::Vote).map(|bytes| decode::<pb::Vote>("a vote", &bytes)).transpose()?;
        let voted = voted.as_ref().map_or(0, |vote| vote_from_pb(vote).leader_id.term);
        let state = load_once(&core).await?;
        let replayed = replay::replay(&core, state, applied, membership).await?;
        Self {
            origin: EpochOrigin::Survivor,
            cluster: core.cluster(),
            node: Some(core.node()),
            term: voted.max(replayed.term),
            membership: replayed.membership,
            state: replayed.state,
            sealer: core.sealer.clone(),
            keyring: core.keyring.clone(),
            denials: store.word(Word::Denials),
            node_key: store.word(Word::NodeKey),
            entries: Entries::Store(store),
            emitted: replayed.entries,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, RestoreError> {
        if self.state.cluster().is_none() {
            return Err(RestoreError::NotFounded);
        }
        if !self.state.is_understood() {
            let found = self.state.progress().feature_level;
            return Err(RestoreError::Newer { found, newest: FEATURE_LEVEL_NEWEST });
        }
        Ok(self)
    }

    /// The state that is left.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// A key of its keyring; `None` where the state does not know it.
    ///
    /// # Errors
    /// The key-encryption key is away, or is another.
    pub async fn key(&self, number: RingNumber) -> Result<Option<Arc<DataKey>>, RestoreError> {
        if self.state.ring_key(number).is_none() {
            return Ok(None);
        }
        Ok(Some(self.keyring.key(number).await?))
    }
}

/// Up to where the rows on disk are applied.
fn standing(core: &Core) -> Result<(Option<(u64, u64)>, StoredMembership), RestoreError> {
    let (last, membership) = match core.store.state_source() {
        StateSource::Empty => return Ok((None, StoredMembership::default())),
        StateSource::Rows(mark) => {
            let mark = decode::<pb::StateMark>("the mark of the rows", &mark.bytes)?;
            let membership = mark.membership.map(stored_membership_from_pb).unwrap_or_default();
            (mark.last_log_id.as_ref().map(log_id_from_pb), membership)
        }
        StateSource::Base(base) => {
            let meta = Frames::open(core.store.read_snapshot(&base.name)?)?.meta();
            (meta.last_log_id, meta.last_membership)
        }
    };
    Ok((last.map(|last| (last.leader_id.term, last.index)), membership))
}

impl Entries {
    /// Shows each entry from `from` on, as it lies, in order.
    pub(super) fn each(
        &self,
        from: u64,
        mut show: impl FnMut(Frame) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let in_frames = |frame: &Frame| frame.table == OUTBOX_TABLE && frame.id[..] >= from.to_be_bytes()[..];
        match self {
            Self::Backup(backup) => {
                for frame in backup.frames()? {
                    let frame = frame?;
                    if in_frames(&frame) {
                        show(frame)?;
                    }
                }
                Ok(())
            }
            Self::Store(store) => match store.state_source() {
                StateSource::Base(base) => {
                    for frame in Frames::open(store.read_snapshot(&base.name)?)? {
                        let frame = frame?;
                        if in_frames(&frame) {
                            show(frame)?;
                        }
                    }
                    Ok(())
                }
                StateSource::Empty | StateSource::Rows(_) => each_row(store.as_ref(), from, show),
            },
        }
    }
}

fn each_row(
    store: &dyn Store,
    from: u64,
    mut show: impl FnMut(Frame) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let mut from = from;
    loop {
        let rows = store.read_rows(OUTBOX_TABLE, &from.to_be_bytes()[..]..&[0xFF; 8][..], ENTRIES_PER_READ)?;
        let Some(last) = rows.last() else { return Ok(()) };
        let short = || StoreError::Damaged { what: "the id of an audit entry".into() };
        from = u64::from_be_bytes(last.key.id[..].try_into().map_err(|_| short())?) + 1;
        for row in rows {
            show(Frame { table: OUTBOX_TABLE, id: row.key.id, row: row.bytes })?;
        }
    }
}
