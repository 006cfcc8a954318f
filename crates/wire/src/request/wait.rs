//! How long a write waits before it answers.

use crate::pb::v1;
use crate::time::read_span;
use crate::violation::Fields;
use latchkey_domain::DurationMillis;

/// The wait of a creating call that names none.
pub const CREATE_WAIT_DEFAULT: DurationMillis = DurationMillis::from_secs(2);
/// The wait of a revoking call that names none.
pub const REVOKE_WAIT_DEFAULT: DurationMillis = DurationMillis::from_secs(10);
/// The longest wait: beyond it a caller asks again rather than holding a call open.
pub const WAIT_MAX: DurationMillis = DurationMillis::from_secs(60);

/// How long a write waits before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until a majority of the voters has it.
    Committed,
    /// Until every replica decides by it, or the time is over.
    AllRegions(DurationMillis),
}

pub(super) fn read(
    fields: &mut Fields,
    wait_for: i32,
    wait_timeout: Option<&prost_types::Duration>,
    default: DurationMillis,
) -> Option<Wait> {
    let timeout = fields.take_optional("wait_timeout", wait_timeout.map(read_span));
    if timeout.flatten().is_some_and(|timeout| timeout > WAIT_MAX) {
        fields.refuse("wait_timeout", format_args!("must be at most {WAIT_MAX}"));
    }
    match v1::WaitFor::try_from(wait_for) {
        Ok(v1::WaitFor::Unspecified | v1::WaitFor::AllRegions) => Some(Wait::AllRegions(timeout?.unwrap_or(default))),
        Ok(v1::WaitFor::Committed) => {
            if wait_timeout.is_some() {
                fields.refuse("wait_timeout", "must be absent with WAIT_FOR_COMMITTED, which waits for no region");
            }
            Some(Wait::Committed)
        }
        Err(_) => {
            fields.refuse("wait_for", format_args!("{wait_for} is none of its values"));
            None
        }
    }
}
