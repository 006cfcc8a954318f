use super::*;
use latchkey_domain::{Network, NodeId};
use latchkey_link::evidence::VersionUse;

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;
const SILENCE: DurationMillis = DurationMillis::from_secs(3_600);

fn ago(millis: u64) -> UnixMillis {
    UnixMillis::new(NOW - millis)
}

fn used(first: u64, last: u64) -> VersionUse {
    VersionUse { count: 7, first: Some(ago(first)), last: Some(ago(last)), ..VersionUse::default() }
}

/// All that it takes: the new version seen, the old one silent for an hour, everybody heard and watching for two.
fn silent() -> Evidence {
    Evidence {
        now: UnixMillis::new(NOW),
        old: Some(used(9 * HOUR, HOUR)),
        new: used(3 * HOUR, 0),
        watched_since: Some(ago(2 * HOUR)),
        unheard: Vec::new(),
    }
}

fn away() -> Vec<Unheard> {
    vec![Unheard { region: "us".to_owned(), replica: NodeId(3) }]
}

#[test]
fn what_was_silent_for_long_enough_everywhere_may_go() {
    assert_eq!((may_retire(&silent(), Some(SILENCE)), still_used(&silent(), SILENCE)), (Ok(()), None));
    let never = Evidence { old: Some(VersionUse::default()), ..silent() };
    assert_eq!(may_retire(&never, Some(SILENCE)), Ok(()));
    let alone = Evidence { old: None, watched_since: None, ..silent() };
    assert_eq!(may_retire(&alone, Some(SILENCE)), Ok(()), "there is nobody to wait for");
}

#[test]
fn each_thing_that_is_missing_keeps_the_old_version() {
    assert_eq!(may_retire(&silent(), None), Err(Kept::NeverEarly));
    let cases = [
        (Evidence { old: Some(used(9 * HOUR, HOUR - 1)), ..silent() }, "is still used"),
        (Evidence { new: VersionUse::default(), ..silent() }, "nobody has used the new version"),
        (Evidence { unheard: away(), watched_since: None, ..silent() }, "no answer from replica 3 in us"),
        (Evidence { watched_since: Some(ago(HOUR - 1)), ..silent() }, "has not watched for long enough"),
        (Evidence { watched_since: None, ..silent() }, "nobody watches"),
    ];
    for (evidence, why) in cases {
        let kept = may_retire(&evidence, Some(SILENCE)).unwrap_err();
        assert!(kept.to_string().contains(why), "{kept}");
        assert_eq!(still_used(&evidence, SILENCE), Some(kept));
    }
}

#[test]
fn what_is_known_is_said_before_what_is_not() {
    let both = Evidence { old: Some(used(HOUR, 5)), unheard: away(), watched_since: None, ..silent() };
    assert!(matches!(may_retire(&both, Some(SILENCE)), Err(Kept::Used { .. })));
    let unseen = Evidence { new: VersionUse::default(), unheard: away(), watched_since: None, ..silent() };
    assert_eq!(may_retire(&unseen, Some(SILENCE)).unwrap_err(), Kept::NewUnseen);
    // One who saw the new one is enough, whoever else is silent.
    assert_eq!(new_seen(&Evidence { unheard: away(), watched_since: None, ..silent() }), Some(ago(3 * HOUR)));
}

#[test]
fn who_still_uses_it_is_named_and_who_has_stopped_is_not() {
    let caller = |network: &str, user_agent: &str, last| CallerUse {
        region: "eu".into(),
        network: Network::parse(network).ok(),
        user_agent: user_agent.into(),
        tags: Vec::new(),
        last: ago(last),
        count: 1,
    };
    let mut old = used(9 * HOUR, 10);
    old.callers = vec![
        caller("192.0.2.0/24", "curl/8.5", 10),
        caller("198.51.100.0/24", "gone", 2 * HOUR),
        caller("", "", 20),
        caller("2001:db8:7::/48", "", 30),
        caller("203.0.113.0/24", "python", 40),
    ];
    let kept = still_used(&Evidence { old: Some(old), ..silent() }, SILENCE).unwrap();
    assert_eq!(
        kept.to_string(),
        "the old version is still used from 192.0.2.0/24 (curl/8.5), an unnamed network in eu, 2001:db8:7::/48 and 1 more"
    );
}

#[test]
fn a_window_longer_than_time_asks_for_all_of_it() {
    let forever = DurationMillis::new(u64::MAX);
    assert!(still_used(&silent(), forever).is_some());
    let zero = DurationMillis::ZERO;
    assert_eq!(may_retire(&silent(), Some(zero)), Ok(()));
}
