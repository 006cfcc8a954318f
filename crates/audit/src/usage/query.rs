//! What is asked, and what is found, by numbers: names are put in at the edge.

use super::counts::{Counts, LAST_USED, OUTCOMES, STATUS_CLASSES};
use super::series;
use crate::collect::{Observed, ObservedError, Tier};
use crate::run::CLUSTER;
use latchkey_domain::{KeyId, TenantNumber, VersionId};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Series of an answer.
pub(crate) const SERIES_MAX: usize = 100;
/// Points of an answer: the series with the fewest requests are left out, and told by their number.
pub(crate) const POINTS_MAX: usize = 20_000;
/// Tenants that a question about all of them looks at.
pub(super) const TENANTS_MAX: usize = 1_000;

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    All,
    Tenant(TenantNumber),
    Keyspace(TenantNumber, u32),
    Owner(TenantNumber, u32),
    Key(TenantNumber, u32, KeyId),
}

/// The one dimension of which there may be many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primary {
    Key,
    Version,
    Owner,
    Keyspace,
    Network,
    Country,
}

/// The value of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Value {
    Key(TenantNumber, u32, KeyId),
    Version(TenantNumber, u32, KeyId, VersionId),
    Owner(TenantNumber, u32),
    Keyspace(TenantNumber, u32),
    Network(Vec<u8>),
    Country(u16),
}

/// By what a series differs from the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Label {
    pub(crate) primary: Option<Value>,
    pub(crate) region: Option<u16>,
    pub(crate) outcome: Option<u16>,
    pub(crate) status_class: Option<u16>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) subject: Subject,
    pub(crate) tier: Tier,
    pub(crate) steps: Range<u32>,
    pub(crate) primary: Option<Primary>,
    pub(crate) by_region: bool,
    pub(crate) by_outcome: bool,
    pub(crate) by_status_class: bool,
    pub(crate) top_n: usize,
    /// Of one keyspace only.
    pub(crate) keyspace: Option<u32>,
    /// Regions that count; `None`: all.
    pub(crate) regions: Option<Vec<u16>>,
    /// Outcomes that count; `None`: all.
    pub(crate) outcomes: Option<Vec<u16>>,
}

/// One series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) label: Label,
    pub(crate) points: BTreeMap<u32, Counts>,
    pub(crate) requests: u64,
    pub(crate) last_used_ms: Option<u64>,
    pub(crate) is_estimate: bool,
    pub(crate) error: u64,
}

/// What an answer has room for, and how much that leaves out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) found: Vec<Found>,
    pub(crate) left_out_series: u32,
    pub(crate) left_out_requests: u64,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// It cannot be asked so.
    #[error("{expected}")]
    Invalid { field: &'static str, expected: &'static str },
    /// What is stored cannot be read.
    #[error(transparent)]
    Observed(#[from] ObservedError),
}

/// Series as they are added up.
pub(super) struct Sums<'a> {
    query: &'a Query,
    series: HashMap<Label, BTreeMap<u32, Counts>>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(query: &'a Query) -> Self {
        Self { query, series: HashMap::new() }
    }

    /// Adds a step of a row.
    pub(super) fn add(&mut self, primary: Option<Value>, key: &[u8], step: u32, counts: &Counts) {
        let Self { query, series } = self;
        let region = series::region_of(key);
        if let (Some(regions), Some(region)) = (&query.regions, region)
            && !regions.contains(&region)
        {
            return;
        }
        let counts_outcome = |slot: u16| query.outcomes.as_ref().is_none_or(|outcomes| outcomes.contains(&slot));
        let mut label = Label { primary, region: region.filter(|_| query.by_region), ..Label::default() };
        if query.by_outcome {
            for (slot, count) in counts.within(&OUTCOMES).filter(|(slot, _)| counts_outcome(*slot)) {
                label.outcome = Some(slot);
                series.entry(label.clone()).or_default().entry(step).or_default().add(slot, count);
            }
        } else if query.by_status_class {
            for (slot, count) in counts.within(&STATUS_CLASSES) {
                label.status_class = Some(slot);
                series.entry(label.clone()).or_default().entry(step).or_default().add(slot, count);
            }
        } else if query.outcomes.is_some() {
            let mut counted = counts.clone();
            counted.retain(|slot| OUTCOMES.contains(&slot) && counts_outcome(slot));
            if !counted.is_empty() {
                series.entry(label).or_default().entry(step).or_default().merge(&counted);
            }
        } else {
            series.entry(label).or_default().entry(step).or_default().merge(counts);
        }
    }

    pub(super) fn found(self) -> Vec<Found> {
        let by_status_class = self.query.by_status_class;
        let found = self.series.into_iter().map(|(label, mut points)| {
            points.values_mut().for_each(|counts| counts.retain(|slot| slot != LAST_USED));
            points.retain(|_, counts| !counts.is_empty());
            let requests = points.values().map(|counts| requests_of(counts, by_status_class)).sum();
            Found { label, points, requests, ..Found::default() }
        });
        let mut found: Vec<_> = found.filter(|found| !found.points.is_empty()).collect();
        sort(&mut found);
        found
    }
}

/// What counts as requests of a point.
pub(crate) fn requests_of(counts: &Counts, by_status_class: bool) -> u64 {
    if by_status_class { counts.sum(&STATUS_CLASSES) } else { counts.requests() }
}

/// Those with the most requests first, alike ones by what they differ by.
pub(super) fn sort(found: &mut [Found]) {
    found.sort_by(|one, other| other.requests.cmp(&one.requests).then_with(|| one.label.cmp(&other.label)));
}

impl Query {
    /// Finds what is asked for, as far as an answer has room for it.
    pub(crate) fn run(&self, observed: &Observed) -> Result<Shown, QueryError> {
        let mut found = match self.primary {
            None => self.totals(observed)?,
            Some(Primary::Version) => self.versions(observed)?,
            Some(Primary::Network) => self.networks(observed)?,
            Some(Primary::Country) => self.countries(observed)?,
            Some(primary @ (Primary::Key | Primary::Owner | Primary::Keyspace)) => self.most(observed, primary)?,
        };
        let mut points = 0;
        let shown = found.iter().take(SERIES_MAX).take_while(|found| {
            points += found.points.len();
            points <= POINTS_MAX
        });
        let shown = shown.count().max(1).min(found.len());
        let left_out = found.split_off(shown);
        for found in &mut found {
            self.add_last_used(observed, found)?;
        }
        Ok(Shown {
            found,
            left_out_series: u32::try_from(left_out.len()).unwrap_or(u32::MAX),
            left_out_requests: left_out.iter().map(|found| found.requests).sum(),
        })
    }

    fn totals(&self, observed: &Observed) -> Result<Vec<Found>, QueryError> {
        let (tenant, prefix) = self.rows()?;
        let mut sums = Sums::new(self);
        observed
            .scan(tenant, &prefix, self.tier, &self.steps, |key, step, counts| sums.add(None, key, step, counts))?;
        Ok(sums.found())
    }

    /// The rows that hold all of the subject, each once.
    fn rows(&self) -> Result<(TenantNumber, Vec<u8>), QueryError> {
        Ok(match (self.subject, self.keyspace) {
            (Subject::All, None) => (CLUSTER, b"A".to_vec()),
            (Subject::Tenant(tenant), None) => (tenant, b"T".to_vec()),
            (Subject::Tenant(tenant), Some(keyspace)) => (tenant, series::keyspace_prefix(Some(keyspace))),
            (Subject::Keyspace(tenant, keyspace), None) => (tenant, series::keyspace_prefix(Some(keyspace))),
            (Subject::Owner(tenant, owner), keyspace) => (tenant, series::owner_prefix(owner, keyspace)),
            (Subject::Key(tenant, keyspace, key), None) => (tenant, series::key_prefix(keyspace, key)),
            (Subject::All | Subject::Keyspace(..) | Subject::Key(..), Some(_)) => {
                let expected = "`keyspace` goes with a parent that is a tenant or an owner";
                return Err(QueryError::Invalid { field: "filter", expected });
            }
        })
    }

    fn versions(&self, observed: &Observed) -> Result<Vec<Found>, QueryError> {
        let Subject::Key(tenant, keyspace, key) = self.subject else {
            return Err(QueryError::Invalid {
                field: "group_by",
                expected: "VERSION goes with a parent that is a key",
            });
        };
        let mut sums = Sums::new(self);
        observed.scan(tenant, &self.rows()?.1, self.tier, &self.steps, |row, step, counts| {
            let version = series::version_of(row).map(|version| Value::Version(tenant, keyspace, key, version));
            sums.add(version, row, step, counts);
        })?;
        Ok(sums.found())
    }

    /// When a key or version was last used, whatever the range is: each day has it.
    fn add_last_used(&self, observed: &Observed, found: &mut Found) -> Result<(), QueryError> {
        let (tenant, keyspace, key, version) = match (&found.label.primary, self.subject) {
            (Some(Value::Version(tenant, keyspace, key, version)), _) => (*tenant, *keyspace, *key, Some(*version)),
            (Some(Value::Key(tenant, keyspace, key)), _) => (*tenant, *keyspace, *key, None),
            (None, Subject::Key(tenant, keyspace, key)) => (tenant, keyspace, key, None),
            _ => return Ok(()),
        };
        let prefix = series::key_prefix(keyspace, key);
        let mut last = 0;
        observed.scan(tenant, &prefix, Tier::Days, &(0..u32::MAX), |row, _, counts| {
            if version.is_none() || series::version_of(row) == version {
                last = last.max(counts.of(LAST_USED));
            }
        })?;
        found.last_used_ms = Some(last).filter(|last| *last > 0);
        Ok(())
    }
}
