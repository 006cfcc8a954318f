//! What callers of `QueryUsage` ask for, read once.

use super::query::Primary;
use crate::collect::Tier;
use latchkey_domain::{KeyName, KeyspaceName, OwnerName, Scope, TenantName, UnixMillis};
use latchkey_policy::{Field, Filter, Kind, Operator, Value};
use latchkey_wire::pb::v1;
use latchkey_wire::time::{read_time, write_time};
use latchkey_wire::violation::FieldViolations;
use std::ops::Range;
use v1::query_usage_request::{Dimension, Step};

const STEPS_MAX: u32 = 1_500;
const TOP_DEFAULT: i32 = 10;
const TOP_MAX: i32 = 100;
/// Steps times `top_n`.
const POINTS_ASKED_MAX: u32 = 15_000;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// A range up to this long is shown by the hour where nothing is said.
const BY_HOUR_MS_MAX: u64 = 7 * DAY_MS;

const FIELDS: &[Field] = &[
    Field { name: "keyspace", kind: Kind::Text },
    Field { name: "region", kind: Kind::Text },
    Field { name: "outcome", kind: Kind::Text },
];

/// What it is about, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    System,
    Tenant(TenantName),
    Keyspace(KeyspaceName),
    Owner(OwnerName),
    Key(KeyName),
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct QueryUsage {
    pub(crate) parent: Parent,
    pub(crate) tier: Tier,
    pub(crate) steps: Range<u32>,
    pub(crate) primary: Option<Primary>,
    pub(crate) by_region: bool,
    pub(crate) by_outcome: bool,
    pub(crate) by_status_class: bool,
    pub(crate) top_n: usize,
    pub(crate) keyspace: Option<KeyspaceName>,
    /// Regions, and whether they are those that count, or those that do not.
    pub(crate) regions: Vec<(String, bool)>,
    /// Outcomes by their numbers, likewise.
    pub(crate) outcomes: Vec<(u16, bool)>,
}

impl Parent {
    /// Reads any of the names that it may be.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::System);
        }
        if let Ok(name) = KeyName::parse(text) {
            return Some(Self::Key(name));
        }
        if let Ok(name) = KeyspaceName::parse(text) {
            return Some(Self::Keyspace(name));
        }
        if let Ok(name) = OwnerName::parse(text) {
            return Some(Self::Owner(name));
        }
        TenantName::parse(text).ok().map(Self::Tenant)
    }

    /// Where its reader needs the duty.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::System => Scope::System,
            Self::Tenant(tenant) => Scope::Tenant(tenant.clone()),
            Self::Owner(owner) => Scope::Tenant(owner.parent()),
            Self::Keyspace(keyspace) => Scope::Keyspace(keyspace.clone()),
            Self::Key(key) => Scope::Keyspace(key.keyspace.clone()),
        }
    }
}

impl QueryUsage {
    /// Reads a question that is asked at `now`.
    ///
    /// # Errors
    /// [`FieldViolations`].
    pub(crate) fn read(request: &v1::QueryUsageRequest, now: UnixMillis) -> Result<Self, FieldViolations> {
        let one = FieldViolations::one;
        let expected = "must be empty, or the resource name of a tenant, a keyspace, an owner or a key";
        let parent = Parent::parse(&request.parent).ok_or_else(|| one("parent", expected))?;
        let (tier, steps) = range(request, now)?;
        let top_n = match request.top_n {
            0 => TOP_DEFAULT,
            top_n @ 1..=TOP_MAX => top_n,
            _ => return Err(one("top_n", "must be from 1 to 100, or 0 for 10")),
        };
        let mut asked = Self {
            parent,
            tier,
            steps,
            primary: None,
            by_region: false,
            by_outcome: false,
            by_status_class: false,
            top_n: usize::try_from(top_n).unwrap_or_default(),
            keyspace: None,
            regions: Vec::new(),
            outcomes: Vec::new(),
        };
        asked.read_dimensions(request)?;
        asked.read_filter(&request.filter)?;
        let points = (asked.steps.end - asked.steps.start).saturating_mul(top_n.unsigned_abs());
        if asked.primary.is_some() && points > POINTS_ASKED_MAX {
            return Err(one(
                "top_n",
                "times the steps of the range must be at most 15,000: ask for fewer, or for longer steps",
            ));
        }
        Ok(asked)
    }

    fn read_dimensions(&mut self, request: &v1::QueryUsageRequest) -> Result<(), FieldViolations> {
        let wrong = |expected: &'static str| Err(FieldViolations::one("group_by", expected));
        for dimension in &request.group_by {
            let primary = match Dimension::try_from(*dimension) {
                Ok(Dimension::Key) => Primary::Key,
                Ok(Dimension::Version) => Primary::Version,
                Ok(Dimension::Owner) => Primary::Owner,
                Ok(Dimension::Keyspace) => Primary::Keyspace,
                Ok(Dimension::Network) => Primary::Network,
                Ok(Dimension::Country) => Primary::Country,
                Ok(Dimension::Region) => {
                    self.by_region = true;
                    continue;
                }
                Ok(Dimension::Outcome) => {
                    self.by_outcome = true;
                    continue;
                }
                Ok(Dimension::StatusClass) => {
                    self.by_status_class = true;
                    continue;
                }
                Ok(Dimension::Unspecified) | Err(_) => return wrong("must name dimensions that this release knows"),
            };
            if self.primary.is_some_and(|other| other != primary) {
                return wrong("must name at most one of KEY, VERSION, OWNER, KEYSPACE, NETWORK and COUNTRY");
            }
            self.primary = Some(primary);
        }
        if self.by_outcome && self.by_status_class {
            return wrong("OUTCOME and STATUS_CLASS are not kept together: ask for one of them");
        }
        Ok(())
    }

    fn read_filter(&mut self, filter: &str) -> Result<(), FieldViolations> {
        let wrong = |expected: &'static str| FieldViolations::one("filter", expected);
        let filter = Filter::parse(filter, FIELDS).map_err(|error| FieldViolations::one("filter", error))?;
        for one in filter.comparisons() {
            let Value::Text(text) = &one.value else { continue };
            let is_equal = one.operator == Operator::Equal;
            match one.field {
                "keyspace" if is_equal && self.keyspace.is_none() => {
                    let name = KeyspaceName::parse(text);
                    self.keyspace = Some(name.map_err(|_| wrong("`keyspace` must be the resource name of one"))?);
                }
                "keyspace" => return Err(wrong("`keyspace` is compared once, and by `=`")),
                "region" => self.regions.push((text.clone(), is_equal)),
                _ => {
                    let number = outcome_number(text).ok_or_else(|| wrong(OUTCOME_EXPECTED))?;
                    self.outcomes.push((number, is_equal));
                }
            }
        }
        if !self.outcomes.is_empty() && self.by_status_class {
            return Err(wrong("`outcome` does not go with STATUS_CLASS, which is not kept by outcome"));
        }
        Ok(())
    }
}

/// What a filter expects of an outcome.
pub(crate) const OUTCOME_EXPECTED: &str = "`outcome` must be a word such as VALID";

/// The number of an outcome by its word.
pub(crate) fn outcome_number(word: &str) -> Option<u16> {
    let outcome = v1::Outcome::from_str_name(&format!("OUTCOME_{word}"))?;
    u16::try_from(i32::from(outcome)).ok()
}

/// Which steps, and how long they are.
fn range(request: &v1::QueryUsageRequest, now: UnixMillis) -> Result<(Tier, Range<u32>), FieldViolations> {
    let time = |field: &'static str, time: &Option<prost_types::Timestamp>| {
        let time = time.as_ref().map(|time| read_time(time).map_err(|error| FieldViolations::one(field, error)));
        time.transpose().map(|time| time.map(UnixMillis::millis))
    };
    let end = time("end_time", &request.end_time)?.unwrap_or(now.millis());
    let start = time("start_time", &request.start_time)?.unwrap_or(end.saturating_sub(DAY_MS));
    if start >= end {
        let [start, end] = [start, end].map(|at| write_time(UnixMillis::new(at)));
        return Err(FieldViolations::one("start_time", format!("must be before end_time ({end}), found {start}")));
    }
    let tier = match Step::try_from(request.step) {
        Ok(Step::Minute) => Tier::Minutes,
        Ok(Step::Hour) => Tier::Hours,
        Ok(Step::Day) => Tier::Days,
        Ok(Step::Unspecified) if end - start <= BY_HOUR_MS_MAX => Tier::Hours,
        Ok(Step::Unspecified) => Tier::Days,
        Err(_) => return Err(FieldViolations::one("step", "must be a step that this release knows")),
    };
    let step_ms = u64::from(tier.step_minutes()) * MINUTE_MS;
    let count = (end - 1) / step_ms - start / step_ms + 1;
    if count > u64::from(STEPS_MAX) {
        let (field, word, remedy) = match tier {
            Tier::Minutes => ("step", "minutes", "ask for longer steps, or for a shorter range"),
            Tier::Hours => ("step", "hours", "ask for longer steps, or for a shorter range"),
            _ => ("start_time", "days", "ask for a shorter range"),
        };
        let expected = format!("the range must have at most 1,500 {word}, found {count}: {remedy}");
        return Err(FieldViolations::one(field, expected));
    }
    Ok((tier, tier.step_at(start)..tier.step_at(end - 1).saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_700_000_000_123);

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn field(request: &v1::QueryUsageRequest) -> String {
        QueryUsage::read(request, NOW).unwrap_err().list()[0].field.clone()
    }

    #[test]
    fn a_range_is_widened_to_whole_steps() {
        let minute = v1::QueryUsageRequest {
            start_time: at(61),
            end_time: at(181),
            step: Step::Minute.into(),
            ..Default::default()
        };
        let asked = QueryUsage::read(&minute, NOW).unwrap();
        assert_eq!((asked.tier, asked.steps), (Tier::Minutes, 1..4));
        let day = QueryUsage::read(&v1::QueryUsageRequest::default(), NOW).unwrap();
        assert_eq!((day.tier, day.steps.len(), day.top_n), (Tier::Hours, 25, 10));
        let long = v1::QueryUsageRequest { start_time: at(1_600_000_000), ..Default::default() };
        assert_eq!(QueryUsage::read(&long, NOW).unwrap().tier, Tier::Days);
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let good = v1::QueryUsageRequest::default;
        let by = |dimensions: &[Dimension]| dimensions.iter().map(|one| i32::from(*one)).collect();
        assert_eq!(field(&v1::QueryUsageRequest { parent: "tenants".to_owned(), ..good() }), "parent");
        assert_eq!(field(&v1::QueryUsageRequest { start_time: at(9), end_time: at(9), ..good() }), "start_time");
        assert_eq!(field(&v1::QueryUsageRequest { start_time: at(9), step: 1, ..good() }), "step");
        assert_eq!(field(&v1::QueryUsageRequest { step: 9, ..good() }), "step");
        assert_eq!(field(&v1::QueryUsageRequest { top_n: 101, ..good() }), "top_n");
        assert_eq!(field(&v1::QueryUsageRequest { start_time: at(9), ..good() }), "start_time");
        let told =
            |request: &v1::QueryUsageRequest| QueryUsage::read(request, NOW).unwrap_err().list()[0].description.clone();
        for (request, expected) in [
            (
                v1::QueryUsageRequest { start_time: at(9), ..good() },
                "at most 1,500 days, found 19676: ask for a shorter",
            ),
            (v1::QueryUsageRequest { start_time: at(9), step: 1, ..good() }, "minutes, found 28333334: ask for longer"),
            (
                v1::QueryUsageRequest { start_time: at(4_000_000_000), end_time: at(3_000_000_000), ..good() },
                "end_time (2065-01-24T05:20:00Z), found 2096-10-02T07:06:40Z",
            ),
            (v1::QueryUsageRequest { end_time: at(1 << 42), start_time: at(0), ..good() }, "found 50903317"),
            (
                v1::QueryUsageRequest { start_time: at(2_000_000_000), ..good() },
                "2023-11-14T22:13:20.123Z), found 2033-05",
            ),
            (v1::QueryUsageRequest { start_time: at(-1), ..good() }, "must be from 0 to 2^53 ms"),
            (v1::QueryUsageRequest { end_time: at(i64::MAX), ..good() }, "must be from 0 to 2^53 ms"),
        ] {
            let told = told(&request);
            assert!(told.contains(expected), "{told}");
        }
        let minutes = v1::QueryUsageRequest { step: 1, top_n: 100, group_by: by(&[Dimension::Key]), ..good() };
        assert_eq!(field(&minutes), "top_n");
        let two = v1::QueryUsageRequest { group_by: by(&[Dimension::Key, Dimension::Owner]), ..good() };
        assert_eq!(field(&two), "group_by");
        let unlike = v1::QueryUsageRequest { group_by: by(&[Dimension::Outcome, Dimension::StatusClass]), ..good() };
        assert_eq!(field(&unlike), "group_by");
        for filter in ["outcome = GOOD", "keyspace = a", "keyspace != tenants/a/keyspaces/b", "owner = x"] {
            assert_eq!(field(&v1::QueryUsageRequest { filter: filter.to_owned(), ..good() }), "filter", "{filter}");
        }
    }

    #[test]
    fn each_parent_asks_for_the_duty_where_it_belongs() {
        for (parent, scope) in [
            ("", ""),
            ("tenants/a", "tenants/a"),
            ("tenants/a/owners/o", "tenants/a"),
            ("tenants/a/keyspaces/k", "tenants/a/keyspaces/k"),
            ("tenants/a/keyspaces/k/keys/0000000000000001", "tenants/a/keyspaces/k"),
        ] {
            assert_eq!(Parent::parse(parent).unwrap().scope(), Scope::parse(scope).unwrap(), "{parent}");
        }
    }
}
