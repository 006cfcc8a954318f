//! What a command does. Total: every decodable command gets an answer, and a refusal is one of them.

mod access;
mod advance_rotation;
mod audit_log;
mod authority;
mod backups;
mod begin_epoch;
mod bootstrap;
mod change;
mod checkpoint;
mod claim_rotations;
mod clock;
mod course;
mod create_keys;
mod cut;
mod delete;
mod directory;
mod emergency;
mod expiry_notices;
mod import_keys;
mod key_facts;
mod plan_rotations;
mod prepare_rotation;
mod record_denials;
mod rekey;
mod remove_dead;
mod repeat;
mod replica;
mod restrict_key;
mod revoke_key;
mod revoke_keys;
mod ring;
mod ring_rotation;
mod roles;
mod rotate_key;
mod rotation;
mod settle;
mod step_rotation;
mod subject;
mod suspend_key;
mod transaction;
mod trim;
mod update_directory;
mod update_key;
mod within;

pub use authority::may_give;
pub use trim::{ENTRIES_WAITING_MAX, ENTRY_WAIT_MAX};

use crate::command::{Actor, AdmitReplica, Command, ImportRow, Operation, ReplicaStep, StepReplica};
use crate::event::Entry;
use crate::key::Key;
use crate::records::{Identity, Keyspace, Owner, Role, Tenant};
use crate::rotation::{Rotation, RotationClaim};
use crate::row::{Changes, Row};
use crate::state::State;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{KeyspaceNumber, Refusal, ReplicaRole, ResourceKind, Revision, TenantName, VersionId};
use transaction::Transaction;

/// The level of commands that a cluster understands before its first command said so.
const FEATURE_LEVEL_FIRST: u32 = 1;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub answer: Result<Answer, Refusal>,
    /// The revision that the answer is of: this record's, or the first one's where the request is a repeat.
    pub revision: Revision,
    /// Whether the request came earlier and this is the first answer again.
    pub repeated: bool,
    /// Exactly the difference between the state before and after.
    pub changes: Changes,
    /// The entries that the audit tree gained.
    pub entries: Vec<Entry>,
    /// Whether there was more to sweep than one record may.
    pub more_to_sweep: bool,
}

/// The answer of a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing to tell.
    Done,
    /// The tenant made.
    Tenant(Arc<Tenant>),
    /// The keyspace made.
    Keyspace(Arc<Keyspace>),
    /// The owner made.
    Owner(Arc<Owner>),
    /// The identity made.
    Identity(Arc<Identity>),
    /// The keys made, each with its first version.
    Keys {
        /// In the order of the request.
        keys: Vec<(Arc<Key>, VersionId)>,
        /// On a repeat within the replay window: the key texts, sealed.
        replay: Option<Box<[u8]>>,
    },
    /// What became of the rows of an import.
    Imported {
        /// Where.
        keyspace: KeyspaceNumber,
        /// Each row of the command, by index.
        rows: Vec<ImportRow>,
    },
    /// The role made or changed.
    Role(Arc<Role>),
    /// The key, changed, suspended, resumed or restricted.
    Key(Arc<Key>),
    /// So many keys were revoked or taken away.
    Counted(u64),
    /// A rotation, begun or one step further.
    Rotation {
        /// The rotation as it is now.
        rotation: Arc<Rotation>,
        /// The key as it is now.
        key: Arc<Key>,
        /// The version, where this command made it: else what was minted was dropped.
        made: Option<VersionId>,
        /// On a repeat within the replay window, where a version was made: its key text, sealed.
        replay: Option<Box<[u8]>>,
    },
    /// The claim on driving rotations, taken or renewed.
    Claim(RotationClaim),
    /// The key, revoked, or with a version revoked.
    Revoked {
        /// The key as it is now.
        key: Arc<Key>,
        /// The version, where only that was meant.
        version: Option<VersionId>,
    },
}

impl State {
    /// Carries out one command as the record at `revision`.
    ///
    /// Never fails: a refusal is an answer. A refused command moves the clock and nothing else.
    pub fn apply(&mut self, revision: Revision, command: &Command) -> Applied {
        // A clone shares everything, so that a refusal half way restores the state for the price of a pointer.
        let before = self.clone();
        let mut applied = match clock::stamp(self, command) {
            Err(refusal) => Applied::refused(revision, refusal),
            Ok(()) => {
                let stamped = self.clone();
                decide(self, revision, command).unwrap_or_else(|refusal| {
                    *self = stamped;
                    Applied::refused(revision, refusal)
                })
            }
        };
        let mut sweep = Transaction::new(self, revision, command);
        applied.more_to_sweep = repeat::sweep(&mut sweep);
        applied.changes.extend(sweep.finish().0);
        // A row can come and go within one record, where the clock stands at the end of time.
        applied.changes.retain(|id, row| *row != before.row(*id));
        self.finish_record(revision, &before, &mut applied.changes);
        applied
    }

    /// Takes note of a record without a command: a blank one, or a change of membership.
    pub fn skip(&mut self, revision: Revision) -> Changes {
        let before = self.clone();
        let mut changes = Changes::new();
        self.finish_record(revision, &before, &mut changes);
        changes
    }

    fn finish_record(&mut self, revision: Revision, before: &Self, changes: &mut Changes) {
        let mut progress = self.progress().clone();
        progress.last = revision;
        if progress != *before.progress() {
            let row = Row::Progress(progress);
            self.install(row.clone());
            changes.insert(row.id(), Some(row));
        }
    }
}

/// Carries a command out, or says why not; then the state is half changed and worthless.
fn decide(state: &mut State, revision: Revision, command: &Command) -> Result<Applied, Refusal> {
    check_level(state, command)?;
    authority::check(state, command)?;
    check_born(state, command)?;
    if let Some(first) = repeat::find(state, command)? {
        return Ok(first);
    }
    trim::check_room(state, command)?;
    let mut transaction = Transaction::new(state, revision, command);
    let answer = carry_out(&mut transaction, command)?;
    repeat::remember(&mut transaction, &answer)?;
    let (changes, entries) = transaction.finish();
    Ok(Applied { answer: Ok(answer), revision, repeated: false, changes, entries, more_to_sweep: false })
}

/// The replicated level alone decides, so that builds that know more and builds that know less refuse alike.
fn check_level(state: &State, command: &Command) -> Result<(), Refusal> {
    let is_first = match command.operation {
        Operation::Bootstrap(_) => state.cluster().is_none(),
        // Whoever goes on is alone, and of one build with itself.
        Operation::BeginEpoch(_) => true,
        _ => false,
    };
    let current = state.progress().feature_level.max(FEATURE_LEVEL_FIRST);
    // The first command says at which level the cluster is born, or goes on.
    if command.feature_level > current && !is_first {
        return Err(Refusal::FeatureLevel { needed: command.feature_level, current });
    }
    Ok(())
}

/// The first command counts on an empty keyring; only the clock may have been told before.
fn check_born(state: &State, command: &Command) -> Result<(), Refusal> {
    match command.operation {
        Operation::Bootstrap(_) | Operation::AdvanceClock { .. } => Ok(()),
        _ if state.cluster().is_some() => Ok(()),
        _ => Err(Refusal::NotFound { kind: ResourceKind::Tenant, name: TenantName::system().to_string() }),
    }
}

fn carry_out(transaction: &mut Transaction<'_>, command: &Command) -> Result<Answer, Refusal> {
    match &command.operation {
        Operation::Bootstrap(operation) => bootstrap::bootstrap(transaction, operation),
        Operation::AdvanceClock { readings } => Ok(clock::advance(transaction, readings)),
        Operation::CreateTenant(operation) => directory::create_tenant(transaction, operation),
        Operation::CreateKeyspace(operation) => directory::create_keyspace(transaction, operation),
        Operation::CreateOwner(operation) => directory::create_owner(transaction, operation),
        Operation::CreateIdentity(operation) => directory::create_identity(transaction, operation),
        Operation::CreateKeys(operation) => create_keys::create_keys(transaction, operation),
        Operation::RevokeKey(operation) => revoke_key::revoke_key(transaction, operation),
        Operation::Cut(operation) => cut::cut(transaction, operation),
        Operation::AddRingKey(operation) => ring::add_ring_key(transaction, operation),
        Operation::DropRingKey(number) => ring::drop_ring_key(transaction, *number),
        Operation::RaiseFeatureLevel(level) => ring::raise_feature_level(transaction, *level),
        Operation::UpdateTenant(operation) => update_directory::update_tenant(transaction, operation),
        Operation::UpdateKeyspace(operation) => update_directory::update_keyspace(transaction, operation),
        Operation::UpdateOwner(operation) => update_directory::update_owner(transaction, operation),
        Operation::CreateRole(operation) => roles::create_role(transaction, operation),
        Operation::UpdateRole(operation) => roles::update_role(transaction, operation),
        Operation::UpdateIdentity(operation) => update_directory::update_identity(transaction, operation),
        Operation::Delete(operation) => delete::delete(transaction, operation),
        Operation::UpdateKey(operation) => update_key::update_key(transaction, operation),
        Operation::SuspendKey(operation) => suspend_key::suspend_key(transaction, operation),
        Operation::ResumeKey(operation) => suspend_key::resume_key(transaction, operation),
        Operation::RestrictKey(operation) => restrict_key::restrict_key(transaction, operation),
        Operation::RevokeKeys(operation) => revoke_keys::revoke_keys(transaction, operation),
        Operation::RotateKey(operation) => rotate_key::rotate_key(transaction, operation),
        Operation::PrepareStandby(operation) => rotate_key::prepare_standby(transaction, operation),
        Operation::StepRotation(operation) => step_rotation::step_rotation(transaction, operation),
        Operation::Settle => Ok(settle::settle(transaction)),
        Operation::RemoveDead(keys) => remove_dead::remove_dead(transaction, keys),
        Operation::MarkRevoked(operation) => revoke_keys::mark_revoked(transaction, operation),
        Operation::Trim(through) => trim::trim(transaction, *through),
        Operation::RecordRefusals(refusals) => access::record_refusals(transaction, refusals),
        Operation::RecordDenials(denials) => record_denials::record_denials(transaction, denials),
        Operation::RecordExplanation(explanation) => access::record_explanation(transaction, explanation),
        Operation::ImportKeys(operation) => import_keys::import_keys(transaction, operation),
        Operation::AdmitReplica(operation) => replica::admit_replica(transaction, operation),
        Operation::StepReplica(operation) => replica::step_replica(transaction, *operation),
        Operation::BeginEpoch(operation) => begin_epoch::begin_epoch(transaction, operation),
        Operation::ClaimRotations(operation) => claim_rotations::claim_rotations(transaction, *operation),
        Operation::PlanRotations(operation) => plan_rotations::plan_rotations(transaction, operation),
        Operation::PrepareRotation(operation) => prepare_rotation::prepare_rotation(transaction, operation),
        Operation::AdvanceRotation(operation) => advance_rotation::advance_rotation(transaction, operation),
        Operation::GiveNotices(operation) => plan_rotations::give_notices(transaction, operation),
        Operation::GiveExpiryNotices(operation) => expiry_notices::give_expiry_notices(transaction, operation),
        Operation::RotateRingKey(operation) => ring_rotation::rotate_ring_key(transaction, operation),
        Operation::RewrapRingKeys(keys) => ring_rotation::rewrap_ring_keys(transaction, keys),
        Operation::RedigestVersions(operation) => rekey::redigest_versions(transaction, operation),
        Operation::ResealInners(operation) => rekey::reseal_inners(transaction, operation),
        Operation::SetNodeKey { node, key } => checkpoint::set_node_key(transaction, *node, *key),
        Operation::RecordCheckpoint { checkpoint, through } => {
            checkpoint::record_checkpoint(transaction, checkpoint, *through)
        }
        Operation::BeginAuditLog(operation) => audit_log::begin_audit_log(transaction, *operation),
        Operation::RecordBackup(backup) => backups::record_backup(transaction, backup),
        Operation::RecordKeptBackups { node, folder } => backups::keep_backups(transaction, *node, folder),
    }
}

impl Applied {
    /// Of a command that is refused: nothing has changed.
    #[must_use]
    pub const fn refused(revision: Revision, refusal: Refusal) -> Self {
        Self {
            answer: Err(refusal),
            revision,
            repeated: false,
            changes: Changes::new(),
            entries: Vec::new(),
            more_to_sweep: false,
        }
    }
}

impl Command {
    /// Whether a replica, and nobody else, may ask for this.
    #[must_use]
    pub const fn is_of_replica(&self) -> bool {
        matches!(
            self.operation,
            Operation::Bootstrap(_)
                | Operation::AdvanceClock { .. }
                | Operation::AddRingKey(_)
                | Operation::DropRingKey(_)
                | Operation::RaiseFeatureLevel(_)
                | Operation::Settle
                | Operation::RemoveDead(_)
                | Operation::MarkRevoked(_)
                | Operation::BeginEpoch(_)
                | Operation::RedigestVersions(_)
                | Operation::ResealInners(_)
                | Operation::SetNodeKey { .. }
                | Operation::RecordKeptBackups { .. }
                | Operation::AdmitReplica(AdmitReplica { role: ReplicaRole::Voter, .. })
                | Operation::StepReplica(StepReplica { step: ReplicaStep::Retire, .. })
        ) || self.goes_on_rewrapping()
    }

    /// Whether it passes while room is short, on the disk or for what waits for audit: what ends something, what makes room, a backup
    /// for whoever sees that something goes wrong, and what lets another audit service take what waits.
    #[must_use]
    pub fn passes_when_room_is_short(&self) -> bool {
        // Trimming makes room, as far as there is a checkpoint.
        let makes_room = matches!(self.operation, Operation::Trim(_) | Operation::RecordCheckpoint { .. });
        let is_way_out = matches!(self.operation, Operation::RecordBackup(_) | Operation::BeginAuditLog(_));
        makes_room || is_way_out || self.operation.is_emergency() || self.is_of_replica()
    }

    /// An operator has the first keys wrapped anew, and the leader goes on in its own name.
    const fn goes_on_rewrapping(&self) -> bool {
        matches!((&self.operation, &self.actor), (Operation::RewrapRingKeys(_), Actor::Replica(_)))
    }

    /// A command of the level that it needs, not yet stamped.
    #[must_use]
    pub fn new(actor: Actor, opening: [u8; 32], operation: Operation) -> Self {
        let feature_level = operation.feature_level().max(actor.feature_level());
        let at = latchkey_domain::UnixMillis::new(0);
        Self { at, feature_level, opening, actor, request: None, operation }
    }

    /// The lowest feature level at which each replica can read it, whatever whoever made it says.
    #[must_use]
    pub fn feature_level_needed(&self) -> u32 {
        self.feature_level.max(self.operation.feature_level()).max(self.actor.feature_level())
    }
}
