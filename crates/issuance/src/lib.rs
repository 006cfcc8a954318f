//! The issuance service (rank 8).
