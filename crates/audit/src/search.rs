//! What a caller looks for: a filter, and whose entries he may see.

use crate::index::{Plan, Span, Word};
use crate::told::Told;
use latchkey_domain::{DurationMillis, TenantNumber, UnixMillis};
use latchkey_policy::{Comparison, Field, Filter, FilterError, Kind, Operator, Value};

/// The fields of entries.
const FIELDS: &[Field] = &[
    Field { name: "actor", kind: Kind::Text },
    Field { name: "action", kind: Kind::TextOrPrefix },
    Field { name: "subject", kind: Kind::Text },
    Field { name: "key", kind: Kind::Text },
    Field { name: "owner", kind: Kind::Text },
    Field { name: "keyspace", kind: Kind::Text },
    Field { name: "operation", kind: Kind::Text },
    Field { name: "time", kind: Kind::Time },
    Field { name: "age", kind: Kind::Span },
];

/// All but `age`: a stream has no one time to count it from.
const WATCHED_FIELDS: &[Field] = {
    let (watched, _age) = FIELDS.split_at(FIELDS.len() - 1);
    watched
};

/// Whose entries are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All tenants', and the cluster's own.
    All,
    /// These tenants' only.
    Tenants(Vec<TenantNumber>),
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    filter: Filter,
    visible: Visible,
    /// From when `age` counts.
    now: UnixMillis,
}

impl Visible {
    /// Whether the entries of this tenant are seen; `None` stands for the cluster.
    #[must_use]
    pub fn includes(&self, tenant: Option<TenantNumber>) -> bool {
        match self {
            Self::All => true,
            Self::Tenants(seen) => tenant.is_some_and(|tenant| seen.contains(&tenant)),
        }
    }
}

impl Search {
    /// Reads the filter of a listing. `age` counts from `now`.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn of_list(filter: &str, visible: Visible, now: UnixMillis) -> Result<Self, FilterError> {
        Ok(Self { filter: Filter::parse(filter, FIELDS)?, visible, now })
    }

    /// Reads the filter of a watch.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn of_watch(filter: &str, visible: Visible) -> Result<Self, FilterError> {
        Ok(Self { filter: Filter::parse(filter, WATCHED_FIELDS)?, visible, now: UnixMillis::default() })
    }

    /// Whose entries are seen.
    #[must_use]
    pub const fn visible(&self) -> &Visible {
        &self.visible
    }

    /// Whether the entry is one of those looked for.
    #[must_use]
    pub fn holds(&self, told: &Told) -> bool {
        self.visible.includes(told.tenant) && self.filter.comparisons().iter().all(|one| self.compare(one, told))
    }

    /// What to ask the index.
    pub(crate) fn plan(&self) -> Plan {
        let (mut words, mut span) = (Vec::new(), Span::ALL);
        for one in self.filter.comparisons() {
            span = span.within(self.span(one));
            words.extend(word(one));
        }
        let tenants = match &self.visible {
            Visible::All => None,
            Visible::Tenants(seen) => Some(seen.clone()),
        };
        if tenants.is_some() && words.is_empty() {
            words.push(Word::any());
        }
        Plan { tenants, words, span }
    }

    /// When an entry may have happened for which a comparison holds.
    fn span(&self, one: &Comparison) -> Span {
        let (operator, bound) = match (&one.value, one.operator) {
            (Value::Time(time), operator) => (operator, *time),
            // What happened after `now` has no age, and so is at least that old.
            (Value::Span(DurationMillis::ZERO), _) => return Span::ALL,
            (Value::Span(age), operator) => {
                // Older is earlier, so the order turns.
                let turned = match operator {
                    Operator::Less | Operator::LessOrEqual => Operator::GreaterOrEqual,
                    Operator::Greater | Operator::GreaterOrEqual => Operator::LessOrEqual,
                    operator => operator,
                };
                // An age beyond the beginning of time is cut there.
                (turned, UnixMillis::new(self.now.millis().saturating_sub(age.millis())))
            }
            _ => return Span::ALL,
        };
        match operator {
            Operator::Equal => Span { earliest: bound, latest: bound },
            Operator::NotEqual => Span::ALL,
            Operator::Less | Operator::LessOrEqual => Span { latest: bound, ..Span::ALL },
            Operator::Greater | Operator::GreaterOrEqual => Span { earliest: bound, ..Span::ALL },
        }
    }

    fn compare(&self, one: &Comparison, told: &Told) -> bool {
        match (one.field, &one.value) {
            ("actor", _) => one.holds_for_text(told.actor.name()),
            ("action", _) => one.holds_for_text(&told.action),
            ("time", _) => one.holds_for_time(told.at),
            ("age", _) => one.holds_for_span(self.now.since(told.at)),
            ("owner", Value::Text(name)) => {
                let belongs = told.facts.iter().any(|(word, value)| word == "owner" && value == name);
                (belongs || within(&told.subject, name)) == (one.operator == Operator::Equal)
            }
            ("operation", Value::Text(id)) => {
                let belongs = told.operations().any(|operation| operation.eq_ignore_ascii_case(id));
                belongs == (one.operator == Operator::Equal)
            }
            (_, Value::Text(name)) => within(&told.subject, name) == (one.operator == Operator::Equal),
            _ => false,
        }
    }
}

/// By what an entry is found for which a comparison holds; `None` where the index does not tell.
fn word(one: &Comparison) -> Option<Word> {
    match (one.field, one.operator, &one.value) {
        ("actor", Operator::Equal, Value::Text(name)) => Some(Word::actor(name)),
        ("action", Operator::Equal, Value::Text(word)) => Some(Word::action(word)),
        ("action", Operator::Equal, Value::Prefix(prefix)) => Word::action_begins(prefix),
        ("operation", Operator::Equal, Value::Text(id)) => Some(Word::operation(&id.to_ascii_lowercase())),
        ("subject" | "key" | "owner" | "keyspace", Operator::Equal, Value::Text(name)) => Some(Word::within(name)),
        _ => None,
    }
}

/// Whether `subject` is `name`, or belongs to it.
fn within(subject: &str, name: &str) -> bool {
    subject.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::words;
    use crate::told::Actor;
    use proptest::prelude::*;

    const NOW: UnixMillis = UnixMillis::new(1_000_000);

    fn told(actor: &str, action: &str, subject: &str, at: u64) -> Told {
        Told {
            at: UnixMillis::new(at),
            actor: Actor::Identity(actor.to_owned()),
            action: action.to_owned(),
            subject: subject.to_owned(),
            tenant: Some(TenantNumber(2)),
            reason: None,
            request: Some([0xA; 16]),
            facts: vec![
                ("operation".to_owned(), "0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b".to_owned()),
                ("owner".to_owned(), "tenants/a/owners/o".to_owned()),
            ],
        }
    }

    fn search(filter: &str) -> Search {
        Search::of_list(filter, Visible::All, NOW).expect(filter)
    }

    #[test]
    fn entries_of_another_tenant_and_of_the_cluster_are_not_seen() {
        let mine = Search::of_list("", Visible::Tenants(vec![TenantNumber(2)]), NOW).unwrap();
        let mut entry = told("i", "key.created", "tenants/a", 1);
        assert!(mine.holds(&entry));
        entry.tenant = Some(TenantNumber(3));
        assert!(!mine.holds(&entry));
        entry.tenant = None;
        assert!(!mine.holds(&entry));
        let nobody = Search::of_list("", Visible::Tenants(Vec::new()), NOW).unwrap();
        assert!(!nobody.holds(&told("i", "key.created", "tenants/a", 1)));
    }

    #[test]
    fn a_name_is_met_by_what_belongs_to_it_and_not_by_what_only_begins_like_it() {
        let entry = told("i", "version.revoked", "tenants/a/keyspaces/b/keys/c/versions/d", 1);
        for name in ["tenants/a", "tenants/a/keyspaces/b", "tenants/a/keyspaces/b/keys/c"] {
            assert!(search(&format!("subject = \"{name}\"")).holds(&entry), "{name}");
            assert!(!search(&format!("subject != \"{name}\"")).holds(&entry), "{name}");
        }
        for name in ["tenants/b", "tenants/a/keyspaces/b/keys/cc", "tenants/a/keyspaces/b/key", "versions/d"] {
            assert!(!search(&format!("key = \"{name}\"")).holds(&entry), "{name}");
        }
    }

    #[test]
    fn every_field_tells_entries_apart() {
        let entry = told("tenants/a/identities/i", "key.created", "tenants/a/keyspaces/b/keys/c", 400_000);
        for (filter, expected) in [
            ("actor = tenants/a/identities/i", true),
            ("actor = tenants/a/identities/j", false),
            ("action = key.created", true),
            ("action = key.*", true),
            ("action = version.*", false),
            ("owner = tenants/a/owners/o", true),
            ("owner = tenants/a/owners/p", false),
            ("keyspace = tenants/a/keyspaces/b", true),
            ("keyspace = tenants/a/keyspaces/c", false),
            ("operation = 0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a", true),
            ("operation = 0B0B0B0B-0b0b-0b0b-0b0b-0b0b0b0b0b0b", true),
            ("operation = 0a0a0a0a", false),
            ("operation != 0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b", false),
            ("time < \"1970-01-01T00:06:41Z\"", true),
            ("time < \"1970-01-01T00:06:40Z\"", false),
            ("age < 601s", true),
            ("age < 600s", false),
            ("age >= 600s AND action = key.*", true),
            ("age > 600s", false),
        ] {
            assert_eq!(search(filter).holds(&entry), expected, "{filter}");
        }
        assert!(Search::of_watch("age < 1d", Visible::All).is_err());
        assert!(Search::of_watch("time < \"2026-01-01T00:00:00Z\"", Visible::All).is_ok());
    }

    fn any_told() -> impl Strategy<Value = Told> {
        let small = |words: &'static [&'static str]| prop::sample::select(words);
        (
            small(&["i", "j", ""]),
            small(&["key.created", "key.revoked", "owner.created"]),
            small(&["tenants/a", "tenants/a/owners/o", "tenants/a/keyspaces/b/keys/c", "cluster"]),
            // Some after `NOW`: pages go on by the time of their first, whatever has happened since.
            0..1_200_u64,
            prop::option::of(0..3_u32),
        )
            .prop_map(|(actor, action, subject, at, tenant)| Told {
                tenant: tenant.map(TenantNumber),
                ..told(actor, action, subject, at * 1_000)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_looked_for_is_what_the_index_is_asked_for(
            entries in prop::collection::vec(any_told(), 1..5),
            filters in prop::collection::vec(prop::sample::select(vec![
                "actor = i", "actor != j", "operation = 0A0A0A0A-0a0a-0a0a-0a0a-0a0a0a0a0a0a", "operation = 0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b",
                "operation != 0c0c0c0c-0c0c-0c0c-0c0c-0c0c0c0c0c0c", "action = key.created", "action = key.*", "action = \"k*\"", "action = \"key.c*\"", "subject = tenants", "key = tenants/a/keyspaces/b/keys/c",
                "owner = tenants/a/owners/o", "keyspace != tenants/a/keyspaces/b", "subject = cluster", "time < \"1970-01-01T00:05:00Z\"",
                "time >= \"1970-01-01T00:05:00Z\"", "age < 300s", "age >= 900s", "age >= 0s", "age <= 0s", "age = 500s", "age != 500s", "time != \"1970-01-01T00:05:00Z\"",
            ]), 0..3),
            visible in prop_oneof![Just(Visible::All), (0..3_u32).prop_map(|one| Visible::Tenants(vec![TenantNumber(one)]))],
        ) {
            let search = Search::of_list(&filters.join(" AND "), visible, NOW).unwrap();
            let plan = search.plan();
            for entry in entries.iter().filter(|entry| search.holds(entry)) {
                let words = words(entry);
                prop_assert!(plan.words.iter().all(|word| words.contains(word)));
                prop_assert!(plan.span.earliest <= entry.at && entry.at <= plan.span.latest);
                prop_assert!(plan.tenants.as_ref().is_none_or(|tenants| entry.tenant.is_some_and(|tenant| tenants.contains(&tenant))));
                prop_assert!(!plan.is_walk() || plan.tenants.is_none());
            }
        }
    }
}
