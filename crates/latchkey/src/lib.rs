//! The command line, and every service in one process (rank 9).
