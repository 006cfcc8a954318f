//! openraft + storage + state (rank 7).
