//! The one way into the state, by row.

use super::State;
use crate::hash::StateHash;
use crate::index::Way;
use crate::key::Key;
use crate::packed::Packed;
use crate::records::{Progress, RememberedRequest};
use crate::row::{Row, RowId};
use crate::{REPLAY_WINDOW, REQUEST_MEMORY};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{IdentityNumber, UnixMillis, VersionId};

/// When a remembered request next needs attention: its replay goes first, then the whole.
fn request_end(request: &RememberedRequest) -> (UnixMillis, IdentityNumber, [u8; 16]) {
    let span = if request.replay.is_some() { REPLAY_WINDOW } else { REQUEST_MEMORY };
    (request.at.plus(span), request.identity, request.id)
}

impl State {
    /// Puts a row, replacing the one that was there.
    pub fn install(&mut self, row: Row) {
        let row = match row {
            Row::Key(key) => return self.install_key(key),
            row => row,
        };
        self.remove(row.id());
        // Progress that says nothing is the absence of the row, as in an empty state.
        if matches!(&row, Row::Progress(progress) if *progress == Progress::default()) {
            return;
        }
        self.hash = self.hash.plus(&row);
        self.note(&row, Way::In);
        match row {
            Row::Progress(row) => self.progress = row,
            Row::Cluster(row) => self.cluster = Some(row),
            Row::RingKey(row) => {
                self.ring.insert(row.number, row);
            }
            Row::Tenant(row) => self.tenants.insert(row),
            Row::Keyspace(row) => {
                self.prefixes.insert(row.settings.prefix.clone(), row.number);
                self.keyspaces.insert(row);
            }
            Row::Owner(row) => self.owners.insert(row),
            Row::Identity(row) => self.identities.insert(row),
            Row::Key(row) => self.install_key(row),
            Row::Request(row) => {
                self.request_ends.insert(request_end(&row), ());
                self.requests.insert((row.identity, row.id), row);
            }
            Row::Role(row) => self.roles.insert(row),
            Row::Rotation(row) => {
                self.rotations.insert((row.keyspace, row.key, row.id), row);
            }
            Row::Replica(row) => {
                self.replicas.insert(row.node, row);
            }
            Row::RotationClaim(row) => self.rotation_claim = Some(row),
        }
    }

    /// A key that is already there keeps its places where it is found by the same words.
    fn install_key(&mut self, key: Arc<Key>) {
        let old = self.keys.insert((key.keyspace, key.id), key.clone());
        self.index.key(old.as_deref(), Some(&key));
        if let Some(old) = old {
            for version in old.versions.iter().filter(|version| key.version(version.id).is_none()) {
                self.versions.remove(&version.id);
            }
            self.hash = self.hash.minus(&Row::Key(old));
        }
        for version in &key.versions {
            self.versions.insert(version.id, key.clone());
        }
        self.hash = self.hash.plus(&Row::Key(key));
    }

    /// Puts the keys of a load, of which none is there yet: in ascending order of their numbers, none twice, and with
    /// `hash` over them.
    ///
    /// # Errors
    /// A version that two of them claim.
    pub(crate) fn install_all(&mut self, keys: &[Arc<Key>], hash: StateHash) -> Result<(), VersionId> {
        let mut versions: Vec<_> =
            keys.iter().flat_map(|key| key.versions.iter().map(move |version| (version.id, key))).collect();
        versions.sort_unstable_by_key(|(id, _)| *id);
        // A row at rest that names a version twice, as a golden file does, still loads: it claims it once.
        versions.dedup_by(|(one, of_one), (other, of_other)| one == other && Arc::ptr_eq(of_one, of_other));
        if let Some([(id, _), _]) = versions.array_windows().find(|[(one, _), (next, _)]| one == next) {
            return Err(*id);
        }
        self.versions = Packed::from_sorted(versions.into_iter().map(|(id, key)| (id, key.clone())));
        self.keys = Packed::from_sorted(keys.iter().map(|key| ((key.keyspace, key.id), key.clone())));
        self.index.all_keys(keys);
        self.hash = self.hash.and(hash);
        Ok(())
    }

    /// Takes a row away; nothing where there is none.
    pub fn remove(&mut self, id: RowId) {
        let Some(old) = self.row(id) else { return };
        self.hash = self.hash.minus(&old);
        self.note(&old, Way::Out);
        match old {
            Row::Progress(_) => self.progress = Progress::default(),
            Row::Cluster(_) => self.cluster = None,
            Row::RingKey(row) => {
                self.ring.remove(&row.number);
            }
            Row::Tenant(row) => self.tenants.remove(row.number),
            Row::Keyspace(row) => {
                self.prefixes.remove(&row.settings.prefix);
                self.keyspaces.remove(row.number);
            }
            Row::Owner(row) => self.owners.remove(row.number),
            Row::Identity(row) => self.identities.remove(row.number),
            Row::Key(row) => {
                for version in &row.versions {
                    self.versions.remove(&version.id);
                }
                self.keys.remove(&(row.keyspace, row.id));
            }
            Row::Request(row) => {
                self.request_ends.remove(&request_end(&row));
                self.requests.remove(&(row.identity, row.id));
            }
            Row::Role(row) => self.roles.remove(row.number),
            Row::Rotation(row) => {
                self.rotations.remove(&(row.keyspace, row.key, row.id));
            }
            Row::Replica(row) => {
                self.replicas.remove(&row.node);
            }
            Row::RotationClaim(_) => self.rotation_claim = None,
        }
    }

    /// Keeps what is derived from a row that comes or goes.
    fn note(&mut self, row: &Row, way: Way) {
        match row {
            Row::Progress(_) | Row::Cluster(_) | Row::Request(_) | Row::Replica(_) | Row::RotationClaim(_) => {}
            Row::RingKey(row) => self.index.ring_key(row, way),
            Row::Tenant(row) => self.index.tenant(row, way),
            Row::Keyspace(row) => self.index.keyspace(row, way),
            Row::Owner(row) => self.index.owner(row, way),
            Row::Identity(row) => self.index.grants(row.number, &row.grants, way),
            Row::Key(row) => match way {
                Way::In => self.index.key(None, Some(row)),
                Way::Out => self.index.key(Some(row), None),
            },
            Row::Role(row) => self.index.role(row, way),
            Row::Rotation(row) => self.index.rotation(row, way),
        }
    }
}
