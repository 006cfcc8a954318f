//! What all replicas together have seen of the versions of a rotation, and what follows from it.
//!
//! ```text
//! each replica -> leader -> gather -> Evidence -> may_retire, new_seen               (pure)
//!    counts       asks all   merge       '-> to_record: what a decision stands on    '-> shown: GetRotation
//! ```
//! Silence is claimed only of a time that every replica has watched. Whatever keeps that from being known (a region that
//! is cut off, a replica that restarted, one that left) counts as use, and is named.

mod judge;
mod shown;

pub(crate) use judge::{may_retire, new_seen};

use latchkey_domain::{DisplayName, NodeId, UnixMillis, VersionId};
use latchkey_link::Registry;
use latchkey_link::evidence::{Gathered, VERSIONS_PER_GATHERING, VersionUse};
use latchkey_state::{CALLERS_MAX, Caller};
use tokio::time::Instant;
use tonic::Status;

/// Rotations that one gathering asks about.
pub(crate) const ROTATIONS_PER_GATHERING: usize = VERSIONS_PER_GATHERING / 2;

/// What a rotation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// The version whose place is taken.
    pub(crate) old: Option<VersionId>,
    /// The version that takes it.
    pub(crate) new: VersionId,
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What a decision needs.
    Totals,
    /// The curves as well, for people.
    Curves,
}

/// A replica that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unheard {
    pub(crate) region: String,
    pub(crate) replica: NodeId,
}

/// What all replicas together have seen of the versions of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// When they were asked, by the time of the cluster.
    pub(crate) now: UnixMillis,
    /// The use of the old version; `None`: there is none.
    pub(crate) old: Option<VersionUse>,
    /// The use of the new version.
    pub(crate) new: VersionUse,
    /// Since when all use of both is known; `None`: some replica did not answer.
    pub(crate) watched_since: Option<UnixMillis>,
    /// The replicas that did not answer.
    pub(crate) unheard: Vec<Unheard>,
}

/// Asks all replicas once about rotations, at most [`ROTATIONS_PER_GATHERING`]; what they saw of each, in that order.
///
/// # Errors
/// `UNAVAILABLE`: nobody leads.
pub(crate) async fn gather<R: Registry>(
    registry: &R,
    rotations: &[Watched],
    detail: Detail,
    by: Instant,
) -> Result<Vec<Evidence>, Status> {
    if rotations.is_empty() {
        return Ok(Vec::new());
    }
    let versions: Vec<_> = rotations.iter().flat_map(|one| [Some(one.new), one.old]).flatten().collect();
    let gathered = registry.evidence(&versions, detail == Detail::Curves, by).await?;
    let mut place = 0;
    let mut next = || {
        place += 1;
        place - 1
    };
    let places = rotations.iter().map(|one| (next(), one.old.map(|_| next())));
    Ok(places.map(|(new, old)| evidence(&gathered, new, old)).collect())
}

fn evidence(gathered: &Gathered, new: usize, old: Option<usize>) -> Evidence {
    let since = |place| gathered.watched_since(place);
    let unheard = gathered.unheard().map(|one| Unheard { region: one.region.clone(), replica: one.node });
    Evidence {
        now: gathered.now,
        old: old.map(|place| gathered.use_of(place)),
        new: gathered.use_of(new),
        // Of the new version it is asked whether it was seen, never whether it was silent: the old one decides.
        watched_since: since(old.unwrap_or(new)),
        unheard: unheard.collect(),
    }
}

/// What a decision stands on, as it is written down with it: with when a consumer was `seen` to use the new version.
pub(crate) fn to_record(evidence: &Evidence, seen: Option<UnixMillis>) -> latchkey_state::Evidence {
    let old = evidence.old.as_ref();
    let callers = old.map(|old| old.latest_callers(CALLERS_MAX)).unwrap_or_default();
    let caller = |caller: &latchkey_link::evidence::CallerUse| Caller {
        network: caller.network,
        user_agent: DisplayName::parse(&caller.user_agent).unwrap_or_default(),
        last_used: caller.last,
        count: caller.count,
    };
    latchkey_state::Evidence {
        old_last_used: old.and_then(|old| old.last),
        new_first_used: seen,
        // Nothing was watched where somebody did not answer.
        watched_since: evidence.watched_since.unwrap_or(evidence.now),
        callers: callers.into_iter().map(caller).collect(),
    }
}
