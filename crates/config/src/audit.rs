//! The audit service.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::declare::{Group as _, settings};
use crate::host_port::HostPort;
use crate::mistake::Mistakes;
use crate::reader::Reader;
use crate::sources::Sources;
use crate::telemetry::TelemetrySettings;
use crate::tls::TlsSettings;
use crate::validation::check_listeners;

settings! {
    /// The audit service.
    AuditSettings, checked by check {
        /// Where callers reach it: an address and a port. Default `127.0.0.1:7740`. Since 0.1.
        value listen: SocketAddr = "127.0.0.1:7740";
        /// Where metrics are scraped: an address and a port. Default `127.0.0.1:7749`. Since 0.1.
        value metrics_listen: SocketAddr = "127.0.0.1:7749";
        /// The folder with the audit log. Nothing else may be in there. Required. Since 0.1.
        value data_folder: PathBuf;
        /// The file with the secret that the services of this cluster share. Mode 0600, outside the data folder. With TLS
        /// certificates take its place. Default empty: required where there is no TLS. Since 0.1.
        value cluster_secret_file: Option<PathBuf> = "";
        /// The file with the key-encryption key. Mode 0600, outside the data folder. Required. Since 0.1.
        value kek_file: PathBuf;
        /// Where the replicas' `listen` can be reached, at least one; the leader is found from any of them. Each a host
        /// and a port, such as `replica-1.example:7720`. Required. Since 0.1.
        value registry_endpoints: Vec<HostPort>;
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
    for (name, file) in secret.into_iter().chain(key).chain([("kek_file", &settings.kek_file)]) {
        let expected = format!("must not lie in data_folder ({})", folder.display());
        let remedy = "move it: whoever gets a copy of the data must not get the secret with it";
        reader.require(!file.starts_with(folder), name, file.display(), expected, remedy);
    }
    let endpoints = &settings.registry_endpoints;
    let remedy = "name the `listen` of a replica, such as 127.0.0.1:7720";
    reader.require(!endpoints.is_empty(), "registry_endpoints", "empty", "must name at least one".to_owned(), remedy);
    let listeners = [("listen", settings.listen), ("metrics_listen", settings.metrics_listen)];
    check_listeners(reader, &listeners);
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
    fn what_is_not_given_has_the_ports_of_the_audit_service() {
        let settings = load(&[]).unwrap();
        assert_eq!((settings.listen.port(), settings.metrics_listen.port()), (7740, 7749));
    }
}
