//! Networks and countries of clients.

use super::counts::{COUNTRIES, Counts, VALID};
use super::query::{Found, Label, Query, QueryError, Subject, Value, sort};
use super::series;
use super::sketch::Sketch;
use crate::collect::{Observed, Tier};
use std::collections::{BTreeMap, HashMap};

/// The slot in which networks and countries count: what came of them, whatever its outcome.
pub(crate) const CAME: u16 = VALID;

impl Query {
    pub(super) fn networks(&self, observed: &Observed) -> Result<Vec<Found>, QueryError> {
        self.stands_alone("NETWORK goes alone, by hour or by day, without a filter")?;
        let (tenant, key, is_whole, names_max) = match self.subject {
            Subject::Tenant(tenant) => (tenant, series::networks(None), false, series::NETWORKS_MAX),
            Subject::Keyspace(tenant, keyspace) => {
                (tenant, series::networks(Some(keyspace)), true, series::NETWORKS_MAX)
            }
            Subject::Key(tenant, keyspace, key) => {
                (tenant, series::key_networks(keyspace, key), true, series::KEY_NETWORKS_MAX)
            }
            Subject::All | Subject::Owner(..) => {
                let expected = "NETWORK goes with a parent that is a tenant, a keyspace or a key";
                return Err(QueryError::Invalid { field: "group_by", expected });
            }
        };
        let (mut all, mut steps) = (Sketch::default(), BTreeMap::<u32, Vec<Sketch>>::new());
        observed.rankings(tenant, &key, is_whole, self.tier, &self.steps, |step, sketch| {
            all.merge(sketch.clone(), names_max);
            steps.entry(step).or_default().push(sketch);
        })?;
        let error: u64 = steps.values().flatten().map(Sketch::error).sum();
        let shown: Vec<Vec<u8>> = all.ranked().into_iter().take(self.top_n).map(|(name, _)| name.to_vec()).collect();
        let mut found = HashMap::<&[u8], Found>::new();
        for (step, sketches) in &steps {
            for network in &shown {
                let count: u64 = sketches.iter().map(|sketch| sketch.count(network)).sum();
                if count > 0 {
                    let one = found.entry(network).or_default();
                    one.points.entry(*step).or_default().add(CAME, count);
                    one.requests += count;
                }
            }
        }
        let found = found.into_iter().map(|(network, found)| Found {
            label: Label { primary: Some(Value::Network(network.to_vec())), ..Label::default() },
            is_estimate: error > 0,
            error,
            ..found
        });
        let mut found: Vec<_> = found.collect();
        sort(&mut found);
        Ok(found)
    }

    pub(super) fn countries(&self, observed: &Observed) -> Result<Vec<Found>, QueryError> {
        self.stands_alone("COUNTRY goes alone, by hour or by day, without a filter")?;
        let (tenant, prefix) = match self.subject {
            Subject::Tenant(tenant) => (tenant, series::countries(None)),
            Subject::Keyspace(tenant, keyspace) => (tenant, series::countries(Some(keyspace))),
            Subject::All | Subject::Owner(..) | Subject::Key(..) => {
                let expected = "COUNTRY goes with a parent that is a tenant or a keyspace";
                return Err(QueryError::Invalid { field: "group_by", expected });
            }
        };
        let mut by_country = BTreeMap::<u16, BTreeMap<u32, Counts>>::new();
        observed.scan(tenant, &prefix, self.tier, &self.steps, |_, step, counts| {
            for (country, count) in counts.within(&COUNTRIES) {
                by_country.entry(country).or_default().entry(step).or_default().add(CAME, count);
            }
        })?;
        let found = by_country.into_iter().map(|(country, points)| Found {
            label: Label { primary: Some(Value::Country(country)), ..Label::default() },
            requests: points.values().map(Counts::requests).sum(),
            points,
            ..Found::default()
        });
        let mut found: Vec<_> = found.collect();
        sort(&mut found);
        Ok(found)
    }

    fn stands_alone(&self, expected: &'static str) -> Result<(), QueryError> {
        let others = self.by_region || self.by_outcome || self.by_status_class;
        let filters = self.keyspace.is_some() || self.regions.is_some() || self.outcomes.is_some();
        if others || filters || self.tier == Tier::Minutes {
            return Err(QueryError::Invalid { field: "group_by", expected });
        }
        Ok(())
    }
}
