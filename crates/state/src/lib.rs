//! The replicated state machine: Command -> apply -> Applied (rank 2, pure).
