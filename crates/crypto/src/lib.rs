//! Key text, digests and the envelope of what lies at rest (rank 1, pure).
