//! Going on from a backup or from this replica alone, by the settings of the replica that is to go on.

use crate::init::member_of;
use latchkey_audit::archive::Place;
use latchkey_audit::{Before, Later, LaterError, Told, later};
use latchkey_config::ValidationSettings;
use latchkey_domain::{
    KeyName, KeyspaceName, NodeId, OwnerName, ReasonText, RevocationReason, RingNumber, RoleName, RotationName,
    TenantName, UnixMillis, VersionName,
};
use latchkey_kms::{FileKms, InsideError, KekFileError, refuse_inside};
use latchkey_registry::{After, GoneOn, Member, NewEpoch, Remains, RestoreError as GoOnError};
use latchkey_state::{Cut, CutScope, Delete, DirectoryName, Operation, RevokeKey, SuspendKey};
use latchkey_telemetry::SystemClock;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a cluster is restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The backup.
    pub backup: PathBuf,
    /// The data folder of the audit service, or a copy of it; absent: what was revoked after the backup comes back.
    pub audit_folder: Option<PathBuf>,
    /// Suspends every key that changed after the backup, also where that took nothing away.
    pub suspend_changed: bool,
    /// The new epoch; absent: the one after the last that is known of.
    pub epoch: Option<u64>,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The KEK.
    #[error("the key-encryption key cannot be had")]
    Kek(#[from] KekFileError),
    /// The KEK file lies where every copy of the data would carry it.
    #[error("the key-encryption key must lie outside the data folder")]
    Inside(#[from] InsideError),
    /// The audit log.
    #[error("the audit log cannot tell what was taken away since")]
    Audit(#[from] LaterError),
    /// Nobody could dial where it listens.
    #[error(
        "this replica listens on {listen}, where nobody can dial it; name it in members, with the addresses that others reach it by"
    )]
    NoAddress {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// The rest.
    #[error(transparent)]
    GoOn(#[from] GoOnError),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Where the cluster went on from, and where it stands.
    pub gone_on: GoneOn,
    /// How many entries there were after that of each action, as the audit log tells; absent: nobody asked it.
    pub later: Option<BTreeMap<String, u64>>,
    /// Entries that could not be opened: of tenants that came after the backup.
    pub sealed: u64,
}

/// Makes the data folder anew from a backup, in a new epoch, with this replica as the only one.
///
/// # Errors
/// [`RestoreError`]. The folder does not start then, and this can be done again.
pub async fn restore(settings: &ValidationSettings, options: &RestoreOptions) -> Result<Restored, RestoreError> {
    let kms = kek(settings)?;
    let remains = Remains::of_backup(&options.backup, kms).await?;
    go_on(settings, remains, options).await
}

/// Makes a cluster of one of this replica's folder, in a new epoch. Every record that was appended here counts.
///
/// # Errors
/// [`RestoreError`]. The folder is as it was then, or does not start, and this can be done again.
pub async fn recover(
    settings: &ValidationSettings,
    audit_folder: Option<PathBuf>,
    epoch: Option<u64>,
) -> Result<Restored, RestoreError> {
    let kms = kek(settings)?;
    let remains = Remains::of_survivor(&settings.node.data_folder, kms, Arc::new(SystemClock)).await?;
    let options = RestoreOptions { backup: PathBuf::new(), audit_folder, suspend_changed: false, epoch };
    go_on(settings, remains, &options).await
}

fn kek(settings: &ValidationSettings) -> Result<Arc<FileKms>, RestoreError> {
    for file in std::iter::once(&settings.kek_file).chain(&settings.kek_files_previous) {
        refuse_inside(&settings.node.data_folder, file)?;
    }
    // What lies in a backup is wrapped under the key of then.
    Ok(Arc::new(FileKms::open_with(&settings.kek_file, &settings.kek_files_previous)?))
}

async fn go_on(
    settings: &ValidationSettings,
    remains: Remains,
    options: &RestoreOptions,
) -> Result<Restored, RestoreError> {
    let member = own_member(settings)?;
    let later = match &options.audit_folder {
        Some(folder) => Some(read_later(&remains, folder.clone()).await?),
        None => None,
    };
    let (counts, sealed) = later.as_ref().map_or((None, 0), |later| (Some(later.counts.clone()), later.sealed));
    let after = later.map(|later| After {
        epoch: later.epoch,
        at: later.at,
        taken_away: taken_away(&later.kept, later.at, options.suspend_changed),
        tree: later.tree,
    });
    let node = NodeId(settings.node.id);
    let new = NewEpoch { epoch: options.epoch, node, member, after };
    let gone_on = remains.go_on(&settings.node.data_folder, new).await?;
    Ok(Restored { gone_on, later: counts, sealed })
}

/// How this replica is reached: as the first members say, or where it listens.
fn own_member(settings: &ValidationSettings) -> Result<Member, RestoreError> {
    if let Some(own) = settings.members.iter().find(|member| member.id == settings.node.id) {
        return Ok(member_of(own));
    }
    let listeners = [settings.listen, settings.raft.listen];
    if let Some(listen) = listeners.into_iter().find(|listen| listen.ip().is_unspecified()) {
        return Err(RestoreError::NoAddress { listen });
    }
    Ok(Member {
        region: settings.node.region.to_string(),
        raft_address: settings.raft.listen.to_string(),
        address: settings.listen.to_string(),
    })
}

/// Reads the audit log beyond what is left. Each key of the keyring that its entries name is asked for before.
async fn read_later(remains: &Remains, folder: PathBuf) -> Result<Later, RestoreError> {
    let mut keys = HashMap::new();
    let audit_keys: Vec<RingNumber> = remains.state().tenants().iter().map(|tenant| tenant.audit_key).collect();
    for number in audit_keys {
        keys.extend(remains.key(number).await?.map(|key| (number, key)));
    }
    let (cluster, progress) = (remains.cluster(), remains.state().progress());
    let before = Before { tree: progress.frontier.clone(), had: progress.trimmed.map_or(0, |trimmed| trimmed.next.0) };
    let place = Place::of("", &folder);
    let key = |number| keys.get(&number).cloned();
    Ok(later(&folder, &place, cluster, &before, key, takes_away).await?)
}

/// What may take something away from a key, or change which secret is accepted, and what destroyed the data of a tenant.
fn takes_away(told: &Told) -> bool {
    const ACTIONS: [&str; 9] = [
        "key.revoked",
        "key.removed",
        "version.revoked",
        "scope.revoked",
        "key.suspended",
        "key.restricted",
        "key.resumed",
        "key.updated",
        "key.restriction_ended",
    ];
    ACTIONS.contains(&told.action.as_str()) || told.action.starts_with("rotation.") || told.destroyed_tenant().is_some()
}

/// What is to be taken away again, in order. What was suspended and resumed since is left alone; a key that got another
/// secret is suspended, since neither the new one is known nor is the old one what it was.
fn taken_away(told: &[Told], at: UnixMillis, suspend_changed: bool) -> Vec<Operation> {
    let (mut operations, mut suspended, mut seen) = (Vec::new(), Vec::<(KeyName, String)>::new(), HashSet::new());
    for one in told {
        match one.action.as_str() {
            // What was removed was dead, of whatever: its end may have been moved, or its parent gone.
            "key.revoked" | "version.revoked" | "key.removed" => operations.extend(revocation(one, at)),
            "scope.revoked" => operations.extend(cut(one)),
            "tenant.deleted" | "tenant.data_destroyed" => operations.extend(destruction(one)),
            "key.resumed" => suspended
                .retain(|(key, action)| action.starts_with("rotation.") || Some(key) != key_of(&one.subject).as_ref()),
            "key.updated" | "key.restriction_ended" if !suspend_changed => {}
            action => suspended.extend(key_of(&one.subject).map(|key| (key, action.to_owned()))),
        }
    }
    let suspensions = suspended.into_iter().filter(|(key, _)| seen.insert(key.clone())).map(|(key, action)| {
        let text = ReasonText::parse(&format!("{action} after the backup that the cluster went on from"));
        Operation::SuspendKey(SuspendKey { key, text: text.unwrap_or_default(), etag: None })
    });
    operations.extend(suspensions);
    operations
}

fn revocation(told: &Told, now: UnixMillis) -> Option<Operation> {
    let (key, version) = match VersionName::parse(&told.subject) {
        Ok(name) => (name.key, Some(name.version)),
        Err(_) => (KeyName::parse(&told.subject).ok()?, None),
    };
    let effective = told.facts.iter().find(|(name, _)| name == "effective_at_ms");
    let effective = effective.and_then(|(_, value)| value.parse().ok()).map_or(told.at, UnixMillis::new);
    let (reason, text) = reason(told);
    Some(Operation::RevokeKey(RevokeKey { key, version, reason, text, grace: effective.since(now), etag: None }))
}

fn cut(told: &Told) -> Option<Operation> {
    let name = told.subject.as_str();
    let scope = (KeyspaceName::parse(name).map(CutScope::Keyspace).ok())
        .or_else(|| OwnerName::parse(name).map(CutScope::Owner).ok())
        .or_else(|| RoleName::parse(name).map(CutScope::Role).ok())
        .or_else(|| TenantName::parse(name).map(CutScope::Tenant).ok())?;
    let (reason, text) = reason(told);
    Some(Operation::Cut(Cut { scope, reason, text }))
}

/// The backup has the keys of what was destroyed, and what audit keeps of it would be readable again.
fn destruction(told: &Told) -> Option<Operation> {
    let (number, name) = (told.destroyed_tenant(), TenantName::parse(&told.subject).ok()?);
    let name = DirectoryName::Tenant(name);
    number.map(|_| Operation::Delete(Delete { name, etag: None, destroy: true, number }))
}

fn reason(told: &Told) -> (RevocationReason, ReasonText) {
    let said = told.reason.as_ref();
    let word = said.and_then(|(word, _)| RevocationReason::ALL.into_iter().find(|reason| reason.as_str() == word));
    let text = said.and_then(|(_, text)| ReasonText::parse(text).ok());
    (word.unwrap_or(RevocationReason::Other), text.unwrap_or_default())
}

/// The key that an entry is about: itself, or one of its rotations.
fn key_of(subject: &str) -> Option<KeyName> {
    KeyName::parse(subject).ok().or_else(|| RotationName::parse(subject).ok().map(|rotation| rotation.key))
}

/// Proves a backup by these key-encryption keys, in any order: one of them is that of when it was made.
///
/// # Errors
/// What is wrong with one of them.
pub async fn verify_backup(
    path: &Path,
    kek_files: &[PathBuf],
) -> Result<latchkey_registry::BackupHeader, Box<dyn std::error::Error + Send + Sync>> {
    let (first, others) = kek_files.split_first().ok_or("expected the file with the key-encryption key")?;
    let kms = Arc::new(FileKms::open_with(first, others)?);
    Ok(latchkey_registry::BackupFile::open(path)?.verify(kms).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_audit::Actor;
    use latchkey_domain::DurationMillis;

    const KEY: &str = "tenants/acme/keyspaces/live/keys/";

    /// An entry about a key, by the last digit of its id.
    fn told(action: &str, key: u8, rest: &str) -> Told {
        Told {
            at: UnixMillis::new(1_000),
            actor: Actor::Service("test".to_owned()),
            action: action.to_owned(),
            subject: format!("{KEY}{}{rest}", name(key)),
            tenant: None,
            reason: Some(("COMPROMISED".to_owned(), "leaked".to_owned())),
            request: None,
            facts: vec![("effective_at_ms".to_owned(), "5000".to_owned())],
        }
    }

    fn name(key: u8) -> String {
        latchkey_domain::KeyId::from_bytes([key; 12]).expect("an id").to_string()
    }

    fn words(told: &[Told], suspend_changed: bool) -> Vec<String> {
        let last = |name: &KeyName| name.key.to_string();
        let word = |operation: &Operation| match operation {
            Operation::RevokeKey(revoke) => format!("revoke {} {}", last(&revoke.key), revoke.grace.millis()),
            Operation::Cut(cut) => format!("cut {:?}", cut.scope),
            Operation::SuspendKey(suspend) => format!("suspend {}", last(&suspend.key)),
            other => format!("{other:?}"),
        };
        taken_away(told, UnixMillis::new(2_000), suspend_changed).iter().map(word).collect()
    }

    #[test]
    fn a_revocation_keeps_its_reason_and_what_is_left_of_its_grace() {
        let operations = taken_away(&[told("key.revoked", 1, "")], UnixMillis::new(2_000), false);
        let [Operation::RevokeKey(revoke)] = &operations[..] else { panic!("{operations:?}") };
        assert_eq!((revoke.reason, revoke.text.as_str()), (RevocationReason::Compromised, "leaked"));
        assert_eq!((revoke.grace, revoke.version), (DurationMillis::new(3_000), None));
        let passed = taken_away(&[told("key.revoked", 1, "")], UnixMillis::new(9_000), false);
        assert!(matches!(&passed[..], [Operation::RevokeKey(revoke)] if revoke.grace == DurationMillis::ZERO));
    }

    #[test]
    fn what_was_resumed_is_left_alone_unless_it_has_another_secret() {
        let rotation = "/rotations/0000000000000000";
        let entries = [
            told("key.suspended", 1, ""),
            told("key.suspended", 2, ""),
            told("rotation.started", 3, rotation),
            told("key.resumed", 2, ""),
            told("key.resumed", 3, ""),
            told("rotation.completed", 3, rotation),
            told("key.updated", 4, ""),
        ];
        let suspend = |key| format!("suspend {}", name(key));
        assert_eq!(words(&entries, false), [suspend(1), suspend(3)]);
        assert_eq!(words(&entries, true), [suspend(1), suspend(3), suspend(4)]);
    }

    #[test]
    fn a_key_that_died_without_a_revocation_and_was_removed_does_not_come_back() {
        // Its end was moved, it passed, and its retention ended: nobody ever revoked it.
        let removed = Told { reason: None, facts: Vec::new(), ..told("key.removed", 1, "") };
        let entries = [told("key.updated", 1, ""), removed];
        assert!(entries.iter().all(takes_away));
        assert_eq!(words(&entries, false), [format!("revoke {} 0", name(1))]);
    }

    #[test]
    fn data_that_was_destroyed_is_destroyed_again_and_a_tenant_that_only_went_is_left_alone() {
        let of = |action: &str, facts: &[(&str, &str)]| Told {
            subject: "tenants/acme".to_owned(),
            facts: facts.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect(),
            ..told(action, 1, "")
        };
        let entries = [
            of("tenant.deleted", &[("destroyed", "7")]),
            of("tenant.data_destroyed", &[("destroyed", "9")]),
            of("tenant.deleted", &[]),
        ];
        assert_eq!(entries.each_ref().map(takes_away), [true, true, false]);
        let operations = taken_away(&entries, UnixMillis::new(2_000), false);
        let numbers = operations.iter().map(|operation| match operation {
            Operation::Delete(delete) if delete.destroy => delete.number.map(|number| number.0),
            other => panic!("{other:?}"),
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [Some(7), Some(9)]);
    }

    #[test]
    fn a_scope_is_cut_again_as_a_whole() {
        let of = |subject: &str| Told { subject: subject.to_owned(), ..told("scope.revoked", 1, "") };
        for scope in ["tenants/acme", "tenants/acme/keyspaces/live", "tenants/acme/owners/shop", "tenants/acme/roles/r"]
        {
            let operations = taken_away(&[of(scope)], UnixMillis::new(2_000), false);
            assert!(matches!(&operations[..], [Operation::Cut(_)]), "{scope}: {operations:?}");
        }
        assert!(taken_away(&[of("what no build knows")], UnixMillis::new(2_000), false).is_empty());
    }
}
