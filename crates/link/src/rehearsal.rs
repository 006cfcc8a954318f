//! `validate_only`: the real state machine, on a copy of the whole state. So a rehearsal and the real thing never
//! disagree, neither about a rule nor about what there is.

use latchkey_domain::{Revision, UnixMillis};
use latchkey_state::{Applied, State};
use latchkey_transport::{Rejection, status};
use latchkey_wire::applied::write_applied;
use latchkey_wire::disk::read_command;
use latchkey_wire::pb::disk::v1 as disk;
use latchkey_wire::pb::internal::v1 as pb;
use tonic::Status;

/// Carries a command out on a copy of `state`, at `now`, and tells what would become of it. What is told is of the
/// revision of `state`: the next one is not ours to give.
///
/// # Errors
/// `INTERNAL` where one of our services sent what is no command; `UNIMPLEMENTED` for what only a leader asks for.
pub fn rehearse(state: &State, now: UnixMillis, command: &disk::Command) -> Result<pb::Applied, Status> {
    let mut command = read_command(command).map_err(|error| status::bug(&error.to_string()))?;
    if command.is_of_replica() {
        return Err(Rejection::NotServedHere.into());
    }
    command.at = now;
    let revision = state.revision();
    let mut copy = state.clone();
    let applied = copy.apply(Revision::new(revision.epoch, revision.index + 1), &command);
    Ok(write_applied(&copy, now, &Applied { revision, ..applied }))
}
