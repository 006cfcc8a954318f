//! What is generated from `proto/`, as it is. The comments are in the .proto files.

/// `latchkey.v1`: the public API.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/latchkey.v1.rs"));
}

/// `latchkey.internal.v1`: between our services.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated")]
pub mod internal {
    /// The version of the package; the generated code refers to it by this path.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/latchkey.internal.v1.rs"));
    }
}

/// `latchkey.disk.v1`: bytes at rest.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated")]
pub mod disk {
    /// The version of the package; the generated code refers to it by this path.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/latchkey.disk.v1.rs"));
    }
}
