//! What this process can do right now, as `grpc.health.v1` tells it. No identity is needed to ask.

use latchkey_telemetry::names;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The names that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `""`: the process is up, and not about to end.
    Process,
    /// `latchkey.validate`: it can validate (state loaded, fresh, not fenced).
    Validate,
    /// `latchkey.write`: what changes something gets through to a leader.
    Write,
}

impl Probe {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "",
            Self::Validate => "latchkey.validate",
            Self::Write => "latchkey.write",
        }
    }
}

/// The handle with which a service says what it can do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    pub(crate) fn new(reporter: HealthReporter) -> Self {
        Self { reporter }
    }

    /// Sets one probe; watchers hear of it. A name that was never set is unknown (`NOT_FOUND`), so a service sets the
    /// names that concern it, to `false` to begin with. `""` is `true` from the start.
    pub async fn set(&self, probe: Probe, serving: bool) {
        metrics::gauge!(names::SERVES, "probe" => probe.as_str()).set(f64::from(u8::from(serving)));
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(probe.as_str(), status).await;
    }
}
