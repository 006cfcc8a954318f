//! Logs, traces and metrics (rank 4).
