//! The validation service (rank 8).
