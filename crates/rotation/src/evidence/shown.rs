//! Evidence as `GetRotation` shows it.

use super::{Detail, Evidence, Watched, gather};
use crate::Handlers;
use latchkey_domain::VersionName;
use latchkey_link::Registry;
use latchkey_link::evidence::{CallerUse, Curve, VersionUse};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;
use std::time::Duration;
use tokio::time::Instant;

/// Callers that are shown of a version.
const CALLERS_MAX: usize = 16;

/// How long a reader waits for evidence: it is told without it what the cluster knows.
const WAIT_MAX: Duration = Duration::from_millis(1_200);

impl<R: Registry> Handlers<R> {
    /// What is known of the use of a rotation's versions; `None` where it is over, or nobody can be asked.
    pub(crate) async fn shown_evidence(&self, rotation: &v1::Rotation, by: Instant) -> Option<v1::RotationEvidence> {
        if rotation.end_time.is_some() {
            return None;
        }
        let version = |name: &str| VersionName::parse(name).ok().map(|name| name.version);
        let watched = Watched { old: version(&rotation.old_version), new: version(&rotation.new_version)? };
        let by = by.min(Instant::now() + WAIT_MAX);
        let gathered = gather(&*self.registry, &[watched], Detail::Curves, by).await;
        let gathered = gathered.inspect_err(|error| {
            tracing::debug!(code = %error.code(), "a rotation is shown without evidence");
        });
        Some(write(&gathered.ok()?.pop()?, rotation))
    }
}

fn write(evidence: &Evidence, rotation: &v1::Rotation) -> v1::RotationEvidence {
    let unheard = evidence.unheard.iter();
    v1::RotationEvidence {
        time: Some(write_time(evidence.now)),
        old: evidence.old.as_ref().map(|old| write_use(old, &rotation.old_version)),
        new: Some(write_use(&evidence.new, &rotation.new_version)),
        watched_since_time: evidence.watched_since.map(write_time),
        unheard: unheard
            .map(|one| v1::rotation_evidence::Unheard { region: one.region.clone(), replica: one.replica.0 })
            .collect(),
    }
}

fn write_use(seen: &VersionUse, version: &str) -> v1::rotation_evidence::Use {
    let curve: &Curve = &seen.curve;
    v1::rotation_evidence::Use {
        version: version.to_owned(),
        count: seen.count,
        first_use_time: seen.first.map(write_time),
        last_use_time: seen.last.map(write_time),
        curve_start_time: curve.began().map(write_time),
        curve_bucket: curve
            .began()
            .map(|_| prost_types::Duration { seconds: i64::try_from(curve.width_s()).unwrap_or(i64::MAX), nanos: 0 }),
        curve_counts: curve.counts().iter().map(|count| u64::from(*count)).collect(),
        callers: seen.latest_callers(CALLERS_MAX).into_iter().map(write_caller).collect(),
        unnamed_count: seen.unnamed,
    }
}

fn write_caller(caller: &CallerUse) -> v1::rotation_evidence::Caller {
    v1::rotation_evidence::Caller {
        region: caller.region.to_string(),
        network: caller.network.map(|network| network.to_string()).unwrap_or_default(),
        user_agent: caller.user_agent.to_string(),
        tags: caller.tags.iter().map(ToString::to_string).collect(),
        last_use_time: Some(write_time(caller.last)),
        count: caller.count,
    }
}
