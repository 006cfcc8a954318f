//! The audit tree: what a leaf is, and the frontier that gives the root after each of them (rank 1, pure).
//!
//! In: the commitment to an event, the leaf and node hashes, the frontier that the replicated state carries.
//! Out: what an event's bytes are (`state`), where `o` comes from (`crypto::opening`), proofs and checkpoints, which
//! need the leaves and so live where the leaves are kept.
//!
//! ```text
//! commitment = SHA-256(o || event)                     hides the event from whoever sees the tree
//! leaf       = SHA-256(0x00 || format || sequence || epoch || index || commitment)
//! node       = SHA-256(0x01 || left || right)          RFC 6962, section 2.1
//! ```
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod frontier;
mod hash;
mod leaf;

pub use frontier::{Frontier, FrontierError};
pub use hash::{Hash, empty_root, node_hash};
pub use leaf::{commitment, leaf_hash};
