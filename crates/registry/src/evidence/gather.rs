//! The leader asks all replicas.

use super::{SETTLE_INTERVAL, read_versions};
use crate::propose::ProposeError;
use crate::registry::Registry;
use latchkey_domain::{DurationMillis, NodeId, UnixMillis, VersionId};
use latchkey_link::evidence::{counted_from, departed};
use latchkey_transport::Unavailable;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::request::Consistency;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Status};

/// How long one replica may take. A round trip over an ocean takes a third.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Kept back of the time that there is, so that whoever asked hears who did not answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

impl Registry {
    /// Asks every replica that may have answered for a key what it has seen, as leader: the members, learners and those
    /// that are away among them, and whoever else may still hold a lease.
    ///
    /// # Errors
    /// [`ProposeError::Elsewhere`] and [`ProposeError::Unavailable`] where this replica does not lead: one that others
    /// have left behind does not know of the replicas that came since.
    pub(crate) async fn gather_evidence(
        &self,
        versions: &[VersionId],
        curves: bool,
        within: Duration,
    ) -> Result<pb::GatherEvidenceResponse, ProposeError> {
        let ends = Instant::now() + within.saturating_sub(ANSWER_MARGIN).min(ANSWER_MAX);
        let not_leading = || {
            let nobody = Unavailable::NoLeader { node: Some(self.node()) };
            self.elsewhere().unwrap_or(nobody.into())
        };
        if !self.leads() {
            return Err(not_leading());
        }
        let view = self.reader().view(Consistency::FullyConsistent, within).await.map_err(|_| not_leading())?;
        let revision = view.state().revision();
        // Nothing is waited for: whatever a replica has applied, it is to be heard.
        let everyone = self.confirm(revision.index, DurationMillis::ZERO, Duration::ZERO).await?;
        let mut asked = JoinSet::new();
        for one in everyone {
            let (registry, versions) = (self.clone(), versions.to_vec());
            asked.spawn(async move {
                let (node, region) = (one.replica.node, one.replica.member.region.clone());
                let answer = registry.ask_evidence(node, &one.replica.member, &versions, curves, ends).await;
                let answer = answer.inspect_err(|error| {
                    tracing::debug!(%node, %region, code = %error.code(), "a replica did not tell what it has seen");
                });
                pb::GatheredEvidence { node_id: node.0, region, answer: answer.ok() }
            });
        }
        let mut replicas = asked.join_all().await;
        replicas.sort_by(|a, b| (&a.region, a.node_id).cmp(&(&b.region, b.node_id)));
        let (state, now) = (view.state(), view.now());
        let counted = |version: &VersionId| counted_from(state, *version).map_or(u64::MAX, UnixMillis::millis);
        Ok(pb::GatherEvidenceResponse {
            revision: Some(revision.into()),
            now_unix_ms: now.millis(),
            replicas,
            departed_unix_ms: departed(state).map_or(0, UnixMillis::millis),
            counted_from_unix_ms: versions.iter().map(counted).collect(),
        })
    }

    async fn ask_evidence(
        &self,
        node: NodeId,
        member: &crate::types::Member,
        versions: &[VersionId],
        curves: bool,
        ends: Instant,
    ) -> Result<pb::EvidenceResponse, Status> {
        if node == self.node() {
            return Ok(self.own_evidence().answer(node.0, versions, curves));
        }
        let mut request = Request::new(pb::EvidenceRequest {
            target: Some(self.peers().target(node)),
            version_ids: versions.iter().map(|version| version.bytes().to_vec()).collect(),
            curves,
        });
        request.set_timeout(ends.saturating_duration_since(Instant::now()));
        let mut client = self.peers().registry(node, member);
        let answer = timeout_at(ends, client.evidence(request)).await;
        Ok(answer.map_err(|_| Status::deadline_exceeded("it did not answer in time"))??.into_inner())
    }

    /// As [`Self::gather_evidence`], wherever the leader is.
    pub(crate) async fn evidence_of_all(
        &self,
        versions: &[VersionId],
        curves: bool,
        within: Duration,
    ) -> Result<pb::GatherEvidenceResponse, Status> {
        match self.gather_evidence(versions, curves, within).await {
            Ok(gathered) => Ok(gathered),
            Err(ProposeError::Elsewhere(leader, member)) => {
                let mut request = Request::new(pb::GatherEvidenceRequest {
                    target: Some(self.peers().target(leader)),
                    version_ids: versions.iter().map(|version| version.bytes().to_vec()).collect(),
                    curves,
                });
                request.set_timeout(within);
                Ok(self.peers().registry(leader, &member).gather_evidence(request).await?.into_inner())
            }
            Err(error) => Err(crate::registry_service::propose_status(self, &error)),
        }
    }

    /// As leader, for another process.
    pub(crate) async fn answer_gathering(
        &self,
        request: &pb::GatherEvidenceRequest,
        within: Duration,
    ) -> Result<pb::GatherEvidenceResponse, Status> {
        let versions = read_versions(&request.version_ids)?;
        let gathered = self.gather_evidence(&versions, request.curves, within).await;
        gathered.map_err(|error| crate::registry_service::propose_status(self, &error))
    }

    /// Forgets what nobody asks about any more now: for tests, which have no minute.
    #[doc(hidden)]
    pub fn settle_evidence_now(&self) {
        self.own_evidence().settle(|| self.core().state());
    }

    /// Forgets what nobody asks about any more, for as long as this replica runs.
    pub(crate) async fn settle_evidence(self) {
        let mut ticks = tokio::time::interval(SETTLE_INTERVAL);
        loop {
            ticks.tick().await;
            let registry = self.clone();
            // Up to 65,536 look-ups: raft's heartbeats must not wait for them.
            let settled = move || registry.own_evidence().settle(|| registry.core().state());
            drop(tokio::task::spawn_blocking(settled).await);
        }
    }
}
