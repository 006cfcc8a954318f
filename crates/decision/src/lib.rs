//! Presented -> Resolved -> Permit -> Admitted -> Verdict (rank 3, pure).
