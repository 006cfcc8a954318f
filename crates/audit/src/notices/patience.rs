//! How long is waited for one tenant's contacts: notices go one after the other, so one tenant must not use up the time of all.

use std::collections::HashMap;
use std::time::Duration;

/// How long is waited within an hour for contacts of one tenant that could not be told.
const WAIT_MAX: Duration = Duration::from_secs(120);
const HOUR_SECONDS: u64 = 3_600;

/// How long was waited in this hour, by tenant.
#[derive(Debug, Default)]
pub(super) struct Patience {
    hour: u64,
    waited: HashMap<String, Duration>,
}

impl Patience {
    /// Whether there is any left for a tenant.
    pub(super) fn is_left(&self, unix_seconds: u64, tenant: &str) -> bool {
        let waited = self.waited.get(tenant).copied().unwrap_or_default();
        self.hour != unix_seconds / HOUR_SECONDS || waited < WAIT_MAX
    }

    /// Counts what was waited for nothing.
    pub(super) fn waited(&mut self, unix_seconds: u64, tenant: &str, wait: Duration) {
        let hour = unix_seconds / HOUR_SECONDS;
        if self.hour != hour {
            *self = Self { hour, waited: HashMap::new() };
        }
        *self.waited.entry(tenant.to_owned()).or_default() += wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_uses_up_its_own_patience_until_the_hour_is_over() {
        let mut patience = Patience::default();
        patience.waited(3_600, "acme", WAIT_MAX / 2);
        assert!(patience.is_left(3_700, "acme"));
        patience.waited(3_700, "acme", WAIT_MAX / 2);
        assert!(!patience.is_left(3_800, "acme") && patience.is_left(3_800, "other"));
        assert!(patience.is_left(7_200, "acme"));
    }
}
