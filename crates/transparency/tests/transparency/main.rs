//! Proofs against a second, naive implementation, and against one that others wrote.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

mod naive;
mod oracle;
mod proof_files;
mod proofs;
