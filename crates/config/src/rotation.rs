//! The rotation service.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::declare::{Group as _, settings};
use crate::delivery::{DeliverySettings, check_names};
use crate::driver::DriverSettings;
use crate::host_port::HostPort;
use crate::mistake::Mistakes;
use crate::reader::Reader;
use crate::sources::Sources;
use crate::telemetry::TelemetrySettings;
use crate::tls::TlsSettings;
use crate::validation::check_listeners;

settings! {
    /// The rotation service.
    RotationSettings, checked by check {
        /// Where callers reach it: an address and a port. Default `127.0.0.1:7730`. Since 0.1.
        value listen: SocketAddr = "127.0.0.1:7730";
        /// Where metrics are scraped: an address and a port. Default `127.0.0.1:7739`. Since 0.1.
        value metrics_listen: SocketAddr = "127.0.0.1:7739";
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
        /// Driving rotations.
        group driver: DriverSettings;
        /// The stores that rotation policies may name.
        groups delivery: DeliverySettings;
        /// TLS.
        group tls: TlsSettings;
        /// Logs and traces.
        group telemetry: TelemetrySettings;
    }
}

impl RotationSettings {
    /// Reads the settings.
    /// # Errors
    /// [`Mistakes`]: all of them.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }
}

fn check(settings: &RotationSettings, reader: &mut Reader) {
    let endpoints = &settings.registry_endpoints;
    let remedy = "name the `listen` of a replica, such as 127.0.0.1:7720";
    reader.require(!endpoints.is_empty(), "registry_endpoints", "empty", "must name at least one".to_owned(), remedy);
    check_names(&settings.delivery, reader);
    let listeners = [("listen", settings.listen), ("metrics_listen", settings.metrics_listen)];
    check_listeners(reader, &listeners);
    let peers: Vec<_> = endpoints.iter().map(|endpoint| ("registry_endpoints", endpoint)).collect();
    settings.tls.check_service(reader, settings.cluster_secret_file.as_ref(), &listeners, &peers);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(endpoints: &str, listen: &str) -> Result<RotationSettings, Mistakes> {
        let flags =
            [("cluster_secret_file", "/s"), ("kek_file", "/k"), ("registry_endpoints", endpoints), ("listen", listen)];
        let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        RotationSettings::load(&Sources { flags, ..Sources::default() })
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let told = load("", "127.0.0.1:7739").unwrap_err().to_string();
        for expected in ["registry_endpoints (empty) must name at least one", "7739"] {
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_service_drives_unless_it_is_told_otherwise() {
        let flag = |name: &str, value: &str| {
            let flags = [("cluster_secret_file", "/s"), ("kek_file", "/k"), ("registry_endpoints", "127.0.0.1:7720")];
            let flags = flags.into_iter().chain([(name, value)]);
            let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            RotationSettings::load(&Sources { flags, ..Sources::default() })
        };
        assert!(load("127.0.0.1:7720", "127.0.0.1:7730").unwrap().driver.enabled);
        assert!(!flag("driver.enabled", "false").unwrap().driver.enabled);
        let told = flag("driver.writes_per_second_max", "0").unwrap_err().to_string();
        assert!(told.contains("driver.writes_per_second_max (0) must be 1 to 10000"), "{told}");
        let told = flag("driver.enabled", "perhaps").unwrap_err().to_string();
        assert!(told.contains("must be true or false"), "{told}");
    }

    #[test]
    fn what_is_not_given_has_the_ports_of_the_rotation_service() {
        let settings = load("127.0.0.1:7720", "127.0.0.1:7730").unwrap();
        assert_eq!((settings.listen.port(), settings.metrics_listen.port()), (7730, 7739));
    }
}
