//! Making the folder of a replica, and, on the first one, what founds the cluster.
//!
//! The founding file holds the first members and the first command: wrapped keys, one digest, sealed like any command
//! of the log. The one plaintext secret, the text of the first key of `root`, goes to the bootstrap file alone.

use crate::sealing::Sealer;
use crate::types::{IntroducedKey, LogId, Member};
use crate::words::{WordError, decode, record_from_pb, record_to_pb};
use latchkey_crypto::{KeyText, draw};
use latchkey_domain::{ClusterId, DurationMillis, NodeId};
use latchkey_kms::{InsideError, Kms, KmsError, OsEntropy, refuse_inside};
use latchkey_minting::{DrawnKey, Founding, FoundingWrapped};
use latchkey_state::{Actor, Command, Operation, bootstrap_ring};
use latchkey_storage::{Facts, OpenError, Options, SledStore};
use latchkey_wire::pb::disk::v1 as pb;
use openraft::{CommittedLeaderId, EntryPayload};
use prost::Message;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The folder of the storage within the data folder.
const STORE_FOLDER: &str = "store";

/// The file that waits for the first start of the replica that founds the cluster.
const FOUNDING_FILE: &str = "founding";

/// The epoch that a cluster begins with.
const FIRST_EPOCH: u64 = 1;

/// How a cluster is founded.
pub struct NewCluster<'a> {
    /// The first members, by id; this replica among them.
    pub members: BTreeMap<NodeId, Member>,
    /// The lowest `staleness_max` that a keyspace may choose.
    pub staleness_floor: DurationMillis,
    /// The `staleness_max` of a keyspace that chose none.
    pub staleness_default: DurationMillis,
    /// Where the text of the first key of `root` is written: a new file, mode 0600, outside the data folder.
    pub bootstrap_file: &'a Path,
}

/// Why nothing was initialised.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The storage refuses.
    #[error("cannot make the data folder")]
    Open(#[from] OpenError),
    /// The bootstrap file lies inside the data folder, where every backup would carry it.
    #[error("the bootstrap file must lie outside the data folder")]
    Inside(#[from] InsideError),
    /// A file cannot be written.
    #[error("cannot write {path}; it must not exist yet, and its folder must")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key-encryption key is not to be had.
    #[error("cannot wrap the keys of the cluster")]
    Kms(#[from] KmsError),
    /// The first members leave this replica out.
    #[error("the members must include this replica, node {node}")]
    NotAMember {
        /// This replica.
        node: NodeId,
    },
    /// A file is not what was written.
    #[error("{path} is not a founding file")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: WordError,
    },
}

/// What `init` left to be done on the first start.
#[derive(Clone, Debug)]
pub struct PendingFounding {
    pub(crate) members: BTreeMap<u64, Member>,
    /// The first command, sealed: opening it needs the KEK, which may be away.
    pub(crate) sealed: Vec<u8>,
    pub(crate) log_key: IntroducedKey,
    /// The feature level to found at; absent: as the command says.
    pub(crate) feature_level: Option<u32>,
    path: PathBuf,
}

/// Makes the folder of a replica of an existing cluster, in its first epoch.
///
/// # Errors
/// [`InitError::Open`]
pub fn init_replica(data_folder: &Path, node: NodeId, cluster: ClusterId) -> Result<(), InitError> {
    init_replica_in(data_folder, node, cluster, FIRST_EPOCH)
}

/// Makes the folder of a replica of an existing cluster, in the epoch that this is in: it rises with each recovery and each
/// restore, and replicas of another epoch are refused.
///
/// # Errors
/// [`InitError::Open`]
pub fn init_replica_in(data_folder: &Path, node: NodeId, cluster: ClusterId, epoch: u64) -> Result<(), InitError> {
    let facts = Facts { node_id: node.0, cluster_id: cluster.0, epoch };
    fs::create_dir_all(data_folder).map_err(|source| InitError::File { path: data_folder.into(), source })?;
    Ok(SledStore::create(&store_folder(data_folder), &facts, &Options::default())?)
}

/// Founds a cluster: makes the folder of its first replica, writes the bootstrap file, and leaves the rest to the first
/// start. Returns the cluster's id, which the other replicas are initialised with.
///
/// # Errors
/// [`InitError`]
pub async fn init_cluster(
    data_folder: &Path,
    node: NodeId,
    kms: &dyn Kms,
    new: NewCluster<'_>,
) -> Result<ClusterId, InitError> {
    if !new.members.contains_key(&node) {
        return Err(InitError::NotAMember { node });
    }
    fs::create_dir_all(data_folder).map_err(|source| InitError::File { path: data_folder.into(), source })?;
    refuse_inside(data_folder, new.bootstrap_file)?;
    let cluster = ClusterId(draw(&mut OsEntropy));
    let founding = Founding::draw(&mut OsEntropy, cluster);
    let wrapped = FoundingWrapped {
        log: wrap(kms, &founding.log).await?,
        pepper: wrap(kms, &founding.pepper).await?,
        replay: wrap(kms, &founding.replay).await?,
        tenant: wrap(kms, &founding.tenant).await?,
    };
    let log = founding.log.wrapped(wrapped.log.clone());
    let log_key =
        IntroducedKey { number: bootstrap_ring::LOG.0, id: log.id, wrapped_by: 0, wrapped: log.wrapped.to_vec() };
    let log_data_key = latchkey_crypto::DataKey::new(*founding.log.key().expose());
    let (bootstrap, root_text) =
        founding.into_bootstrap(wrapped, new.staleness_floor, new.staleness_default, &mut OsEntropy);
    let command = Command::new(Actor::Replica(node), draw(&mut OsEntropy), Operation::Bootstrap(Box::new(bootstrap)));
    init_replica(data_folder, node, cluster)?;
    let members = new.members.into_iter().map(|(id, member)| (id.0, member)).collect();
    let sealed = Sealer::seal_founding(cluster, &log_data_key, &command, &mut OsEntropy);
    write_founding(&data_folder.join(FOUNDING_FILE), members, log_key, sealed)?;
    // Last: whoever finds this file finds a cluster that can be started.
    write_bootstrap(new.bootstrap_file, &root_text)?;
    Ok(cluster)
}

async fn wrap(kms: &dyn Kms, drawn: &DrawnKey) -> Result<Box<[u8]>, KmsError> {
    Ok(kms.wrap(&drawn.place().kek_context(), drawn.key()).await?.into_bytes().into())
}

/// Where the storage of a data folder lies.
#[must_use]
pub fn store_folder(data_folder: &Path) -> PathBuf {
    data_folder.join(STORE_FOLDER)
}

/// What founds the cluster, where this replica still has to.
///
/// # Errors
/// [`InitError`]
pub fn pending_founding(data_folder: &Path) -> Result<Option<PendingFounding>, InitError> {
    let path = data_folder.join(FOUNDING_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(InitError::File { path, source }),
    };
    match read_founding(&bytes) {
        Ok((members, log_key, sealed)) => {
            Ok(Some(PendingFounding { members, sealed, log_key, feature_level: None, path }))
        }
        Err(source) => Err(InitError::Damaged { path, source }),
    }
}

/// Removes a founding file that stayed: the cluster is founded.
pub(crate) fn discard_founding(data_folder: &Path) {
    if let Ok(Some(pending)) = pending_founding(data_folder) {
        pending.discard();
    }
}

impl PendingFounding {
    /// Founds at an older feature level: for tests of how it is raised.
    #[doc(hidden)]
    #[must_use]
    pub fn at_feature_level(mut self, level: u32) -> Self {
        self.feature_level = Some(level);
        self
    }

    /// The cluster is founded. A file that stays does no harm: the command would be refused.
    pub(crate) fn discard(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the founding file could not be removed");
        }
    }
}

fn write_founding(
    path: &Path,
    members: BTreeMap<u64, Member>,
    log_key: IntroducedKey,
    sealed: Vec<u8>,
) -> Result<(), InitError> {
    use crate::types::{Entry, LogCommand, Membership};
    let log_id = LogId::new(CommittedLeaderId::new(0, 0), 0);
    let voters = members.keys().copied().collect();
    let membership = Membership::new(vec![voters], members);
    let command = LogCommand { sealed: sealed.into(), introduced: vec![log_key], trace: None };
    let entries = [EntryPayload::Membership(membership), EntryPayload::Normal(command)];
    let mut bytes = Vec::new();
    for payload in entries {
        bytes.extend(record_to_pb(&Entry { log_id, payload }).encode_length_delimited_to_vec());
    }
    write_new(path, &bytes)
}

type Founded = (BTreeMap<u64, Member>, IntroducedKey, Vec<u8>);

fn read_founding(bytes: &[u8]) -> Result<Founded, WordError> {
    let mut rest = bytes;
    let mut next = || {
        let record = pb::LogRecord::decode_length_delimited(&mut rest);
        record.map_err(|error| WordError { expected: "a record", found: error.to_string() }).and_then(record_from_pb)
    };
    let wrong = |found: &str| WordError { expected: "a membership, then a command", found: found.into() };
    let EntryPayload::Membership(membership) = next()?.payload else { return Err(wrong("something else first")) };
    let EntryPayload::Normal(command) = next()?.payload else { return Err(wrong("something else second")) };
    let log_key = command.introduced.first().cloned().ok_or_else(|| wrong("a command without its key"))?;
    let members = membership.nodes().map(|(id, member)| (*id, member.clone())).collect();
    // Read once more as a message, so that what follows the two records does not pass unseen.
    let _: pb::Blank = decode("the end of the file", rest)?;
    Ok((members, log_key, command.sealed.to_vec()))
}

fn write_bootstrap(path: &Path, text: &KeyText) -> Result<(), InitError> {
    let mut line = zeroize::Zeroizing::new(text.expose().to_owned());
    line.push('\n');
    write_new(path, line.as_bytes())
}

/// A new file that only its owner may read, durable on return.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), InitError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| InitError::File { path: path.into(), source })
}
