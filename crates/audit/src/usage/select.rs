//! Who had the most requests: candidates by rankings, then exact sums of those.

use super::query::{Found, Primary, Query, QueryError, Subject, Sums, TENANTS_MAX, Value, sort};
use super::series;
use super::sketch::Sketch;
use crate::collect::{Observed, Tier};
use latchkey_domain::TenantNumber;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Who may be among those with the most requests.
struct Candidates {
    /// With a count that is too low by `error` at most, those with the most first.
    ranked: Vec<(Value, u64)>,
    error: u64,
}

impl Query {
    /// How many are looked at, so that those shown are in the right order by their exact sums.
    const fn looked_at(&self) -> usize {
        self.top_n + self.top_n / 2 + 8
    }

    pub(super) fn most(&self, observed: &Observed, primary: Primary) -> Result<Vec<Found>, QueryError> {
        let Candidates { ranked, error } = self.candidates(observed, primary)?;
        let looked_at = self.looked_at();
        // Nobody who is not looked at has more than that.
        let unseen = ranked.get(looked_at).map_or(error, |(_, count)| count + error);
        let mut groups = Vec::new();
        for (value, _) in ranked.into_iter().take(looked_at) {
            let (tenant, prefix) = self.rows_of(&value);
            let mut sums = Sums::new(self);
            observed.scan(tenant, &prefix, self.tier, &self.steps, |row, step, counts| {
                sums.add(Some(value.clone()), row, step, counts);
            })?;
            let found = sums.found();
            let requests: u64 = found.iter().map(|found| found.requests).sum();
            if !found.is_empty() {
                groups.push((requests, found));
            }
        }
        groups.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1[0].label.cmp(&other.1[0].label)));
        groups.truncate(self.top_n);
        let least = if groups.len() < self.top_n { 0 } else { groups.last().map_or(0, |(requests, _)| *requests) };
        let is_estimate = unseen > least;
        let mut all: Vec<_> = groups.into_iter().flat_map(|(_, found)| found).collect();
        for found in &mut all {
            (found.is_estimate, found.error) = (is_estimate, if is_estimate { unseen } else { 0 });
        }
        sort(&mut all);
        Ok(all)
    }

    fn candidates(&self, observed: &Observed, primary: Primary) -> Result<Candidates, QueryError> {
        if let (Subject::Key(..), Primary::Owner | Primary::Keyspace) | (Subject::Owner(..), Primary::Owner) =
            (self.subject, primary)
        {
            return Err(QueryError::Invalid {
                field: "group_by",
                expected: "KEYSPACE and OWNER do not go with this parent",
            });
        }
        // A key, a keyspace or an owner is the only one in itself.
        let only = match (self.subject, primary) {
            (Subject::Key(tenant, keyspace, key), Primary::Key) => Some(Value::Key(tenant, keyspace, key)),
            (Subject::Keyspace(tenant, keyspace), Primary::Keyspace) => Some(Value::Keyspace(tenant, keyspace)),
            _ => None,
        };
        if let Some(only) = only {
            return Ok(Candidates { ranked: vec![(only, 0)], error: 0 });
        }
        let (tier, steps) = self.coarse();
        let tenants = match self.subject {
            Subject::Tenant(tenant)
            | Subject::Keyspace(tenant, _)
            | Subject::Owner(tenant, _)
            | Subject::Key(tenant, ..) => BTreeSet::from([tenant]),
            Subject::All => observed.tenants(tier, &steps, TENANTS_MAX),
        };
        if tenants.len() > TENANTS_MAX {
            let expected = "must name a tenant: there are more than 1,000 that this would have to look at";
            return Err(QueryError::Invalid { field: "parent", expected });
        }
        let mut all = Candidates { ranked: Vec::new(), error: 0 };
        for tenant in tenants {
            let of_tenant = match primary {
                Primary::Keyspace => self.keyspaces(observed, tenant, tier, &steps)?,
                _ => self.ranked(observed, tenant, primary, tier, &steps)?,
            };
            all.ranked.extend(of_tenant.ranked);
            // Whoever is hidden is hidden in one tenant.
            all.error = all.error.max(of_tenant.error);
        }
        all.ranked.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        Ok(all)
    }

    /// The hours or days that cover the range.
    fn coarse(&self) -> (Tier, Range<u32>) {
        let minutes = |step: u32| u64::from(step) * u64::from(self.tier.step_minutes());
        let tier = match self.tier {
            Tier::Days => Tier::Days,
            // The fewer rankings are added up, the less is hidden.
            _ if minutes(self.steps.end - self.steps.start) > 3 * 24 * 60 => Tier::Days,
            _ => Tier::Hours,
        };
        let step_minutes = u64::from(tier.step_minutes());
        let step = |minutes: u64| u32::try_from(minutes).unwrap_or(u32::MAX);
        let start = step(minutes(self.steps.start) / step_minutes);
        (tier, start..step(minutes(self.steps.end).div_ceil(step_minutes)))
    }

    /// Keyspaces are few enough to be added up.
    fn keyspaces(
        &self,
        observed: &Observed,
        tenant: TenantNumber,
        tier: Tier,
        steps: &Range<u32>,
    ) -> Result<Candidates, QueryError> {
        let (prefix, at) = match self.subject {
            Subject::Owner(_, owner) => (series::owner_prefix(owner, None), 5),
            _ => (series::keyspace_prefix(None), 1),
        };
        let mut sums = HashMap::<u32, u64>::new();
        observed.scan(tenant, &prefix, tier, steps, |row, _, counts| {
            if let Some(keyspace) = series::number_at(row, at) {
                // What was reported for it counts where nothing was validated.
                *sums.entry(keyspace).or_default() += counts.requests();
            }
        })?;
        let ranked = sums.into_iter().filter(|(keyspace, _)| self.keyspace.is_none_or(|only| only == *keyspace));
        Ok(Candidates {
            ranked: ranked.map(|(keyspace, sum)| (Value::Keyspace(tenant, keyspace), sum)).collect(),
            error: 0,
        })
    }

    fn ranked(
        &self,
        observed: &Observed,
        tenant: TenantNumber,
        primary: Primary,
        tier: Tier,
        steps: &Range<u32>,
    ) -> Result<Candidates, QueryError> {
        let keyspace = match self.subject {
            Subject::Keyspace(_, keyspace) => Some(keyspace),
            _ => self.keyspace,
        };
        let key = match (primary, self.subject) {
            (Primary::Owner, _) => series::ranked_owners(keyspace),
            (_, Subject::Owner(_, owner)) => series::ranked_keys_of(owner),
            _ => series::ranked_keys(keyspace),
        };
        let mut all = Sketch::default();
        observed.rankings(tenant, &key, true, tier, steps, |_, sketch| all.merge(sketch, series::RANKED_MAX))?;
        let value = |name: &[u8]| match primary {
            Primary::Owner => series::number_at(name, 0).map(|owner| Value::Owner(tenant, owner)),
            _ => series::read_ranked_name(name).map(|(keyspace, key)| Value::Key(tenant, keyspace, key)),
        };
        let is_asked = |value: &Value| match (value, keyspace) {
            (Value::Key(_, of, _), Some(only)) => *of == only,
            _ => true,
        };
        let ranked = all.ranked().into_iter().filter_map(|(name, count)| Some((value(name)?, count)));
        Ok(Candidates { ranked: ranked.filter(|(value, _)| is_asked(value)).collect(), error: all.error() })
    }

    /// The rows of one candidate.
    fn rows_of(&self, value: &Value) -> (TenantNumber, Vec<u8>) {
        match (value, self.subject) {
            (Value::Key(tenant, keyspace, key), _) => (*tenant, series::key_prefix(*keyspace, *key)),
            (Value::Owner(tenant, owner), Subject::Keyspace(_, keyspace)) => {
                (*tenant, series::owner_prefix(*owner, Some(keyspace)))
            }
            (Value::Owner(tenant, owner), _) => (*tenant, series::owner_prefix(*owner, self.keyspace)),
            (Value::Keyspace(tenant, keyspace), Subject::Owner(_, owner)) => {
                (*tenant, series::owner_prefix(owner, Some(*keyspace)))
            }
            (Value::Keyspace(tenant, keyspace), _) => (*tenant, series::keyspace_prefix(Some(*keyspace))),
            (Value::Version(tenant, keyspace, key, _), _) => (*tenant, series::key_prefix(*keyspace, *key)),
            (Value::Network(_) | Value::Country(_), _) => unreachable!("networks and countries have no rows of points"),
        }
    }
}
