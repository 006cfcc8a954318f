//! Where what went wrong becomes a gRPC status. The only place: each `match` is without `_`, so that a new variant does
//! not compile until somebody has decided its code, reason and metadata.
//!
//! Every status carries `google.rpc.ErrorInfo { reason, domain: "latchkey", metadata }`; what can be tried again carries
//! `RetryInfo`, what is full `QuotaFailure`, what is malformed `BadRequest`, what has to change first
//! `PreconditionFailure`. The reasons are documented in `proto/latchkey/v1/errors.proto`; a test reads the codes and the
//! metadata keys from its comments and compares.

mod answer;
mod refusal;
mod rejection;
mod unavailable;

use std::sync::atomic::{AtomicU64, Ordering};

use latchkey_domain::Sequence;
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1::ErrorReason as Reason;
use tonic::{Code, Status};

use answer::Answer;
pub use refusal::refused;
pub use rejection::Rejection;
pub use unavailable::Unavailable;

/// The time of a call ran out.
#[must_use]
pub fn deadline_exceeded() -> Status {
    Answer::new(
        Code::DeadlineExceeded,
        Reason::DeadlineExceeded,
        "the time of the call ran out; a write may have happened: repeat it with the same request_id",
    )
    .into_status()
}

/// Entries of the audit log from `asked` on were asked for, of which those below `kept_from` are kept no longer.
#[must_use]
pub fn entries_not_kept(asked: Sequence, kept_from: Sequence) -> Status {
    let (Sequence(asked), Sequence(kept_from)) = (asked, kept_from);
    let message =
        format!("the entries from {asked} on are kept no longer, up to {kept_from}, from which one can go on");
    Answer::new(Code::OutOfRange, Reason::EntriesNotKept, message)
        .with("asked", &asked)
        .with("kept_from", &kept_from)
        .into_status()
}

/// A bug: something that cannot be, was. `what` is logged and not told; the caller gets an id to ask about.
#[must_use]
pub fn bug(what: &str) -> Status {
    let incident = incident();
    tracing::error!(incident, what, "bug");
    Answer::new(
        Code::Internal,
        Reason::Internal,
        format!("a bug; the log of the process has it under incident {incident}"),
    )
    .with("incident", &incident)
    .into_status()
}

/// Unique in the log of one process, over its restarts within one boot.
fn incident() -> String {
    static BUGS: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{:x}", SystemClock.boottime_millis(), BUGS.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests;
