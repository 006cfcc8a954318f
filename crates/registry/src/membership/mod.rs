//! Who belongs to the cluster, and who leads it.
//!
//! The table of replicas in the state says what each replica is *meant* to be; raft's membership is what it *is*. What an
//! operator asks is checked by the leader and written to the table (`check`); the leader's duty then makes the
//! membership follow (`follow`), one change at a time. So whatever a leader leaves half done, the next one finishes: it
//! reads the same table.
//!
//! Whoever is to leave gets no more leases first, and leaves once it has said that it answers no more, or its last lease
//! has ended (rule 2 of the barrier): `removal`. Leadership is handed over in silence: `hand_over`. A leader that hears no
//! quorum takes no writes and lets go of those that wait: `isolation`.

mod check;
mod follow;
mod hand_over;
mod isolation;
mod plan;
mod removal;
mod roster;

pub(crate) use check::{CAUGHT_UP_RECORDS_MAX, check};
pub(crate) use follow::Following;
pub use roster::Roster;
pub(crate) use roster::write_roster;
