//! Why there is no proof, and what is wrong with one.
use crate::Hash;
use core::fmt;

/// Why a proof cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError<E> {
    /// The tree does not reach there.
    Beyond {
        /// The leaf, or the size of the older tree.
        asked: u64,
        /// The size of the tree, in leaves.
        size: u64,
    },
    /// A node cannot be had.
    Node(E),
}

impl<E> fmt::Display for ProofError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond { asked, size } => write!(f, "expected less than the tree's size {size}, found {asked}"),
            Self::Node(_) => f.write_str("a node of the tree cannot be had"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ProofError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Beyond { .. } => None,
            Self::Node(error) => Some(error),
        }
    }
}

/// What is wrong with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The tree does not reach there.
    Beyond {
        /// The leaf, or the size of the older tree.
        asked: u64,
        /// The size of the tree, in leaves.
        size: u64,
    },
    /// The proof has another number of hashes than one for these sizes.
    Length {
        /// How many it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The proof leads to another root.
    Root {
        /// The root to be shown.
        expected: Hash,
        /// The root that it leads to.
        found: Hash,
    },
    /// The proof of consistency leads to another root of the older tree.
    OldRoot {
        /// The root to be shown.
        expected: Hash,
        /// The root that it leads to.
        found: Hash,
    },
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond { asked, size } => write!(f, "expected less than the tree's size {size}, found {asked}"),
            Self::Length { expected, found } => write!(f, "expected a proof of {expected} hashes, found {found}"),
            Self::Root { expected, found } => write!(f, "expected the root {expected}, the proof leads to {found}"),
            Self::OldRoot { expected, found } => {
                write!(f, "expected the older root {expected}, the proof leads to {found}")
            }
        }
    }
}

impl core::error::Error for Unproven {}
