//! The Merkle leaf and frontier of the audit tree (rank 1, pure).
