//! Generated protobuf code and the conversions to and from the domain (rank 4).
//!
//! Nothing above this crate reads a generated message field by field where a conversion exists, and nothing below it
//! knows protobuf. [`pb`] is what is generated; everything else is written by hand.
#![forbid(unsafe_code)]

pub mod pb;
mod redacted;

/// The descriptors of every file in `proto/`, with comments: for reflection, and for tests over the API.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/latchkey.descriptors.bin"));
