//! What all handlers share, and the service as a whole.

use latchkey_config::RotationSettings;
use latchkey_domain::Workload;
use latchkey_link::service::{self, Options, Running, StartError};
use latchkey_link::{Entrance, Material, Registry};
use latchkey_transport::PUBLIC_MESSAGE_BYTES_MAX;
use latchkey_wire::pb::v1::rotation_service_server::RotationServiceServer;
use std::sync::Arc;

/// The RPCs of rotation over any registry. Cheap to clone.
#[derive(Debug)]
pub struct Handlers<R> {
    pub(crate) registry: Arc<R>,
    pub(crate) material: Arc<Material>,
    pub(crate) entrance: Entrance<R>,
}

impl<R> Clone for Handlers<R> {
    fn clone(&self) -> Self {
        Self { registry: self.registry.clone(), material: self.material.clone(), entrance: self.entrance.clone() }
    }
}

impl<R: Registry> Handlers<R> {
    /// Behind this entrance, minting with this access to the KEK.
    #[must_use]
    pub fn new(entrance: Entrance<R>, material: Arc<Material>) -> Self {
        Self { registry: entrance.registry().clone(), material, entrance }
    }
}

/// The rotation service.
#[derive(Debug)]
pub struct Rotation;

impl Rotation {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn options(settings: &RotationSettings) -> Result<Options, StartError> {
        let secret_file = settings.cluster_secret_file.as_deref();
        let (security, kms) = service::open(&settings.tls, secret_file, &settings.kek_file, Workload::Rotation)?;
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
        service::start("rotation", options, |server, entrance, material| {
            let rotation = RotationServiceServer::new(Handlers::new(entrance, material));
            server.service(rotation.max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX))
        })
        .await
    }
}
