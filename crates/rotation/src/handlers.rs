//! What all handlers share, and the service as a whole.

use crate::driver::{Driver, DriverOptions};
use latchkey_config::RotationSettings;
use latchkey_delivery::Stores;
use latchkey_domain::Workload;
use latchkey_link::service::{self, Running, StartError};
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

/// What the rotation service runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What every service without state runs with.
    pub service: service::Options,
    /// Where new secrets may go.
    pub stores: Stores,
    /// How it drives rotations; absent: it only serves.
    pub driver: Option<DriverOptions>,
}

impl Rotation {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn options(settings: &RotationSettings) -> Result<Options, StartError> {
        let secret_file = settings.cluster_secret_file.as_deref();
        let keks = (settings.kek_file.as_path(), &settings.kek_files_previous[..]);
        let (security, kms) = service::open(&settings.tls, secret_file, keks, Workload::Rotation)?;
        let service = service::Options {
            listen: settings.listen,
            metrics_listen: Some(settings.metrics_listen),
            replicas: settings.registry_endpoints.clone(),
            security,
            kms,
        };
        let driver = settings.driver.enabled.then(|| DriverOptions::new(&settings.driver));
        Ok(Options { service, stores: Stores::new(&settings.delivery), driver })
    }

    /// Starts it. It serves before any replica can be reached, and says so in `latchkey.write`.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let Options { service, stores, driver } = options;
        let mut drives = None;
        let running = service::start("rotation", service, |server, entrance, material| {
            drives = driver.map(|options| Driver::new(entrance.registry().clone(), material.clone(), stores, options));
            let rotation = RotationServiceServer::new(Handlers::new(entrance, material));
            server.service(rotation.max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX))
        });
        let running = running.await?;
        Ok(match drives {
            Some(driver) => running.with("driving rotations", |stopped| driver.run(stopped)),
            None => running,
        })
    }
}
