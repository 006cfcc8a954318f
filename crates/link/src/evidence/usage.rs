//! The use of one version, by one replica or by many.

use super::Curve;
use latchkey_domain::{Network, UnixMillis};
use latchkey_wire::pb::internal::v1 as pb;

/// The use of a version: requests whose secret matched, whatever their outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionUse {
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Option<UnixMillis>,
    /// The last time.
    pub last: Option<UnixMillis>,
    /// Of what was before this time nothing is known.
    pub unknown_until: Option<UnixMillis>,
    /// When, where that was asked for.
    pub curve: Curve,
    /// Who, in the order of their names.
    pub callers: Vec<CallerUse>,
    /// How many uses name no caller.
    pub unnamed: u64,
}

/// Who used a version, as far as whoever asked for the validation told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerUse {
    /// The region whose replica was asked.
    pub region: Box<str>,
    /// The network of the end client.
    pub network: Option<Network>,
    /// The beginning of its user agent.
    pub user_agent: Box<str>,
    /// The caller's own words of one of its requests.
    pub tags: Vec<Box<str>>,
    /// The last time.
    pub last: UnixMillis,
    /// How often.
    pub count: u64,
}

impl CallerUse {
    /// Callers with the same name are one.
    fn name(&self) -> (&str, Option<Network>, &str) {
        (&self.region, self.network, &self.user_agent)
    }
}

impl VersionUse {
    /// Adds what another replica saw. The order in which several are added does not matter.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        self.unknown_until = self.unknown_until.max(other.unknown_until);
        self.curve.merge(&other.curve);
        self.unnamed = self.unnamed.saturating_add(other.unnamed);
        for caller in other.callers {
            match self.callers.binary_search_by(|known| known.name().cmp(&caller.name())) {
                Ok(place) => {
                    let known = &mut self.callers[place];
                    known.count = known.count.saturating_add(caller.count);
                    known.last = known.last.max(caller.last);
                    // Of two the same words are taken, whichever came first.
                    if caller.tags < known.tags {
                        known.tags = caller.tags;
                    }
                }
                Err(place) => self.callers.insert(place, caller),
            }
        }
    }

    /// The callers, the last to use it first, at most so many.
    #[must_use]
    pub fn latest_callers(&self, at_most: usize) -> Vec<&CallerUse> {
        let mut callers: Vec<_> = self.callers.iter().collect();
        callers.sort_by(|a, b| b.last.cmp(&a.last).then(b.count.cmp(&a.count)).then(a.name().cmp(&b.name())));
        callers.truncate(at_most);
        callers
    }

    /// Writes it for whoever gathers.
    #[must_use]
    pub fn write(&self, curves: bool) -> pb::VersionUse {
        pb::VersionUse {
            count: self.count,
            first_unix_ms: self.first.map(UnixMillis::millis),
            last_unix_ms: self.last.map(UnixMillis::millis),
            unknown_until_unix_ms: self.unknown_until.map(UnixMillis::millis),
            curve: if curves { self.curve.write() } else { None },
            callers: self.callers.iter().map(CallerUse::write).collect(),
            unnamed_count: self.unnamed,
        }
    }

    /// Reads what a replica of this region wrote.
    #[must_use]
    pub fn read(written: &pb::VersionUse, region: &str) -> Self {
        let mut read = Self {
            count: written.count,
            first: written.first_unix_ms.map(UnixMillis::new),
            last: written.last_unix_ms.map(UnixMillis::new),
            unknown_until: written.unknown_until_unix_ms.map(UnixMillis::new),
            curve: written.curve.as_ref().map(Curve::read).unwrap_or_default(),
            callers: Vec::new(),
            unnamed: written.unnamed_count,
        };
        let callers = written.callers.iter().map(|caller| CallerUse::read(caller, region)).collect();
        read.merge(Self { callers, ..Self::default() });
        read
    }
}

impl CallerUse {
    fn write(&self) -> pb::UseCaller {
        pb::UseCaller {
            network: self.network.map(|network| network.to_string()).unwrap_or_default(),
            user_agent: self.user_agent.to_string(),
            tags: self.tags.iter().map(ToString::to_string).collect(),
            last_unix_ms: self.last.millis(),
            count: self.count,
        }
    }

    fn read(written: &pb::UseCaller, region: &str) -> Self {
        Self {
            region: region.into(),
            network: Network::parse(&written.network).ok(),
            user_agent: written.user_agent.as_str().into(),
            tags: written.tags.iter().map(|tag| tag.as_str().into()).collect(),
            last: UnixMillis::new(written.last_unix_ms),
            count: written.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn caller(region: usize, network: u8, agent: usize, at: u64, count: u64) -> CallerUse {
        CallerUse {
            region: ["eu", "us"][region].into(),
            network: (network > 0).then(|| Network::parse(&format!("192.0.{network}.0/24")).unwrap()),
            user_agent: ["curl", "", "python"][agent].into(),
            tags: if at.is_multiple_of(3) { vec!["job=nightly".into()] } else { Vec::new() },
            last: UnixMillis::new(at * 1_000),
            count,
        }
    }

    prop_compose! {
        fn uses()(
            times in prop::collection::vec(0..5_000_000_u64, 0..9),
            callers in prop::collection::vec((0..2_usize, 0..3_u8, 0..3_usize, 0..99_u64, 1..9_u64), 0..9),
            unknown_until in prop::option::of(0..99_u64),
            unnamed in 0..9_u64,
        ) -> VersionUse {
            let mut one = VersionUse {
                count: times.len() as u64,
                first: times.iter().min().copied().map(UnixMillis::new),
                last: times.iter().max().copied().map(UnixMillis::new),
                unknown_until: unknown_until.map(UnixMillis::new),
                unnamed,
                ..VersionUse::default()
            };
            for at in times {
                one.curve.add(UnixMillis::new(at), 1);
            }
            let callers = callers.into_iter().map(|(region, network, agent, at, count)| {
                caller(region, network, agent, at, count)
            });
            one.merge(VersionUse { callers: Vec::new(), ..VersionUse::default() });
            for caller in callers {
                one.merge(VersionUse { callers: vec![caller], ..VersionUse::default() });
            }
            one
        }
    }

    proptest! {
        #[test]
        fn the_order_in_which_replicas_are_added_does_not_matter(all in prop::collection::vec(uses(), 1..6), by in 0..6_usize) {
            let sum = |uses: &[VersionUse]| uses.iter().cloned().fold(VersionUse::default(), |mut sum, one| { sum.merge(one); sum });
            let first = sum(&all);
            let (left, right) = all.split_at(all.len() / 2);
            let mut halves = sum(right);
            halves.merge(sum(left));
            prop_assert_eq!(&halves, &first);
            let mut turned = all.clone();
            turned.rotate_left(by % all.len());
            turned.reverse();
            prop_assert_eq!(&sum(&turned), &first);
            prop_assert_eq!(first.count, all.iter().map(|one| one.count).sum::<u64>());
            prop_assert_eq!(first.last, all.iter().filter_map(|one| one.last).max());
        }

        #[test]
        fn what_a_replica_writes_is_read(mut one in uses()) {
            one.callers.retain(|caller| &*caller.region == "eu");
            prop_assert_eq!(VersionUse::read(&one.write(true), "eu"), one);
        }
    }

    #[test]
    fn the_latest_callers_come_first_and_are_few() {
        let mut all = VersionUse::default();
        for at in 0..40 {
            let one = CallerUse { user_agent: format!("agent {at}").into(), ..caller(0, 1, 0, at, 1) };
            all.merge(VersionUse { callers: vec![one], ..VersionUse::default() });
        }
        let latest: Vec<_> = all.latest_callers(16).iter().map(|caller| caller.last.millis() / 1_000).collect();
        assert_eq!(latest, (24..40).rev().collect::<Vec<_>>());
    }
}
