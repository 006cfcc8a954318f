//! sled, fenced: the log, the state rows, snapshot files (rank 5).
