//! How a service is reached: over TLS, or, on loopback, over plain text.

use crate::cli::error::CliError;
use crate::cli::service::Service;
use latchkey_config::HostPort;
use latchkey_transport::tls::{FilesError, TlsClient, TlsFiles as Files, read_leaf};
use latchkey_transport::{Dialer, Peer};
use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// A service that does not accept within this time is taken as away.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// The files of whoever calls; none is plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) trust: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Makes channels to services.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    tls: Option<Dialer>,
}

impl Dial {
    /// With the files of the settings.
    ///
    /// # Errors
    /// [`CliError::Usage`]: they do not go together, or cannot be used.
    pub(crate) fn new(files: &TlsFiles) -> Result<Self, CliError> {
        let client = match files {
            TlsFiles { trust: None, certificate: None, key: None } => return Ok(Self { tls: None }),
            TlsFiles { trust: Some(trust), certificate: None, key: None } => TlsClient::without_certificate(trust),
            TlsFiles { trust: Some(trust), certificate: Some(certificate), key: Some(key) } => read_leaf(certificate)
                .and_then(|leaf| {
                    TlsClient::once(&Files {
                        certificate: certificate.clone(),
                        key: key.clone(),
                        trust: trust.clone(),
                        trust_domain: leaf.trust_domain,
                        workload: None,
                    })
                }),
            _ => {
                let what = "expected --tls-trust alone, or with both --tls-certificate and --tls-key";
                return Err(CliError::usage(what).remedy("name the missing file, or set its variable"));
            }
        };
        Ok(Self { tls: Some(Dialer::tls(client.map_err(|error| refused(&error))?)) })
    }

    /// A channel to a service that connects with the first call.
    ///
    /// # Errors
    /// [`CliError::Usage`]: the address is none, or lies where plain text would be read by others.
    pub(crate) fn channel(&self, service: Service, address: &str) -> Result<Channel, CliError> {
        let parsed = HostPort::parse(address);
        let parsed = parsed.ok_or_else(|| CliError::usage(format!("expected HOST:PORT, found {address:?}")))?;
        let expected = match service {
            Service::Issuance => Peer::Issuance,
            Service::Validation => Peer::AnyReplica,
            Service::Rotation => Peer::Rotation,
            Service::Audit => Peer::Audit,
        };
        match &self.tls {
            Some(dialer) => Ok(dialer.channel(address, expected)),
            None if parsed.is_loopback() => {
                let endpoint = Endpoint::from_shared(format!("http://{address}"));
                let endpoint = endpoint.expect("a host and a port make a URI");
                Ok(endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true).connect_lazy())
            }
            None => {
                let what = format!(
                    "{service} at {address} is not on this machine, and your key would cross the network in the clear"
                );
                Err(CliError::usage(what)
                    .remedy("name the roots with --tls-trust, and your certificate where one is asked for"))
            }
        }
    }
}

fn refused(error: &FilesError) -> CliError {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    CliError::usage(format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_never_leaves_this_machine_in_the_clear() {
        let dial = Dial::new(&TlsFiles::default()).unwrap();
        assert!(dial.channel(Service::Issuance, "127.0.0.1:7710").is_ok());
        assert!(dial.channel(Service::Issuance, "localhost:7710").is_ok());
        for elsewhere in ["keys.example:7710", "10.0.0.1:7710"] {
            let told = dial.channel(Service::Issuance, elsewhere).unwrap_err().text();
            assert!(told.contains("in the clear") && told.contains("--tls-trust"), "{told}");
        }
    }

    #[test]
    fn half_of_the_files_is_refused_and_so_is_one_that_is_not_there() {
        let half = TlsFiles { certificate: Some("c".into()), ..TlsFiles::default() };
        assert!(Dial::new(&half).unwrap_err().text().contains("--tls-key"));
        let missing = TlsFiles { trust: Some("/nowhere/trust.pem".into()), ..TlsFiles::default() };
        assert!(Dial::new(&missing).unwrap_err().text().contains("/nowhere/trust.pem"));
    }
}
