//! The audit tree: what a leaf is, the frontier, and all that proves something of it to whoever was not there (rank 1, pure).
//!
//! In: the commitment to an event, the leaf and node hashes, the frontier that the replicated state carries; proofs that a
//! leaf is in a tree and that a tree begins with another, and their verification; [`note`], signed texts and who vouches for
//! them; [`Checkpoint`]; tiles and bundles as [`TileId`] names them; [`ProofFile`].
//! Out: what an event's bytes are (`state`), where `o` comes from (`crypto::opening`), where nodes lie: whoever keeps them
//! implements [`Nodes`], or fetches what [`inclusion_nodes`] and [`consistency_nodes`] name and hands over [`KnownNodes`].
//!
//! ```text
//! commitment = SHA-256(o || event)                     hides the event from whoever sees the tree
//! leaf       = SHA-256(0x00 || format || sequence || epoch || index || commitment)
//! node       = SHA-256(0x01 || left || right)          RFC 6962, section 2.1
//! checkpoint = origin, size, root; signed              c2sp.org/tlog-checkpoint, signed-note, tlog-cosignature
//! tile       = 256 hashes; bundle = 256 preimages      c2sp.org/tlog-tiles
//! proof file = leaf, path, checkpoint                  c2sp.org/tlog-proof
//! ```
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod checkpoint;
mod consistency;
mod edge;
mod frontier;
mod handover;
mod hash;
mod inclusion;
mod leaf;
mod nodes;
pub mod note;
mod proof_file;
#[cfg(feature = "testing")]
pub mod testing;
mod tile;
mod tile_id;
mod unproven;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use consistency::{consistency_nodes, consistency_proof, verify_consistency};
pub use edge::Edge;
pub use frontier::{Frontier, FrontierError};
pub use handover::{Handover, HandoverError};
pub use hash::{Hash, empty_root, node_hash};
pub use inclusion::{inclusion_nodes, inclusion_proof, root_by, verify_inclusion};
pub use leaf::{LEAF_BYTES, Leaf, commitment, hash_preimage, leaf_hash, leaf_preimage};
pub use nodes::{KnownNodes, NodeId, NodeMissing, Nodes, root_nodes, root_of};
pub use proof_file::{Evidence, PROOF_BYTES_MAX, ProofFile, ProofFileError, proof_file_name};
pub use tile::{EntryTile, Tile, TileError};
pub use tile_id::{PathError, Resource, TILE_WIDTH, TileId};
pub use unproven::{ProofError, Unproven};
