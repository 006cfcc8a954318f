//! Who signs, gathers and records, once a second at most, for as long as the service runs.

use super::gather::{Gathered, gather};
use super::signer::{Fork, Signed, Signer};
use crate::archive::{Archive, ArchiveError};
use crate::follow::Halt;
use latchkey_crypto::draw;
use latchkey_domain::Slug;
use latchkey_link::{LogStanding, Registry, Vouching, answers, log_standing};
use latchkey_state::{Actor, AuditCheckpoint, Command, Operation};
use latchkey_telemetry::{OsEntropy, names};
use latchkey_transparency::note::{Algorithm, Signature, VerifierKey};
use latchkey_transparency::{Checkpoint, Hash};
use latchkey_wire::request::Consistency;
use metrics::{counter, gauge};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::Status;

/// The feature level from which on the cluster knows checkpoints.
const LEVEL: u32 = 6;
/// From one checkpoint to the next, and between two tries.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// How long a checkpoint waits for its first cosignature.
const ALONE_AFTER: Duration = Duration::from_secs(60);
/// Between two looks for replicas that did not answer when the newest checkpoint was signed.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Nothing bounds what may be trimmed.
const UNBOUNDED: u64 = u64::MAX;

/// Keeps the checkpoints of one log.
#[derive(Debug)]
pub struct Checkpoints<R> {
    registry: Arc<R>,
    archive: Archive,
    /// Absent: nothing is signed.
    signer: Option<Signer>,
    /// How many entries were stored here when this process began.
    stored_before: u64,
    /// Since when nobody vouches for the newest entries.
    alone_since: Option<Instant>,
    /// Of how many entries the recorded checkpoint is, where no key signs another; absent: none is recorded, or a key signs.
    left_at: Option<u64>,
    /// Since when there are entries that no checkpoint covers.
    uncovered_since: Option<Instant>,
    /// Why a replica refuses to vouch, where a minority does.
    refused: Option<String>,
    /// Who vouches for the checkpoint that was shown last.
    vouchers: Vouchers,
    keys: watch::Sender<Vec<VerifierKey>>,
    handovers: watch::Sender<Vec<String>>,
    signed: watch::Sender<u64>,
    signing: watch::Sender<Signing>,
    bound: watch::Sender<u64>,
}

/// How signing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// Whether there is a key to sign with.
    pub is_on: bool,
    /// Entries that the newest checkpoint covers that this process signed; 0: none yet.
    pub signed: u64,
    /// For how long entries have waited that no checkpoint covers; zero: there are none, or nothing was ever signed nor is.
    pub waits: Duration,
    /// What a replica says that does not vouch for this log, though others do.
    pub refused: Option<String>,
}

/// Who vouches for one checkpoint: who was away when it was signed may be back before the log grows again.
#[derive(Debug, Default)]
struct Vouchers {
    /// Which; absent: none was shown.
    of: Option<Checkpoint>,
    lines: Vec<Signature>,
    /// When to ask those again that did not answer; absent: all did.
    ask_at: Option<Instant>,
}

impl Vouchers {
    /// Takes what was said for a checkpoint. Whether anybody vouches for it who did not before.
    fn take(&mut self, of: &Checkpoint, gathered: &Gathered) -> bool {
        if self.of.as_ref() != Some(of) {
            *self = Self { of: Some(of.clone()), ..Self::default() };
        }
        let before = self.lines.len();
        for line in &gathered.lines {
            if !self.lines.iter().any(|known| known.name() == line.name()) {
                self.lines.push(line.clone());
            }
        }
        self.lines.sort_by(|a, b| a.name().cmp(b.name()));
        let is_whole = self.lines.len() + gathered.conflicts.len() >= gathered.members;
        self.ask_at = (!is_whole).then(|| Instant::now() + ASK_AGAIN);
        self.lines.len() > before
    }

    /// Whether somebody is to be asked again.
    fn are_due(&self) -> bool {
        self.ask_at.is_some_and(|at| Instant::now() >= at)
    }
}

/// Why a round did not end well.
enum End {
    /// It may pass.
    Again(Status),
    /// For good.
    Fork(Fork),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Again(status)
    }
}

impl From<Fork> for End {
    fn from(fork: Fork) -> Self {
        Self::Fork(fork)
    }
}

impl From<ArchiveError> for End {
    fn from(error: ArchiveError) -> Self {
        if error.may_pass() {
            return Self::Again(Status::unavailable(error.to_string()));
        }
        Self::Fork(Fork { what: error.to_string() })
    }
}

impl<R: Registry + Vouching> Checkpoints<R> {
    /// Over what is published in this archive, of a log that had `stored_before` entries when this process began.
    #[must_use]
    pub fn new(registry: Arc<R>, archive: Archive, signer: Option<Signer>, stored_before: u64) -> Self {
        let (keys, signed, bound) = (watch::Sender::default(), watch::Sender::default(), watch::Sender::default());
        counter!(names::AUDIT_FORKS_TOTAL).increment(0);
        let signing = watch::Sender::new(Signing { is_on: signer.is_some(), ..Signing::default() });
        Self {
            registry,
            archive,
            signer,
            stored_before,
            alone_since: None,
            left_at: None,
            uncovered_since: None,
            refused: None,
            vouchers: Vouchers::default(),
            keys,
            handovers: watch::Sender::default(),
            signed,
            signing,
            bound,
        }
    }

    /// The keys that verify checkpoints: audit's first, then each replica's.
    #[must_use]
    pub fn keys(&self) -> watch::Receiver<Vec<VerifierKey>> {
        self.keys.subscribe()
    }

    /// The notes by which older keys handed the log over to the one that signs now.
    #[must_use]
    pub fn handovers(&self) -> watch::Receiver<Vec<String>> {
        self.handovers.subscribe()
    }

    /// Tells of how many entries the newest checkpoint is that was shown.
    #[must_use]
    pub fn signed(&self) -> watch::Receiver<u64> {
        self.signed.subscribe()
    }

    /// Tells how signing does.
    #[must_use]
    pub fn signing(&self) -> watch::Receiver<Signing> {
        self.signing.subscribe()
    }

    /// Tells up to where the cluster may forget entries, as far as checkpoints go: below the newest that was recorded.
    #[must_use]
    pub fn bound(&self) -> watch::Receiver<u64> {
        self.bound.subscribe()
    }

    /// Signs for as long as it may.
    ///
    /// # Errors
    /// [`Halt::Fork`]: the log here does not go on from what was signed or recorded, or the replicas have another.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<(), Halt> {
        match &self.signer {
            Some(signer) => {
                tracing::info!(public_key = %hex(signer.public()), "checkpoints of the audit log are signed");
            }
            None => tracing::warn!(
                "checkpoint_key_file names no file: nobody vouches for the audit log, and nothing can be proved of it"
            ),
        }
        loop {
            match self.round().await {
                Ok(()) => {}
                Err(End::Again(status)) => {
                    tracing::debug!(code = ?status.code(), message = status.message(), "the log waits for a checkpoint");
                }
                Err(End::Fork(Fork { what })) => {
                    counter!(names::AUDIT_FORKS_TOTAL).increment(1);
                    tracing::error!(
                        what,
                        "no checkpoint is signed: keep the log, its archive and the replicas as evidence"
                    );
                    return Err(Halt::Fork { what });
                }
            }
            self.measure();
            if timeout(INTERVAL, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
                return Ok(());
            }
        }
    }

    async fn round(&mut self) -> Result<(), End> {
        let by = Instant::now() + CALL_MAX;
        let standing = log_standing(self.registry.as_ref(), Consistency::default(), by).await?;
        self.show_keys(&standing);
        let Some(signer) = &self.signer else {
            self.leave_unsigned(&standing);
            return Ok(());
        };
        if standing.feature_level < LEVEL {
            self.bound.send_replace(UNBOUNDED);
            return Ok(());
        }
        let tree = self.archive.frontier();
        let here = Checkpoint { origin: standing.origin.clone(), size: tree.size(), root: tree.root() };
        let recorded = standing.checkpoint;
        if recorded.is_none() && here.size < self.stored_before {
            // Of a log from before there was an archive the replicas have forgotten most, and can vouch for none of it before
            // all is published. That may take an hour, for which no write may wait.
            self.bound.send_replace(UNBOUNDED);
            return Ok(());
        }
        self.bound.send_replace(recorded.map_or(0, |recorded| recorded.size));
        // What has more than the replica says is ahead of it, or of a log that ended: whoever follows finds out which.
        let is_done = self.is_done(&here, recorded.as_ref());
        if here.size == 0 || here.size > standing.size || (is_done && !self.vouchers.are_due()) {
            return Ok(());
        }
        let at_last =
            self.root_at(signer.last().filter(|last| last.origin == here.origin).map(|last| last.size)).await?;
        let at_recorded = self.root_at(recorded.map(|recorded| recorded.size)).await?;
        let signer = self.signer.as_mut().expect("a signer does not leave");
        let (public, signed) = (signer.public(), signer.sign(&here, recorded.as_ref(), (at_last, at_recorded))?);
        let mut note = match signed {
            Signed::Note(note) => note,
            Signed::Behind => return Ok(()),
            Signed::NotNow(error) => return Err(Status::unavailable(error.to_string()).into()),
        };
        let gathered = gather(&self.registry, &standing.cosigners, public, &note).await?;
        if gathered.is_refused() && self.has_moved(&standing).await? {
            return Ok(());
        }
        if !self.is_vouched_for(&gathered)? {
            return Ok(());
        }
        if !self.vouchers.take(&here, &gathered) && is_done {
            return Ok(());
        }
        self.vouchers.lines.iter().for_each(|line| note.add(line.clone()));
        self.archive.write_checkpoint(here.size, &note.to_string()).await?;
        gauge!(names::AUDIT_COSIGNERS).set(self.vouchers.lines.len() as f64);
        if is_done {
            return Ok(());
        }
        self.record(AuditCheckpoint { size: here.size, root: here.root, key: public }).await?;
        self.uncovered_since = None;
        self.show_keys(&standing);
        self.signed.send_replace(here.size);
        self.bound.send_replace(here.size);
        Ok(())
    }

    /// Without a key nothing is signed, and the cluster forgets nothing beyond what was signed before: asked for more, it would
    /// refuse all of it.
    fn leave_unsigned(&mut self, standing: &LogStanding) {
        let left_at = standing.checkpoint.map(|recorded| recorded.size).filter(|_| standing.feature_level >= LEVEL);
        if let Some(size) = left_at.filter(|_| self.left_at.is_none()) {
            tracing::error!(
                size,
                "the cluster forgets nothing beyond its newest checkpoint, and there is no key to sign another: name one in \
                 checkpoint_key_file, or writes are refused when entries have waited for an hour"
            );
        }
        self.left_at = left_at;
        self.bound.send_replace(left_at.unwrap_or(UNBOUNDED));
    }

    /// Whether the cluster goes on from elsewhere than when this was asked for: another audit service has recorded more, or an
    /// epoch began. Then a refusal says no more than that this came too late.
    async fn has_moved(&self, standing: &LogStanding) -> Result<bool, Status> {
        let by = Instant::now() + CALL_MAX;
        let now = log_standing(self.registry.as_ref(), Consistency::FullyConsistent, by).await?;
        Ok((now.checkpoint, &now.origin) != (standing.checkpoint, &standing.origin))
    }

    /// Whether this was signed, shown and recorded: then there is nothing to do before the log grows.
    fn is_done(&self, here: &Checkpoint, recorded: Option<&AuditCheckpoint>) -> bool {
        let Some(signer) = &self.signer else { return true };
        let of_ours = recorded.is_some_and(|recorded| recorded.size == here.size && recorded.key == signer.public());
        of_ours && *self.signed.borrow() == here.size && signer.last() == Some(here)
    }

    /// The root of what is durable here at that size; `None` where there is less.
    async fn root_at(&self, size: Option<u64>) -> Result<Option<Hash>, End> {
        match size.filter(|size| *size <= self.archive.size()) {
            Some(size) => Ok(Some(self.archive.frontier_at(size).await?.root())),
            None => Ok(None),
        }
    }

    /// Whether the checkpoint may be shown: somebody vouches for it, or nobody could be asked for too long.
    fn is_vouched_for(&mut self, gathered: &Gathered) -> Result<bool, Fork> {
        if gathered.is_refused() {
            let (node, said) = &gathered.conflicts[0];
            let (refuse, vouch) = (gathered.conflicts.len(), gathered.lines.len());
            let what = format!(
                "{refuse} replicas have another log than this one, and {vouch} have this one; replica {node}: {said}"
            );
            return Err(Fork { what });
        }
        self.refused = gathered.conflicts.first().map(|(node, said)| format!("replica {node}: {said}"));
        if self.refused.is_some() {
            counter!(names::AUDIT_FORKS_TOTAL).increment(1);
        }
        if !gathered.lines.is_empty() {
            self.alone_since = None;
            return Ok(true);
        }
        // The minute is waited for once, and not with each checkpoint anew: what may be trimmed follows them.
        let since = *self.alone_since.get_or_insert_with(Instant::now);
        let alone = since.elapsed() >= ALONE_AFTER;
        if alone {
            tracing::warn!(
                members = gathered.members,
                "no replica vouches for the newest checkpoint: it is shown without"
            );
        }
        Ok(alone)
    }

    async fn record(&self, checkpoint: AuditCheckpoint) -> Result<(), Status> {
        let actor = Actor::Service(Slug::parse("audit").expect("the word of this service is well-formed"));
        let operation = Operation::RecordCheckpoint { checkpoint, through: None };
        let command = Command::new(actor, draw(&mut OsEntropy), operation);
        let proposed = self.registry.propose(&command, Instant::now() + CALL_MAX).await?;
        // A refusal is judged by what is recorded, which the next round compares with the tree that is here.
        answers::told(proposed).map(|_| ())
    }

    fn show_keys(&self, standing: &LogStanding) {
        // Until the new key has signed, the newest checkpoint is of the old one.
        let signs = self.signer.as_ref();
        let own = signs.map(|signer| signer.signed_by(&standing.origin).unwrap_or_else(|| signer.public()));
        set(&self.keys, verifier_keys(standing, own));
        let handovers = signs.into_iter().flat_map(|signer| signer.handovers(&standing.origin));
        set(&self.handovers, handovers.map(ToString::to_string).collect());
    }

    fn measure(&mut self) {
        let (signed, size) = (*self.signed.borrow(), self.archive.size());
        let covered = if self.signer.is_some() { signed } else { self.left_at.unwrap_or(size) };
        if covered >= size {
            self.uncovered_since = None;
        } else {
            self.uncovered_since.get_or_insert_with(Instant::now);
        }
        let is_on = self.signer.is_some();
        let waits = self.uncovered_since.map_or(Duration::ZERO, |since| since.elapsed());
        gauge!(names::AUDIT_CHECKPOINT_ENTRIES).set(signed as f64);
        gauge!(names::AUDIT_CHECKPOINT_AGE_SECONDS).set(waits.as_secs_f64());
        self.signing.send_replace(Signing { is_on, signed, waits, refused: self.refused.clone() });
    }
}

/// The keys that verify checkpoints: that of audit first, ours where we have one, then that of each replica that ever told one.
#[must_use]
pub fn verifier_keys(standing: &LogStanding, own: Option<[u8; 32]>) -> Vec<VerifierKey> {
    let recorded = standing.checkpoint.map(|recorded| recorded.key);
    let log = own.or(recorded).and_then(|key| VerifierKey::new(&standing.origin, Algorithm::Ed25519, &key).ok());
    let replicas = standing
        .cosigners
        .iter()
        .filter_map(|cosigner| VerifierKey::new(&cosigner.name, Algorithm::CosignatureV1, &cosigner.key).ok());
    log.into_iter().chain(replicas).collect()
}

fn set<T: PartialEq>(shown: &watch::Sender<T>, now: T) {
    shown.send_if_modified(|known| {
        let changes = *known != now;
        if changes {
            *known = now;
        }
        changes
    });
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
