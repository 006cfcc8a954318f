use super::*;
use latchkey_domain::{
    Delivery, HoldCause, KeyId, KeyspaceNumber, Network, NodeId, ReasonText, Revision, RotationId, RotationState,
    RotationTerms, Slug,
};
use latchkey_link::evidence::VersionUse;
use latchkey_state::{Change, Course, Held};

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

/// Of one that nobody drives, whose new version nothing but consumers use.
fn by_hand() -> Rotation {
    Rotation {
        id: RotationId::LOWEST,
        keyspace: KeyspaceNumber(1),
        key: KeyId::LOWEST,
        state: RotationState::Overlap,
        old: None,
        new: None,
        overlap: None,
        overlap_ends_at: None,
        created_at: ago(9 * HOUR),
        changed: Change { revision: Revision::new(1, 1), at: ago(9 * HOUR) },
        ended_at: None,
        text: ReasonText::default(),
        course: None,
    }
}

/// Of one whose store has checked the new secret, and that was verified so long ago.
fn verified(millis: u64) -> Rotation {
    let terms = RotationTerms::of_overlap(SILENCE);
    let course = Course::new(terms, Some(Delivery::Store(Slug::parse("vault").unwrap())));
    let course = Course { verified_at: Some(ago(millis)), ..course };
    Rotation { course: Some(Box::new(course)), ..by_hand() }
}

fn retires(evidence: &Evidence, silence: Option<DurationMillis>) -> Result<(), Kept> {
    may_retire(evidence, new_seen(evidence, &by_hand()), silence)
}

fn keeps(evidence: &Evidence, window: DurationMillis) -> Option<Kept> {
    still_used(evidence, new_seen(evidence, &by_hand()), window)
}

fn away() -> Vec<Unheard> {
    vec![Unheard { region: "us".to_owned(), replica: NodeId(3) }]
}

#[test]
fn what_was_silent_for_long_enough_everywhere_may_go() {
    assert_eq!((retires(&silent(), Some(SILENCE)), keeps(&silent(), SILENCE)), (Ok(()), None));
    let never = Evidence { old: Some(VersionUse::default()), ..silent() };
    assert_eq!(retires(&never, Some(SILENCE)), Ok(()));
    let alone = Evidence { old: None, watched_since: None, ..silent() };
    assert_eq!(retires(&alone, Some(SILENCE)), Ok(()), "there is nobody to wait for");
}

#[test]
fn each_thing_that_is_missing_keeps_the_old_version() {
    assert_eq!(retires(&silent(), None), Err(Kept::NeverEarly));
    let cases = [
        (Evidence { old: Some(used(9 * HOUR, HOUR - 1)), ..silent() }, "is still used"),
        (Evidence { new: VersionUse::default(), ..silent() }, "nobody has used the new version"),
        (Evidence { unheard: away(), watched_since: None, ..silent() }, "no answer from replica 3 in us"),
        (Evidence { watched_since: Some(ago(HOUR - 1)), ..silent() }, "has not watched for long enough"),
        (Evidence { watched_since: None, ..silent() }, "nobody watches"),
    ];
    for (evidence, why) in cases {
        let kept = retires(&evidence, Some(SILENCE)).unwrap_err();
        assert!(kept.to_string().contains(why), "{kept}");
        assert_eq!(keeps(&evidence, SILENCE), Some(kept));
    }
}

#[test]
fn what_is_known_is_said_before_what_is_not() {
    let both = Evidence { old: Some(used(HOUR, 5)), unheard: away(), watched_since: None, ..silent() };
    assert!(matches!(retires(&both, Some(SILENCE)), Err(Kept::Used { .. })));
    let unseen = Evidence { new: VersionUse::default(), unheard: away(), watched_since: None, ..silent() };
    assert_eq!(retires(&unseen, Some(SILENCE)).unwrap_err(), Kept::NewUnseen);
    // One who saw the new one is enough, whoever else is silent.
    assert_eq!(
        new_seen(&Evidence { unheard: away(), watched_since: None, ..silent() }, &by_hand()),
        Some(ago(3 * HOUR))
    );
}

#[test]
fn what_checks_a_staged_secret_is_no_consumer() {
    let seen = |new, rotation: &Rotation| new_seen(&Evidence { new, ..silent() }, rotation);
    let second = 1_000;
    // The check uses it, then it is verified; the clocks of both may be apart.
    for last in [3 * HOUR, 2 * HOUR, 2 * HOUR - second] {
        assert_eq!(seen(used(3 * HOUR, last), &verified(2 * HOUR)), None, "{last} ms ago");
    }
    let after = 2 * HOUR - second - 1;
    assert_eq!(seen(used(3 * HOUR, after), &verified(2 * HOUR)), Some(ago(after)));
    assert_eq!(seen(used(HOUR, 0), &verified(2 * HOUR)), Some(ago(HOUR)));
    assert_eq!(seen(used(3 * HOUR, 3 * HOUR), &by_hand()), Some(ago(3 * HOUR)), "nothing checks what no store has");
    // Before it is verified nobody knows who used it, but for what came after it was held: nothing checks it then.
    let mut staged = verified(0);
    let course = staged.course.as_mut().unwrap();
    course.verified_at = None;
    assert_eq!(seen(used(3 * HOUR, 0), &staged), None);
    let (from, cause) = (RotationState::Delivered, HoldCause::Check);
    staged.course.as_mut().unwrap().hold = Some(Held { from, at: ago(HOUR), cause, text: ReasonText::default() });
    assert_eq!(seen(used(3 * HOUR, HOUR), &staged), None);
    assert_eq!(seen(used(3 * HOUR, 0), &staged), Some(ago(0)));
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
    let kept = keeps(&Evidence { old: Some(old), ..silent() }, SILENCE).unwrap();
    assert_eq!(
        kept.to_string(),
        "the old version is still used from 192.0.2.0/24 (curl/8.5), an unnamed network in eu, 2001:db8:7::/48 and 1 more"
    );
}

#[test]
fn a_window_longer_than_time_asks_for_all_of_it() {
    let forever = DurationMillis::new(u64::MAX);
    assert!(keeps(&silent(), forever).is_some());
    let zero = DurationMillis::ZERO;
    assert_eq!(retires(&silent(), Some(zero)), Ok(()));
}
