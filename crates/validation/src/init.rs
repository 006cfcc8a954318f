//! Making the data folder of a replica, once.

use crate::start::{StartError, open_store};
use latchkey_config::{MemberSettings, ValidationSettings};
use latchkey_domain::{ClusterId, DurationMillis, NodeId};
use latchkey_kms::{FileKms, InsideError, KekFileError, refuse_inside};
use latchkey_registry::{Member, NewCluster, init_cluster, init_replica_in, is_made};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::{ClusterSecret, ClusterSecretError};
use std::path::{Path, PathBuf};

/// What the replica is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It founds a cluster. The text of the first key of `root` is written to this new file. A KEK file or a file with
    /// the cluster's secret that is not there yet is made; every other replica needs a copy of both.
    Found {
        /// Where the key text goes. Mode 0600, outside the data folder.
        bootstrap_file: PathBuf,
    },
    /// It joins a cluster that was founded.
    Join {
        /// Which.
        cluster: ClusterId,
        /// Its epoch: 1, unless it was restored or recovered since.
        epoch: u64,
    },
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The settings name no members, so nobody could found the cluster.
    #[error("members is empty: name the replicas that the cluster begins with")]
    NoMembers,
    /// The KEK.
    #[error("the key-encryption key cannot be had")]
    Kek(#[from] KekFileError),
    /// The KEK file lies where every copy of the data would carry it.
    #[error("the key-encryption key must lie outside the data folder")]
    Inside(#[from] InsideError),
    /// The cluster's secret.
    #[error("the secret of the cluster cannot be had")]
    Secret(#[from] ClusterSecretError),
    /// The folder.
    #[error("the data folder cannot be made")]
    Folder(#[from] latchkey_registry::InitError),
}

/// Makes the data folder. Returns the id of the cluster, which the other replicas are initialised with.
///
/// # Errors
/// [`InitError`]. A folder that is half made counts as not made.
pub async fn init(settings: &ValidationSettings, purpose: &Purpose) -> Result<ClusterId, InitError> {
    let (folder, node) = (settings.node.data_folder.as_path(), NodeId(settings.node.id));
    match purpose {
        Purpose::Join { cluster, epoch } => {
            init_replica_in(folder, node, *cluster, *epoch)?;
            Ok(*cluster)
        }
        Purpose::Found { bootstrap_file } => {
            if settings.members.is_empty() {
                return Err(InitError::NoMembers);
            }
            let kms = keks(settings, folder)?;
            if let Some(file) = settings.cluster_secret_file.as_deref().filter(|_| !settings.tls.is_on()) {
                secret(file)?;
            }
            let staleness = DurationMillis::new(settings.raft.staleness_floor_ms);
            let members = settings.members.iter().map(|member| (NodeId(member.id), member_of(member))).collect();
            let (staleness_floor, staleness_default) = (staleness, staleness);
            let new = NewCluster { members, staleness_floor, staleness_default, bootstrap_file };
            Ok(init_cluster(folder, node, &kms, new).await?)
        }
    }
}

/// The cluster whose replica the data folder is made for already; `None` where it is not made.
///
/// # Errors
/// It is made for another node.
pub async fn made(settings: &ValidationSettings) -> Result<Option<ClusterId>, StartError> {
    if !is_made(&settings.node.data_folder) {
        return Ok(None);
    }
    let store = open_store(settings).await?;
    Ok(Some(ClusterId(store.facts().cluster_id)))
}

/// The first one wraps the keys of the new cluster; a cluster that begins has none before it.
fn keks(settings: &ValidationSettings, data_folder: &Path) -> Result<FileKms, InitError> {
    let (path, previous) = (&settings.kek_file, &settings.kek_files_previous);
    for file in std::iter::once(path).chain(previous) {
        refuse_inside(data_folder, file)?;
    }
    Ok(if path.exists() { FileKms::open_with(path, previous)? } else { FileKms::generate(path)? })
}

fn secret(path: &Path) -> Result<(), ClusterSecretError> {
    if !path.exists() {
        ClusterSecret::generate(path, &mut OsEntropy)?;
    }
    Ok(())
}

pub(crate) fn member_of(member: &MemberSettings) -> Member {
    Member {
        region: member.region.to_string(),
        raft_address: member.raft_address.to_string(),
        address: member.api_address.to_string(),
    }
}
