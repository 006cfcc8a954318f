//! Who is told of calls whose caller proved no identity, whichever service refused them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Whoever is told: the method as telemetry names it, and where the call came from. It is told while the answer leaves, and
/// must not wait.
#[derive(Clone)]
pub struct Strangers(Arc<Tell>);

type Tell = dyn Fn(&str, Option<IpAddr>) + Send + Sync;

impl Strangers {
    /// Tells by a function.
    #[must_use]
    pub fn new(tell: impl Fn(&str, Option<IpAddr>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, method: &str, client: Option<IpAddr>) {
        (self.0)(method, client);
    }
}

impl fmt::Debug for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strangers")
    }
}
