//! Compiles `proto/` into Rust, without protoc.
//!
//! Three things are decided here. Maps are ordered, so that equal messages have equal bytes. `google.rpc.Status` is
//! the type of `tonic-types`. A message with a field that says `debug_redact` gets no derived `Debug`: the crate
//! writes one by hand, and does not compile until it has.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use protox::prost_reflect::{DescriptorPool, FieldDescriptor};
use std::path::Path;
use std::{env, error, fs};

/// Every file of ours, relative to `proto/`.
const FILES: &[&str] = &[
    "latchkey/disk/v1/command.proto",
    "latchkey/disk/v1/denials.proto",
    "latchkey/disk/v1/node_key.proto",
    "latchkey/disk/v1/raft.proto",
    "latchkey/disk/v1/record.proto",
    "latchkey/disk/v1/rotation.proto",
    "latchkey/disk/v1/rows.proto",
    "latchkey/disk/v1/snapshot.proto",
    "latchkey/internal/v1/driving.proto",
    "latchkey/internal/v1/observations.proto",
    "latchkey/internal/v1/raft_service.proto",
    "latchkey/internal/v1/refusal.proto",
    "latchkey/internal/v1/registry_service.proto",
    "latchkey/internal/v1/target.proto",
    "latchkey/v1/access.proto",
    "latchkey/v1/audit_service.proto",
    "latchkey/v1/checkpoint.proto",
    "latchkey/v1/cluster_service.proto",
    "latchkey/v1/common.proto",
    "latchkey/v1/directory_service.proto",
    "latchkey/v1/errors.proto",
    "latchkey/v1/export.proto",
    "latchkey/v1/identity.proto",
    "latchkey/v1/issuance_service.proto",
    "latchkey/v1/key.proto",
    "latchkey/v1/keyspace.proto",
    "latchkey/v1/owner.proto",
    "latchkey/v1/role.proto",
    "latchkey/v1/rotation.proto",
    "latchkey/v1/rotation_evidence.proto",
    "latchkey/v1/rotation_policy.proto",
    "latchkey/v1/rotation_service.proto",
    "latchkey/v1/tenant.proto",
    "latchkey/v1/usage.proto",
    "latchkey/v1/validation_service.proto",
];

/// Bytes that pass through without being read: shared buffers rather than copies.
const SHARED_BYTES: &[&str] = &[
    ".latchkey.disk.v1.SealedCommand",
    ".latchkey.disk.v1.SnapshotFrame",
    ".latchkey.internal.v1.InstallSnapshotRequest",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    // Asked when it runs: two checkouts may share what cargo built, this program included.
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());

    let files: Vec<_> = FILES.iter().map(|file| root.join(file)).collect();
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    // Nothing of ours imports it, but every error carries its messages: whoever asks by reflection can read them.
    compiler.open_file(root.join("google/rpc/error_details.proto"))?;

    // Encoded by protox itself, so that custom options such as field behaviours stay in it for reflection.
    let encoded = compiler.encode_file_descriptor_set();
    let out = Path::new(&env::var("OUT_DIR")?).join("latchkey.descriptors.bin");
    fs::write(out, &encoded)?;

    let descriptors = FileDescriptorSet::decode(encoded.as_slice())?;
    let redacted = messages_that_redact(&compiler.descriptor_pool());
    let builder = SHARED_BYTES.iter().fold(tonic_prost_build::configure(), tonic_prost_build::Builder::bytes);
    builder
        .btree_map(".")
        .skip_debug(redacted)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        // Comments are Markdown for people who read .proto files; rustdoc would take parts of them for links and tests.
        .disable_comments(["."])
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}

/// Full names of the messages with a field that says `debug_redact`.
fn messages_that_redact(pool: &DescriptorPool) -> Vec<String> {
    let redacts = |field: FieldDescriptor| {
        field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
    };
    pool.all_messages()
        .filter(|message| message.package_name().starts_with("latchkey."))
        .filter(|message| message.fields().any(redacts))
        .map(|message| format!(".{}", message.full_name()))
        .collect()
}
