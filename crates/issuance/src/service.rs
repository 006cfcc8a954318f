//! The service as a whole.

use crate::Handlers;
use latchkey_config::IssuanceSettings;
use latchkey_domain::Workload;
use latchkey_link::service::{self, Options, Running, StartError};
use latchkey_transport::{BATCH_MESSAGE_BYTES_MAX, PUBLIC_MESSAGE_BYTES_MAX};
use latchkey_wire::pb::v1::directory_service_server::DirectoryServiceServer;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceServiceServer;

/// The issuance service.
#[derive(Debug)]
pub struct Issuance;

impl Issuance {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn options(settings: &IssuanceSettings) -> Result<Options, StartError> {
        let secret_file = settings.cluster_secret_file.as_deref();
        let keks = (settings.kek_file.as_path(), &settings.kek_files_previous[..]);
        let (security, kms) = service::open(&settings.tls, secret_file, keks, Workload::Issuance)?;
        Ok(Options {
            listen: settings.listen,
            metrics_listen: Some(settings.metrics_listen),
            replicas: settings.registry_endpoints.clone(),
            security,
            kms,
        })
    }

    /// Starts it. It serves before any replica can be reached, and says so in `latchkey.write`.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options) -> Result<Running, StartError> {
        service::start("issuance", options, |server, entrance, material| {
            let handlers = Handlers::new(entrance, material);
            // The entrance holds all methods but `BatchCreateKeys` and `ImportKeys` to the shorter bound.
            let issuance = IssuanceServiceServer::new(handlers.clone());
            let directory = DirectoryServiceServer::new(handlers);
            server
                .service(issuance.max_decoding_message_size(BATCH_MESSAGE_BYTES_MAX))
                .service(directory.max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX))
        })
        .await
    }
}
