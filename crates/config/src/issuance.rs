//! The issuance service.

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
    /// The issuance service.
    IssuanceSettings, checked by check {
        /// Where callers reach it: an address and a port. Default `127.0.0.1:7710`. Since 0.1.
        value listen: SocketAddr = "127.0.0.1:7710";
        /// Where metrics are scraped: an address and a port. Default `127.0.0.1:7719`. Since 0.1.
        value metrics_listen: SocketAddr = "127.0.0.1:7719";
        /// The file with the secret that the services of this cluster share. Mode 0600. With TLS
        /// certificates take its place. Default empty: required where there is no TLS. Since 0.1.
        value cluster_secret_file: Option<PathBuf> = "";
        /// The file with the key-encryption key. Mode 0600. Required. Since 0.1.
        value kek_file: PathBuf;
        /// The files with the key-encryption keys that came before the one in `kek_file`, newest first, each with mode 0600. They
        /// unwrap what they wrapped, and wrap nothing new once `latchkey keyring rotate kek` moved the keyring; a file that
        /// `latchkey keyring status` shows as needed by nobody is taken out of here and destroyed. Default empty. Since 0.1.
        value kek_files_previous: Vec<PathBuf> = "";
        /// Where the replicas' `listen` can be reached, at least one; the leader is found from any of them. Each a host
        /// and a port, such as `replica-1.example:7720`. Required. Since 0.1.
        value registry_endpoints: Vec<HostPort>;
        /// TLS.
        group tls: TlsSettings;
        /// Logs and traces.
        group telemetry: TelemetrySettings;
    }
}

impl IssuanceSettings {
    /// Reads the settings.
    /// # Errors
    /// [`Mistakes`]: all of them.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }
}

fn check(settings: &IssuanceSettings, reader: &mut Reader) {
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

    #[test]
    fn a_list_is_given_in_the_environment_with_commas() {
        let sources = Sources {
            environment: [
                ("LATCHKEY_CLUSTER_SECRET_FILE", "/s"),
                ("LATCHKEY_KEK_FILE", "/k"),
                ("LATCHKEY_REGISTRY_ENDPOINTS", "127.0.0.1:7720, [::1]:7730"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            ..Sources::default()
        };
        let settings = IssuanceSettings::load(&sources).unwrap();
        assert_eq!(settings.registry_endpoints.iter().map(HostPort::port).collect::<Vec<_>>(), [7720, 7730]);
        assert_eq!(settings.listen.port(), 7710);
    }

    #[test]
    fn no_endpoint_at_all_is_a_mistake() {
        let flags = [("cluster_secret_file", "/s"), ("kek_file", "/k"), ("registry_endpoints", "")];
        let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mistakes = IssuanceSettings::load(&Sources { flags, ..Sources::default() }).unwrap_err();
        assert!(mistakes.to_string().contains("registry_endpoints (empty) must name at least one"), "{mistakes}");
    }
}
