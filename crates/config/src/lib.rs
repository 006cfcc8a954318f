//! Settings: defaults < file < environment < flags, all mistakes at once (rank 4).
