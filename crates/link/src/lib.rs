//! The client of latchkey.internal.v1: find the leader, propose, query, follow (rank 6).
