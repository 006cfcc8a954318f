//! The validation service: a replica.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use latchkey_domain::Slug;

use crate::backup::BackupSettings;
use crate::declare::{Group as _, settings};
use crate::host_port::HostPort;
use crate::mistake::Mistakes;
use crate::observation::ObservationSettings;
use crate::raft::RaftSettings;
use crate::reader::Reader;
use crate::sources::Sources;
use crate::telemetry::TelemetrySettings;
use crate::tls::TlsSettings;

settings! {
    /// The validation service.
    ValidationSettings, checked by check {
        /// This replica.
        group node: NodeSettings;
        /// Where callers reach it: an address and a port. Default `127.0.0.1:7720`. Since 0.1.
        value listen: SocketAddr = "127.0.0.1:7720";
        /// Raft between replicas.
        group raft: RaftSettings;
        /// Where metrics are scraped: an address and a port. Default `127.0.0.1:7729`. Since 0.1.
        value metrics_listen: SocketAddr = "127.0.0.1:7729";
        /// The file with the secret that the services of this cluster share. Mode 0600, outside the data folder. With TLS
        /// certificates take its place. Default empty: required where there is no TLS. Since 0.1.
        value cluster_secret_file: Option<PathBuf> = "";
        /// The file with the key-encryption key. Mode 0600, outside the data folder. Required. Since 0.1.
        value kek_file: PathBuf;
        /// The files with the key-encryption keys that came before the one in `kek_file`, newest first, each with mode 0600 and
        /// outside the data folder. They unwrap what they wrapped, and wrap nothing new once `latchkey keyring rotate kek` moved
        /// the keyring; a file that `latchkey keyring status` shows as needed by nobody is taken out of here and destroyed.
        /// Default empty. Since 0.1.
        value kek_files_previous: Vec<PathBuf> = "";
        /// The replicas that the cluster begins with, this one among them. Read on the first start only; from then on the
        /// cluster itself knows its members.
        groups members: MemberSettings;
        /// TLS.
        group tls: TlsSettings;
        /// Backups by the clock.
        group backup: BackupSettings;
        /// What this replica sees of the use of keys.
        group observations: ObservationSettings;
        /// Logs and traces.
        group telemetry: TelemetrySettings;
    }
}

settings! {
    /// This replica.
    NodeSettings, checked by check_node {
        /// Its number, 1 or more. Never reused: a replica that lost its data comes back under a new one.
        /// Required. Since 0.1.
        value id: u64;
        /// Its region, a word such as `eu-west-1`. Required. Since 0.1.
        value region: Slug;
        /// The folder with its log and state. Nothing else may be in there. Required. Since 0.1.
        value data_folder: PathBuf;
    }
}

settings! {
    /// One replica that the cluster begins with.
    MemberSettings {
        /// Its `node.id`. Required. Since 0.1.
        value id: u64;
        /// Its `node.region`. Required. Since 0.1.
        value region: Slug;
        /// Where callers reach it (its `listen`): a host and a port, such as `replica-1.example:7720`. Required. Since 0.1.
        value api_address: HostPort;
        /// Where other replicas reach it (its `raft.listen`): a host and a port. Required. Since 0.1.
        value raft_address: HostPort;
    }
}

impl ValidationSettings {
    /// Reads the settings.
    /// # Errors
    /// [`Mistakes`]: all of them.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }
}

fn check_node(node: &NodeSettings, reader: &mut Reader) {
    reader.in_range("id", node.id, 1..=u64::MAX);
}

fn check(settings: &ValidationSettings, reader: &mut Reader) {
    let folder = &settings.node.data_folder;
    let secret = settings.cluster_secret_file.as_ref().map(|file| ("cluster_secret_file", file));
    let key = settings.tls.key_file.as_ref().map(|file| ("tls.key_file", file));
    let previous = settings.kek_files_previous.iter().map(|file| ("kek_files_previous", file));
    let keks = [("kek_file", &settings.kek_file)].into_iter().chain(previous);
    for (name, file) in secret.into_iter().chain(key).chain(keks) {
        let expected = format!("must not lie in node.data_folder ({})", folder.display());
        let remedy = "move it: whoever gets a copy of the data must not get the secret with it";
        reader.require(!file.starts_with(folder), name, file.display(), expected, remedy);
    }

    if let Some(backups) = &settings.backup.folder {
        let expected = format!("must not lie in node.data_folder ({})", folder.display());
        let remedy = "move it: a backup that is lost with the data is none";
        reader.require(!backups.starts_with(folder), "backup.folder", backups.display(), expected, remedy);
    }

    let listeners = [
        ("listen", settings.listen),
        ("raft.listen", settings.raft.listen),
        ("metrics_listen", settings.metrics_listen),
    ];
    check_listeners(reader, &listeners);
    let names: Vec<_> = (0..settings.members.len())
        .map(|index| (format!("members[{index}].api_address"), format!("members[{index}].raft_address")))
        .collect();
    let peers: Vec<_> = names
        .iter()
        .zip(&settings.members)
        .flat_map(|((api, raft), member)| [(api.as_str(), &member.api_address), (raft.as_str(), &member.raft_address)])
        .collect();
    settings.tls.check_service(reader, settings.cluster_secret_file.as_ref(), &listeners, &peers);

    let mut ids = BTreeSet::new();
    for (index, member) in settings.members.iter().enumerate() {
        let expected = "must be the id of one member only".to_owned();
        let remedy = "give each replica a number of its own";
        reader.require(ids.insert(member.id), &format!("members[{index}].id"), member.id, expected, remedy);
    }
    // Without members the replica waits to be added to a cluster.
    let among = ids.is_empty() || ids.contains(&settings.node.id);
    let expected = format!("must be among the ids of members ({ids:?})");
    reader.require(among, "node.id", settings.node.id, expected, "add this replica to members, or correct the number");
}

/// Two listeners cannot have one address; port 0 is another one for each.
pub(crate) fn check_listeners(reader: &mut Reader, listeners: &[(&str, SocketAddr)]) {
    for (index, (name, address)) in listeners.iter().enumerate() {
        for (other, taken) in &listeners[..index] {
            let differs = address != taken || address.port() == 0;
            let expected = format!("must differ from {other} ({taken})");
            reader.require(differs, name, address, expected, "choose another port");
        }
    }
}

#[cfg(test)]
mod tests;
