//! Generated protobuf code and the conversions to and from the domain (rank 4).
//!
//! - [`pb`] is what is generated, as it is.
//! - [`request`] reads what clients ask for into domain types, once, at the edge; every mistake is told at once.
//! - [`resource`] shows records of the state as public resources.
//! - [`verdict`] answers validations.
//! - [`refusal`] and [`applied`] carry the state machine's answers between our services.
//! - [`disk`] writes commands and rows as they lie at rest, and reads them strictly.
//! - [`reason`] and [`violation`] are what errors are made of; the mapping to statuses is `transport`'s.
#![forbid(unsafe_code)]

pub mod applied;
pub mod disk;
pub mod latency;
pub mod pb;
pub mod reason;
mod redacted;
pub mod refusal;
pub mod request;
pub mod resource;
mod staleness;
pub mod time;
pub mod verdict;
pub mod violation;
mod words;

/// The descriptors of every file in `proto/`, with comments: for reflection, and for tests over the API.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/latchkey.descriptors.bin"));
