//! Ids, secrets, digests and envelopes of new keys (rank 3, pure).
