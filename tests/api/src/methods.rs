//! Every method that is in `proto/`, and who serves it.

use latchkey::Ports;
use latchkey_wire::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::net::SocketAddr;

/// A method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Method {
    /// Its package, such as `latchkey.v1`.
    pub package: String,
    /// Its service.
    pub service: String,
    /// Its own name.
    pub name: String,
}

impl Method {
    /// As it stands in a path: `latchkey.v1.IssuanceService/GetKey`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}/{}", self.package, self.service, self.name)
    }

    /// Whether our own services call it, and nobody else may.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.package == "latchkey.internal.v1"
    }

    /// Who serves it.
    ///
    /// # Panics
    /// If nobody has said so: then say it here, and in `proto/README.md`.
    #[must_use]
    pub fn served_by(&self, ports: Ports) -> Vec<SocketAddr> {
        match (self.service.as_str(), self.name.as_str()) {
            ("IssuanceService", "RevokeKey" | "RevokeKeys" | "SuspendKey") => {
                vec![ports.issuance(), ports.validation()]
            }
            ("RotationService", _) => vec![ports.rotation()],
            ("AuditService", _) => vec![ports.audit()],
            ("IssuanceService" | "DirectoryService", _) => vec![ports.issuance()],
            ("ValidationService" | "ClusterService" | "RegistryService", _) => vec![ports.validation()],
            ("RaftService", _) => vec![ports.raft()],
            (service, method) => panic!("nobody has said who serves {service}/{method}"),
        }
    }
}

/// Every method of ours. Health and reflection are not ours.
///
/// # Panics
/// If our own descriptors do not decode.
#[must_use]
pub fn all() -> Vec<Method> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors decode");
    let mut methods = Vec::new();
    for file in set.file.iter().filter(|file| file.package().starts_with("latchkey.")) {
        for service in &file.service {
            methods.extend(service.method.iter().map(|method| Method {
                package: file.package().to_owned(),
                service: service.name().to_owned(),
                name: method.name().to_owned(),
            }));
        }
    }
    methods.sort();
    methods
}
