//! Answering `QueryUsage`: names to numbers, numbers to names.

use super::names::Kind;
use super::query::{Query, QueryError, Shown, Subject};
use super::request::{Parent, QueryUsage};
use super::show::{Names, series};
use crate::collect::{Observed, ObservedError, Snapshot};
use latchkey_domain::{KeyspaceName, TenantNumber, UnixMillis};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;
use v1::query_usage_request::Step;

/// A question with its numbers, as far as the registry knows them.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) asked: QueryUsage,
    /// The tenant of the parent. 0: the parent is the system.
    pub(crate) tenant: TenantNumber,
    /// The keyspace of the parent, where it still is. `None`: it is none, or it is gone.
    pub(crate) keyspace: Option<u32>,
    /// Whether the caller may see what concerns all tenants.
    pub(crate) sees_all: bool,
    pub(crate) now: UnixMillis,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The keyspace of the parent is not there, and nobody ever used it.
    #[error("there is no {0}, and there never was any usage of it")]
    NotFound(KeyspaceName),
    /// It cannot be asked so, or not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl From<ObservedError> for AnswerError {
    fn from(error: ObservedError) -> Self {
        Self::Query(error.into())
    }
}

impl Asked {
    /// Answers. Blocks the thread.
    pub(crate) fn answer(self, observed: &Observed) -> Result<v1::QueryUsageResponse, AnswerError> {
        let snapshot = observed.snapshot();
        let kept_since = observed.kept_since_ms(self.asked.tier, self.now.millis());
        let mut answer = self.frame(&snapshot, kept_since);
        let Some(subject) = self.subject(observed)? else { return Ok(answer) };
        let query = self.query(subject, &snapshot, observed, kept_since)?;
        let mut names = Names::new(observed);
        let Shown { found, left_out_series, left_out_requests } = query.run(observed)?;
        (answer.left_out_series, answer.left_out_requests) = (left_out_series, left_out_requests);
        for found in found {
            answer.series.push(series(found, &query, &snapshot.regions, &mut names)?);
        }
        Ok(answer)
    }

    fn frame(&self, snapshot: &Snapshot, kept_since: u64) -> v1::QueryUsageResponse {
        let step = match self.asked.tier {
            crate::collect::Tier::Minutes => Step::Minute,
            crate::collect::Tier::Hours => Step::Hour,
            _ => Step::Day,
        };
        let lost = snapshot.lost;
        v1::QueryUsageResponse {
            series: Vec::new(),
            complete_through: snapshot.complete_ms.map(|at| write_time(UnixMillis::new(at))),
            kept_since: Some(write_time(UnixMillis::new(kept_since))),
            step: step.into(),
            lost: self.sees_all.then_some(v1::UsageLost {
                requests: lost.requests,
                records: lost.lines,
                batches: lost.batches,
                restarts: lost.restarts,
            }),
            missing_replicas: if self.sees_all { snapshot.missing.clone() } else { Vec::new() },
            left_out_series: 0,
            left_out_requests: 0,
        }
    }

    /// The parent by number; `None`: nobody ever used it.
    fn subject(&self, observed: &Observed) -> Result<Option<Subject>, AnswerError> {
        let tenant = self.tenant;
        let keyspace = |name: &KeyspaceName| match self.keyspace {
            Some(number) => Ok(number),
            None => {
                let number = observed.numbered(tenant, Kind::Keyspace, &name.to_string())?;
                number.ok_or_else(|| AnswerError::NotFound(name.clone()))
            }
        };
        Ok(match &self.asked.parent {
            Parent::System => Some(Subject::All),
            Parent::Tenant(_) => Some(Subject::Tenant(tenant)),
            Parent::Keyspace(name) => Some(Subject::Keyspace(tenant, keyspace(name)?)),
            Parent::Key(name) => Some(Subject::Key(tenant, keyspace(&name.keyspace)?, name.key)),
            Parent::Owner(name) => {
                observed.numbered(tenant, Kind::Owner, &name.to_string())?.map(|owner| Subject::Owner(tenant, owner))
            }
        })
    }

    fn query(
        &self,
        subject: Subject,
        snapshot: &Snapshot,
        observed: &Observed,
        kept_since: u64,
    ) -> Result<Query, AnswerError> {
        let asked = &self.asked;
        let keyspace = match &asked.keyspace {
            None => None,
            // One of another tenant, or one that nobody used: none has the number 2^32 - 1.
            Some(name) => Some(
                observed.numbered(self.tenant_of_filter()?, Kind::Keyspace, &name.to_string())?.unwrap_or(u32::MAX),
            ),
        };
        let regions = (!asked.regions.is_empty()).then(|| {
            let counts = |region: &String| asked.regions.iter().all(|(name, is_equal)| (name == region) == *is_equal);
            let numbers = (0..).zip(&snapshot.regions).filter(|(_, region)| counts(region));
            numbers.map(|(number, _)| number).collect()
        });
        let outcomes = (!asked.outcomes.is_empty()).then(|| {
            let counts = |slot: &u16| asked.outcomes.iter().all(|(outcome, is_equal)| (outcome == slot) == *is_equal);
            super::counts::OUTCOMES.filter(counts).collect()
        });
        let start = asked.steps.start.max(asked.tier.step_at(kept_since));
        Ok(Query {
            subject,
            tier: asked.tier,
            steps: start..asked.steps.end.max(start),
            primary: asked.primary,
            by_region: asked.by_region,
            by_outcome: asked.by_outcome,
            by_status_class: asked.by_status_class,
            top_n: asked.top_n,
            keyspace,
            regions,
            outcomes,
        })
    }

    fn tenant_of_filter(&self) -> Result<TenantNumber, QueryError> {
        let expected = "`keyspace` goes with a parent that is a tenant or an owner";
        let wrong = QueryError::Invalid { field: "filter", expected };
        if matches!(self.asked.parent, Parent::Tenant(_) | Parent::Owner(_)) { Ok(self.tenant) } else { Err(wrong) }
    }
}
