//! No `VALID` is begun after a revocation was acknowledged and its bound is over.

use super::{Invariant, Look};
use latchkey_domain::DurationMillis;
use latchkey_registry::wait_ms;

pub(super) struct AfterTheBound;

impl Invariant for AfterTheBound {
    fn name(&self) -> &'static str {
        "no VALID after the bound"
    }

    fn look(&mut self, look: &Look<'_>) -> Result<(), String> {
        for one in look.decided.iter().filter(|one| one.answer.is_valid()) {
            let Some(revoked) = &look.history.keys[one.key].revoked else { continue };
            let acknowledged_ms = revoked.write.answered_ms;
            let until_ms = acknowledged_ms + wait_ms(DurationMillis::new(revoked.bound_ms));
            if look.now_ms > until_ms {
                return Err(format!(
                    "replica {} accepts key {}, whose revocation at {} was acknowledged at {acknowledged_ms} ms; with a \
                     bound of {} ms nobody may after {until_ms} ms",
                    one.node, one.key, revoked.write.revision, revoked.bound_ms
                ));
            }
        }
        Ok(())
    }
}
