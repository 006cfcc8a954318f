//! The audit service.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::archive::ArchiveSettings;
use crate::declare::{Group as _, settings};
use crate::host_port::HostPort;
use crate::mistake::Mistakes;
use crate::notices::{NoticeSettings, check_notices};
use crate::reader::Reader;
use crate::sink::{SinkSettings, check_sinks};
use crate::sources::Sources;
use crate::telemetry::TelemetrySettings;
use crate::tls::TlsSettings;
use crate::usage::{AccessSettings, UsageSettings};
use crate::validation::check_listeners;

settings! {
    /// The audit service.
    AuditSettings, checked by check {
        /// Where callers reach it: an address and a port. Default `127.0.0.1:7740`. Since 0.1.
        value listen: SocketAddr = "127.0.0.1:7740";
        /// Where metrics are scraped: an address and a port. Default `127.0.0.1:7749`. Since 0.1.
        value metrics_listen: SocketAddr = "127.0.0.1:7749";
        /// Where anybody reads the checkpoint, the tiles and the bundles of leaves of the audit log over plain HTTP
        /// (c2sp.org/tlog-tiles): an address and a port. What is served are numbers and hashes, which tell nothing of what an
        /// entry says. Empty: nowhere. Default `127.0.0.1:7741`. Since 0.1.
        value tiles_listen: Option<SocketAddr> = "127.0.0.1:7741";
        /// The folder with the audit log. Nothing else may be in there. Required. Since 0.1.
        value data_folder: PathBuf;
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
        /// The file with the Ed25519 key that signs checkpoints of the audit log. Mode 0600, outside the data folder; made on the
        /// first start where it is missing. What it signed last lies beside it, under the same name with `.last`: keep both
        /// together, on another disk than the data folder where there is one. Default empty: nothing is signed, so nothing can be
        /// proved to anybody who does not trust whoever runs this. Since 0.1.
        value checkpoint_key_file: Option<PathBuf> = "";
        /// The file with the key that signed before the one in `checkpoint_key_file`, with its `.last` beside it. With the first
        /// checkpoint of the new key it signs that it hands the log over, and then signs nothing any more: once `latchkey audit
        /// checkpoint --keys` shows it with `until`, take it out of here and destroy the file. Mode 0600, outside the data
        /// folder. Default empty. Since 0.1.
        value checkpoint_key_file_previous: Option<PathBuf> = "";
        /// Where the replicas' `listen` can be reached, at least one; the leader is found from any of them. Each a host
        /// and a port, such as `replica-1.example:7720`. Required. Since 0.1.
        value registry_endpoints: Vec<HostPort>;
        /// Where entries go besides.
        groups sink: SinkSettings;
        /// Notices to those whose keys they are.
        group notices: NoticeSettings;
        /// Where the log lies for good.
        group archive: ArchiveSettings;
        /// Usage.
        group usage: UsageSettings;
        /// The access log.
        group access: AccessSettings;
        /// TLS.
        group tls: TlsSettings;
        /// Logs and traces.
        group telemetry: TelemetrySettings;
    }
}

impl AuditSettings {
    /// Reads the settings.
    /// # Errors
    /// [`Mistakes`]: all of them.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }
}

fn check(settings: &AuditSettings, reader: &mut Reader) {
    let folder = &settings.data_folder;
    let secret = settings.cluster_secret_file.as_ref().map(|file| ("cluster_secret_file", file));
    let key = settings.tls.key_file.as_ref().map(|file| ("tls.key_file", file));
    let signing = settings.checkpoint_key_file.as_ref().map(|file| ("checkpoint_key_file", file));
    let signed = settings.checkpoint_key_file_previous.as_ref().map(|file| ("checkpoint_key_file_previous", file));
    let previous = settings.kek_files_previous.iter().map(|file| ("kek_files_previous", file));
    let keks = [("kek_file", &settings.kek_file)].into_iter().chain(previous);
    for (name, file) in secret.into_iter().chain(key).chain(signing).chain(signed).chain(keks) {
        let expected = format!("must not lie in data_folder ({})", folder.display());
        let remedy = "move it: whoever gets a copy of the data must not get the secret with it";
        reader.require(!file.starts_with(folder), name, file.display(), expected, remedy);
    }
    let endpoints = &settings.registry_endpoints;
    let remedy = "name the `listen` of a replica, such as 127.0.0.1:7720";
    reader.require(!endpoints.is_empty(), "registry_endpoints", "empty", "must name at least one".to_owned(), remedy);
    if let Some((_, file)) = signed {
        let expected = "must go with another file in checkpoint_key_file".to_owned();
        let remedy = "name the new key in checkpoint_key_file: it is made where it is missing";
        let is_other = settings.checkpoint_key_file.as_ref().is_some_and(|signing| signing != file);
        reader.require(is_other, "checkpoint_key_file_previous", file.display(), expected, remedy);
    }
    check_sinks(&settings.sink, folder, reader);
    check_notices(&settings.notices, folder, reader);
    let listeners = [("listen", settings.listen), ("metrics_listen", settings.metrics_listen)];
    let tiles = settings.tiles_listen.map(|address| ("tiles_listen", address));
    check_listeners(reader, &listeners.into_iter().chain(tiles).collect::<Vec<_>>());
    let peers: Vec<_> = endpoints.iter().map(|endpoint| ("registry_endpoints", endpoint)).collect();
    settings.tls.check_service(reader, settings.cluster_secret_file.as_ref(), &listeners, &peers);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(flags: &[(&str, &str)]) -> Result<AuditSettings, Mistakes> {
        let usual = [
            ("data_folder", "/data"),
            ("cluster_secret_file", "/s"),
            ("kek_file", "/k"),
            ("registry_endpoints", "127.0.0.1:7720"),
        ];
        let given = |name: &str| flags.iter().any(|flag| flag.0 == name);
        let flags = usual.iter().filter(|one| !given(one.0)).chain(flags);
        let flags = flags.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AuditSettings::load(&Sources { flags, ..Sources::default() })
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mistakes = load(&[("kek_file", "/data/kek"), ("registry_endpoints", ""), ("listen", "127.0.0.1:7749")]);
        let told = mistakes.unwrap_err().to_string();
        for expected in ["must not lie in data_folder (/data)", "must name at least one", "7749"] {
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn no_pause_of_publishing_makes_the_replicas_wait_for_a_checkpoint() {
        assert_eq!(load(&[("archive.interval_ms", "120000")]).unwrap().archive.interval_ms, 120_000);
        let told = load(&[("archive.interval_ms", "3600000")]).unwrap_err().to_string();
        assert!(told.contains("archive.interval_ms") && told.contains("120000"), "{told}");
    }

    #[test]
    fn a_key_hands_over_to_another_one() {
        let with = |signing: &'static str, previous: &'static str| {
            load(&[("checkpoint_key_file", signing), ("checkpoint_key_file_previous", previous)])
        };
        assert!(with("/keys/new", "/keys/old").is_ok());
        for (signing, previous) in [("/keys/old", "/keys/old"), ("", "/keys/old"), ("/keys/new", "/data/old")] {
            let told = with(signing, previous).unwrap_err().to_string();
            assert!(told.contains("checkpoint_key_file_previous") && told.contains(previous), "{told}");
        }
    }

    #[test]
    fn what_is_not_given_has_the_ports_of_the_audit_service() {
        let settings = load(&[]).unwrap();
        assert_eq!((settings.listen.port(), settings.metrics_listen.port()), (7740, 7749));
        assert_eq!(settings.tiles_listen.map(|address| address.port()), Some(7741));
        assert_eq!(load(&[("tiles_listen", "")]).unwrap().tiles_listen, None);
    }
}
