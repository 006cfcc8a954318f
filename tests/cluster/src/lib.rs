//! Tests: cluster.
