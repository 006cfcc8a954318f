//! Tests: power_loss.
