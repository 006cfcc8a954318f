//! What all replicas answered.

use super::VersionUse;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{NodeId, Revision, UnixMillis};
use latchkey_wire::pb::internal::v1 as pb;

/// By this share a clock may have run ahead while a replica counted: one in a thousand, as for leases.
const RATE_DIVISOR: u64 = 1_000;

/// What all replicas answered about some versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// The state that the leader had, confirmed by a quorum.
    pub revision: Revision,
    /// The time of the cluster once all had answered.
    pub now: UnixMillis,
    /// When the last replica left: what it saw before is lost.
    pub departed: Option<UnixMillis>,
    /// Every replica that may have answered for a key, ordered by region and id.
    pub replicas: Vec<Witness>,
    /// From when on each version is surely counted, in the order in which they were asked for; `None`: nobody counts it.
    pub counted_from: Vec<Option<UnixMillis>>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its id.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// What it has seen; `None`: it did not answer, and that is not silence.
    pub heard: Option<Heard>,
}

/// What one replica has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The number of its process life.
    pub incarnation: u64,
    /// Since when it counts: the beginning of that life, by the time of the cluster, never too early.
    pub watched_since: UnixMillis,
    /// Each version, in the order in which they were asked for.
    pub uses: Vec<VersionUse>,
}

impl Gathered {
    /// Reads the answer about `versions` versions. What a replica answered about another number of them is no answer.
    #[must_use]
    pub fn read(answer: &pb::GatherEvidenceResponse, versions: usize) -> Self {
        let now = UnixMillis::new(answer.now_unix_ms);
        let witness = |one: &pb::GatheredEvidence| {
            let answered = one.answer.as_ref().filter(|answer| answer.uses.len() == versions);
            let heard = answered.map(|answer| Heard {
                incarnation: answer.incarnation,
                watched_since: before(now, answer.watched_ms - answer.watched_ms / RATE_DIVISOR),
                uses: answer.uses.iter().map(|one_use| VersionUse::read(one_use, &one.region)).collect(),
            });
            Witness { node: NodeId(one.node_id), region: one.region.clone(), heard }
        };
        let counts = |one: &pb::GatheredEvidence| one.answer.is_some() || !planted::is(Plant::RetireUnheard);
        let counted_from = |place| {
            let from = answer.counted_from_unix_ms.get(place).copied();
            from.filter(|from| *from != u64::MAX).map(UnixMillis::new)
        };
        Self {
            revision: answer.revision.map(Into::into).unwrap_or_default(),
            now,
            departed: Some(answer.departed_unix_ms).filter(|at| *at > 0).map(UnixMillis::new),
            replicas: answer.replicas.iter().filter(|one| counts(one)).map(witness).collect(),
            counted_from: (0..versions).map(counted_from).collect(),
        }
    }

    /// The replicas that did not answer.
    pub fn unheard(&self) -> impl Iterator<Item = &Witness> {
        self.replicas.iter().filter(|witness| witness.heard.is_none())
    }

    /// What all replicas that answered saw of one version, by its place among those asked for.
    #[must_use]
    pub fn use_of(&self, place: usize) -> VersionUse {
        let uses = self.replicas.iter().filter_map(|witness| witness.heard.as_ref()?.uses.get(place));
        uses.fold(VersionUse::default(), |mut sum, one| {
            sum.merge(one.clone());
            sum
        })
    }

    /// Since when every use of a version is known; `None`: a replica did not answer, there is none, or nobody counts.
    ///
    /// All that could hide a use moves it later: a replica that restarted, one that left, what was forgotten for want of
    /// room, and a rotation that some replica may not have known yet.
    #[must_use]
    pub fn watched_since(&self, place: usize) -> Option<UnixMillis> {
        let mut since = (*self.counted_from.get(place)?)?.max(self.departed.unwrap_or_default());
        if self.replicas.is_empty() {
            return None;
        }
        for witness in &self.replicas {
            let heard = witness.heard.as_ref()?;
            let unknown_until = heard.uses.get(place)?.unknown_until.unwrap_or_default();
            since = since.max(heard.watched_since).max(unknown_until);
        }
        Some(since)
    }
}

/// So many milliseconds before.
const fn before(time: UnixMillis, millis: u64) -> UnixMillis {
    UnixMillis::new(time.millis().saturating_sub(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(node_id: u64, region: &str, answer: Option<pb::EvidenceResponse>) -> pb::GatheredEvidence {
        pb::GatheredEvidence { node_id, region: region.to_owned(), answer }
    }

    fn watched(watched_ms: u64, uses: Vec<pb::VersionUse>) -> Option<pb::EvidenceResponse> {
        Some(pb::EvidenceResponse { node_id: 1, incarnation: 7, watched_ms, uses })
    }

    fn gathered(replicas: Vec<pb::GatheredEvidence>) -> pb::GatherEvidenceResponse {
        pb::GatherEvidenceResponse {
            revision: None,
            now_unix_ms: 10_000_000,
            replicas,
            departed_unix_ms: 0,
            counted_from_unix_ms: vec![1_000],
        }
    }

    fn since(answer: &pb::GatherEvidenceResponse) -> Option<u64> {
        Gathered::read(answer, 1).watched_since(0).map(UnixMillis::millis)
    }

    #[test]
    fn the_replica_that_knows_least_says_since_when_all_is_known() {
        let long = || watched(9_000_000, vec![pb::VersionUse::default()]);
        let all = gathered(vec![answer(1, "eu", long()), answer(2, "us", long())]);
        // A clock that runs fast by one in a thousand has not watched for all that it says.
        assert_eq!(since(&all), Some(1_009_000));
        let restarted = watched(5_000, vec![pb::VersionUse::default()]);
        assert_eq!(since(&gathered(vec![answer(1, "eu", long()), answer(2, "us", restarted)])), Some(9_995_005));
        let forgot = pb::VersionUse { unknown_until_unix_ms: Some(9_000_000), ..pb::VersionUse::default() };
        let forgot = watched(9_000_000, vec![forgot]);
        assert_eq!(since(&gathered(vec![answer(1, "eu", forgot), answer(2, "us", long())])), Some(9_000_000));
        assert_eq!(since(&pb::GatherEvidenceResponse { departed_unix_ms: 8_000_000, ..all.clone() }), Some(8_000_000));
        let late = pb::GatherEvidenceResponse { counted_from_unix_ms: vec![9_999_000], ..all };
        assert_eq!(since(&late), Some(9_999_000));
    }

    #[test]
    fn who_did_not_answer_leaves_nothing_known() {
        let long = || watched(9_000_000, vec![pb::VersionUse::default()]);
        let away = gathered(vec![answer(1, "eu", long()), answer(2, "us", None)]);
        assert_eq!(since(&away), None);
        let read = Gathered::read(&away, 1);
        assert_eq!(read.unheard().map(|witness| witness.region.as_str()).collect::<Vec<_>>(), ["us"]);
        let short = gathered(vec![answer(1, "eu", long()), answer(2, "us", watched(9_000_000, Vec::new()))]);
        assert_eq!(since(&short), None, "an answer about another number of versions is none");
        assert_eq!(since(&gathered(Vec::new())), None, "nobody at all is not everybody");
        let nobody = pb::GatherEvidenceResponse {
            counted_from_unix_ms: vec![u64::MAX],
            ..gathered(vec![answer(1, "eu", long())])
        };
        assert_eq!(since(&nobody), None);
    }
}
