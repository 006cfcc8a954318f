//! A leader that hears no quorum. It keeps the word leader, and what is proposed to it hangs; so it takes nothing new
//! (`Leadership::stamp`), and lets go of what waits already. What was appended here may still be committed by whoever leads
//! next, so its proposer is told that the outcome is unknown.

use crate::registry::Registry;

impl Registry {
    /// Returns once this replica leads and has heard no quorum for too long.
    pub(crate) async fn until_isolated(&self) {
        let mut ticks = tokio::time::interval(self.renewal().interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.leadership().is_isolated() {
                return;
            }
        }
    }
}
