//! Beginning the new epoch and writing the folder that serves it.

use super::error::RestoreError;
use super::remains::{Entries, Remains};
use super::swap;
use crate::backup::in_background;
use crate::outbox::{entry_to_bytes, of_newest_log};
use crate::row_writer::entry_key;
use crate::sealing::OUTBOX_TABLE;
use crate::snapshot_file::{self, Frame, Frames, SnapshotError};
use crate::state_machine::snapshot_name;
use crate::types::{LogId, Member, Membership, SnapshotMeta, StoredMembership, Vote};
use crate::words::vote_to_pb;
use bytes::Bytes;
use latchkey_crypto::draw;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{ClusterId, NodeId, ReplicaPlace, Revision, UnixMillis};
use latchkey_kms::OsEntropy;
use latchkey_state::{Actor, BeginEpoch, Command, Entry, EpochOrigin, Operation, State, StateHash};
use latchkey_storage::{Base, Facts, Options, SledStore, Store, Word, wait};
use latchkey_transparency::Frontier;
use openraft::CommittedLeaderId;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio::runtime::Handle;

/// How a cluster goes on.
pub struct NewEpoch {
    /// The epoch; absent: the one after the last that is known of.
    pub epoch: Option<u64>,
    /// The only replica: a new id after a backup, its own for a survivor.
    pub node: NodeId,
    /// Where it stands, and how it is reached.
    pub member: Member,
    /// What the audit log knows beyond what is left; absent: nobody asked it.
    pub after: Option<After>,
}

/// What the audit log knows beyond what is left of the cluster.
#[derive(Clone, Debug, Default)]
pub struct After {
    /// Its tree.
    pub tree: Frontier,
    /// The newest epoch of its entries.
    pub epoch: u64,
    /// When its newest entry was made.
    pub at: UnixMillis,
    /// What was taken away since, in order: keys to revoke and to suspend.
    pub taken_away: Vec<Operation>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct GoneOn {
    /// The cluster.
    pub cluster: ClusterId,
    /// Where it went on from.
    pub from: Revision,
    /// Where it stands now.
    pub revision: Revision,
    /// The hash of the state now.
    pub hash: StateHash,
    /// How many of [`After::taken_away`] were taken away again.
    pub taken_away: usize,
    /// What was not, and why: most of it was not there any more, or not yet.
    pub left: Vec<String>,
}

/// A cluster of one, in its first moment.
struct Ground {
    state: State,
    entries: Vec<Entry>,
    taken_away: usize,
    left: Vec<String>,
}

impl Remains {
    /// Makes the folder of the one replica with which the cluster goes on.
    ///
    /// # Errors
    /// [`RestoreError`]. The folder does not start then, or is as it was.
    pub async fn go_on(mut self, data_folder: &Path, new: NewEpoch) -> Result<GoneOn, RestoreError> {
        let node = self.node.unwrap_or(new.node);
        if self.origin == EpochOrigin::Backup {
            if swap::is_made(data_folder) {
                return Err(RestoreError::NotEmpty { path: crate::init::store_folder(data_folder) });
            }
            let known = self.membership.membership().nodes().any(|(id, _)| *id == node.0);
            if known || self.state.replica(node).is_some() {
                return Err(RestoreError::NodeUsed { node });
            }
        }
        let from = self.state.revision();
        let last = from.epoch.max(new.after.as_ref().map_or(0, |after| after.epoch));
        let epoch = new.epoch.unwrap_or(last + 1);
        if epoch <= last {
            return Err(RestoreError::EpochOver { asked: epoch, last });
        }
        let ground = self.begin(epoch, node, &new)?;
        let (data_folder, cluster) = (data_folder.to_owned(), self.cluster);
        let making = in_background("restore", move || {
            let folder = swap::begin(&data_folder)?;
            let facts = Facts { node_id: node.0, cluster_id: cluster.0, epoch: ground.state.revision().epoch };
            SledStore::create(&folder, &facts, &Options::default())?;
            let store = SledStore::open(&folder, &Options::default())?;
            self.write(&store, &ground, node, new.member)?;
            // Both storages are let go before either gets another name.
            drop((store, self));
            swap::finish(&data_folder, epoch)?;
            crate::init::discard_founding(&data_folder);
            let Ground { state, taken_away, left, .. } = ground;
            Ok(GoneOn { cluster, from, revision: state.revision(), hash: state.hash(), taken_away, left })
        });
        making.await.map_err(SnapshotError::from)?
    }

    fn begin(&mut self, epoch: u64, node: NodeId, new: &NewEpoch) -> Result<Ground, RestoreError> {
        let mut state = self.state.clone();
        let mut entries = std::mem::take(&mut self.emitted);
        if planted::is(Plant::RevisionBackOnRestore) {
            return Ok(Ground { state, entries, taken_away: 0, left: Vec::new() });
        }
        let mut index = state.revision().index;
        let mut apply = |state: &mut State, at: UnixMillis, operation: Operation| {
            index += 1;
            let command = Command { at, ..Command::new(Actor::Replica(node), draw(&mut OsEntropy), operation) };
            let applied = state.apply(Revision::new(epoch, index), &command);
            entries.extend(applied.entries);
            applied.answer
        };
        let member = &new.member;
        let place = ReplicaPlace::new(&member.region, &member.raft_address, &member.address);
        let place = place.map_err(|error| crate::words::WordError {
            expected: "a region and two addresses",
            found: format!("{error:?}"),
        })?;
        let origin = self.origin;
        let audit = new.after.as_ref().map(|after| after.tree.clone());
        let begin = Operation::BeginEpoch(Box::new(BeginEpoch { epoch, origin, place, audit }));
        let at = new.after.as_ref().map_or(UnixMillis::default(), |after| after.at);
        apply(&mut state, at, begin).map_err(RestoreError::Refused)?;
        let (mut taken_away, mut left) = (0, Vec::new());
        for operation in new.after.iter().flat_map(|after| &after.taken_away) {
            let at = state.clock();
            match apply(&mut state, at, operation.clone()) {
                Ok(_) => taken_away += 1,
                Err(refusal) => left.push(format!("{operation:?}: {refusal:?}")),
            }
        }
        Ok(Ground { state, entries, taken_away, left })
    }

    /// Writes the state and the entries that audit may not have as a snapshot, and makes that the base of the storage.
    fn write(&self, store: &SledStore, ground: &Ground, node: NodeId, member: Member) -> Result<(), RestoreError> {
        let (state, revision) = (&ground.state, ground.state.revision());
        // Of a term that nobody voted in, so that it follows all that was ever written.
        let log_id = LogId::new(CommittedLeaderId::new(self.term + 1, node.0), revision.index);
        let members = BTreeMap::from([(node.0, member)]);
        let membership = Membership::new(vec![BTreeSet::from([node.0])], members);
        let meta = SnapshotMeta {
            last_log_id: Some(log_id),
            last_membership: StoredMembership::new(Some(log_id), membership),
            snapshot_id: format!("{}-{}", log_id.leader_id.term, log_id.index),
        };
        let name = snapshot_name(&meta)?;
        let mut out = store.write_snapshot(&name)?;
        snapshot_file::write_rows(self.cluster, revision.epoch, &self.sealer, &meta, state, &mut out)?;
        self.write_entries(ground, &mut out)?;
        out.finish()?;
        let written = Frames::open(store.read_snapshot(&name)?)?;
        let written = snapshot_file::load_rows(&self.keyring, &self.sealer, written);
        let written = Handle::current().block_on(written)?;
        if written.hash() != state.hash() {
            return Err(RestoreError::NotWhole);
        }
        let vote = vote_to_pb(&Vote::new(log_id.leader_id.term, node.0)).encode_to_vec();
        wait(|done| store.save_word(Word::Vote, vote.into(), done))?;
        if let Some(denials) = &self.denials {
            wait(|done| store.save_word(Word::Denials, denials.clone(), done))?;
        }
        if let Some(node_key) = &self.node_key {
            wait(|done| store.save_word(Word::NodeKey, node_key.clone(), done))?;
        }
        store.set_base(Base { name, index: log_id.index })?;
        Ok(wait(|done| store.sync(done))?)
    }

    fn write_entries(&self, ground: &Ground, out: &mut impl std::io::Write) -> Result<(), RestoreError> {
        let progress = ground.state.progress();
        let first = progress.trimmed.map_or(0, |trimmed| trimmed.next.0);
        // Where another log began, its first entry is sequence 0, and none of those that lie there is below that.
        let entries = of_newest_log(&ground.entries);
        let emitted = entries.iter().filter(|entry| entry.sequence.0 >= first);
        let below = entries.iter().map(|entry| entry.sequence.0).min().unwrap_or(u64::MAX);
        Entries::each(&self.entries, first, |frame| {
            // Those that were emitted again are the same, and come below.
            if frame.id[..] < below.to_be_bytes()[..] {
                snapshot_file::put_frame(out, frame)?;
            }
            Ok(())
        })?;
        for entry in emitted {
            let plain = entry_to_bytes(entry);
            let key = entry_key(&ground.state, entry);
            let mut entropy = OsEntropy;
            let row = self.sealer.seal_entry(key, entry.sequence, &plain, &mut entropy);
            let row = Handle::current().block_on(row)?;
            let id = Bytes::copy_from_slice(&entry.sequence.0.to_be_bytes());
            snapshot_file::put_frame(out, Frame { table: OUTBOX_TABLE, id, row: row.into() })?;
        }
        Ok(())
    }
}
