//! Key-encryption keys: a file today (rank 5).
