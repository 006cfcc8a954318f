//! What operators are told of, and whether it holds: a function of what this service sees of itself.

use crate::checkpoint::Signing;
use crate::exporting::{NOTICES, SinkStatus};
use crate::notices::Notice;
use latchkey_domain::{DurationMillis, UnixMillis};
use std::collections::HashMap;
use std::fmt::Write as _;

/// For how long a sink has to refuse nothing until that is told.
const REFUSES_NOTHING: DurationMillis = DurationMillis::from_secs(3_600);

/// What kind of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A sink takes nothing, or falls behind.
    SinkBehind,
    /// A sink refuses some of what it is sent, and has not got them.
    SinkRefuses,
    /// Entries have waited too long for a checkpoint.
    CheckpointLate,
    /// A replica has another log, though a majority has this one.
    CheckpointRefused,
    /// The service stopped: the log was forked, rolled back, or cannot be believed.
    AuditHalted,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SinkBehind, Self::SinkRefuses, Self::CheckpointLate, Self::CheckpointRefused, Self::AuditHalted];

    /// Its word: the type of its notice, which has `.ended` behind it once it has.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SinkBehind => "sink.behind",
            Self::SinkRefuses => "sink.set_aside",
            Self::CheckpointLate => "checkpoint.late",
            Self::CheckpointRefused => "checkpoint.refused",
            Self::AuditHalted => "audit.halted",
        }
    }

    /// What it says of what it is about, while it holds and once it has ended.
    const fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::SinkBehind => {
                ("falls behind, or takes nothing", "takes what it is sent again, or is no longer set up")
            }
            Self::SinkRefuses => ("refuses some of what it is sent", "has refused nothing for an hour"),
            Self::CheckpointLate => ("has entries that no checkpoint covers", "is covered by a checkpoint again"),
            Self::CheckpointRefused => {
                ("is not vouched for by a replica", "is vouched for by all replicas that answer")
            }
            Self::AuditHalted => ("is followed no more: audit has stopped", "is followed and signed again"),
        }
    }

    /// What to do, and the heading of the manual.
    const fn to_do(self) -> (&'static str, &'static str) {
        match self {
            Self::SinkBehind => ("Look at it with `latchkey audit exports`.", "LatchkeyExportBehind"),
            Self::SinkRefuses => {
                ("Look at what it says of each in exports/ of audit's data folder.", "LatchkeyExportSetAside")
            }
            Self::CheckpointLate => ("Look why in audit's log: nothing is lost meanwhile.", "LatchkeyAuditUnsigned"),
            Self::CheckpointRefused | Self::AuditHalted => {
                ("Keep audit's data folder, its archive and the replicas as evidence.", "LatchkeyAuditForked")
            }
        }
    }
}

/// A cause: what kind, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cause {
    /// What kind.
    pub kind: Kind,
    /// The name of the sink, or `audit`.
    pub about: String,
}

impl Cause {
    fn of_log(kind: Kind) -> Self {
        Self { kind, about: "audit".to_owned() }
    }

    /// The notice that it holds, `since` when and why; or, without a reason, that it has ended. Each has an id of its own.
    pub(super) fn notice(&self, origin: &str, since: UnixMillis, why: Option<&str>) -> Notice {
        let Self { kind, about } = self;
        let (holds, ended) = kind.said();
        let (word, said) = if why.is_some() { ("", holds) } else { (".ended", ended) };
        let about = match kind {
            Kind::SinkBehind | Kind::SinkRefuses => format!("the sink {about}"),
            Kind::CheckpointLate | Kind::CheckpointRefused | Kind::AuditHalted => "the audit log".to_owned(),
        };
        let subject = format!("{about} {said}");
        let mut text = format!("{subject}.\n\n");
        if let Some(why) = why {
            let (to_do, heading) = kind.to_do();
            let _ = write!(text, "Why: {why}\n{to_do}\nIn deploy/README.md: {heading}.\n\n");
        }
        let _ = write!(
            text,
            "Told since: {}\nCluster: {origin}\n\nYou get this since you are an operator in audit's settings. It is told once until it has ended.\n",
            latchkey_wire::time::write_time(since)
        );
        let id = format!("{origin}-{}-{}-{}{word}", kind.as_str(), self.about, since.millis());
        let (tenant, kind) = (String::new(), format!("{}{word}", kind.as_str()));
        Notice { id, tenant, kind, about, for_operators: true, subject, text }
    }
}

/// Whether a cause holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does, and why.
    Holds(String),
    /// It does not: that was seen.
    Ended,
    /// Nobody knows, such as right after a start.
    Unknown,
}

/// What this service sees of itself.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// How sinks do, by name.
    pub sinks: &'a [(String, SinkStatus)],
    /// How signing does.
    pub signing: &'a Signing,
    /// Whether events come and are stored.
    pub follows: bool,
    /// Why the service stops, where it does.
    pub halted: Option<&'a str>,
    /// Now.
    pub now: UnixMillis,
}

/// Judges what is seen.
#[derive(Debug)]
pub struct Looking {
    behind_after: DurationMillis,
    unsigned_after: DurationMillis,
    /// Of each sink that is behind: the least that it was, and when. One that catches up becomes less and less.
    behind: HashMap<String, (DurationMillis, UnixMillis)>,
    /// How much each sink has refused, and when that was last seen to grow, or first seen.
    refused: HashMap<String, Refused>,
}

/// What a sink has refused.
#[derive(Clone, Copy, Debug)]
struct Refused {
    count: u64,
    since: UnixMillis,
    has_grown: bool,
}

impl Looking {
    /// With what is too long for a sink, and for a checkpoint.
    #[must_use]
    pub fn new(behind_after: DurationMillis, unsigned_after: DurationMillis) -> Self {
        Self { behind_after, unsigned_after, behind: HashMap::new(), refused: HashMap::new() }
    }

    /// Every cause that there may be, and its state.
    pub fn look(&mut self, seen: &Seen<'_>) -> Vec<(Cause, State)> {
        let Seen { signing, follows, .. } = *seen;
        let mut states: Vec<_> = seen.sinks.iter().map(|(name, status)| self.sink(name, status, seen.now)).collect();
        self.behind.retain(|name, _| seen.sinks.iter().any(|(found, _)| found == name));
        // What notices set aside is for a contact to mend, and no operator.
        let others = seen.sinks.iter().filter(|(_, status)| status.kind != NOTICES);
        states.extend(others.map(|(name, status)| self.refuses(name, status, seen.now)));
        let signs = follows && (!signing.is_on || signing.signed > 0);
        let known = |holds: Option<String>, ended: bool| match holds {
            Some(why) => State::Holds(why),
            None if ended => State::Ended,
            None => State::Unknown,
        };
        let waits = DurationMillis::new(u64::try_from(signing.waits.as_millis()).unwrap_or(u64::MAX));
        let no_key = if signing.is_on { "" } else { ", and checkpoint_key_file names no key that signs" };
        let late = (waits >= self.unsigned_after)
            .then(|| format!("entries have waited for {} s{no_key}", waits.millis() / 1_000));
        let covered = signing.waits.is_zero() && (signing.signed > 0 || !signing.is_on);
        states.push((Cause::of_log(Kind::CheckpointLate), known(late, covered)));
        states.push((Cause::of_log(Kind::CheckpointRefused), known(signing.refused.clone(), signs)));
        states.push((Cause::of_log(Kind::AuditHalted), known(seen.halted.map(str::to_owned), signs)));
        states
    }

    fn sink(&mut self, name: &str, status: &SinkStatus, now: UnixMillis) -> (Cause, State) {
        let cause = Cause { kind: Kind::SinkBehind, about: name.to_owned() };
        let lag = DurationMillis::new(status.lag_millis(now));
        let stands_since = self.stands_since(name, lag, now);
        if let Some((since, why)) = &status.failing {
            let holds = now.since(*since) >= self.behind_after;
            return (cause, if holds { State::Holds(why.clone()) } else { State::Unknown });
        }
        let stands = stands_since.is_some_and(|since| now.since(since) >= self.behind_after);
        let state = match (stands, stands_since) {
            (true, _) => {
                let seconds = lag.millis() / 1_000;
                State::Holds(format!("it takes less than there is: the oldest that waits is {seconds} s old"))
            }
            (false, None) if status.well_at.is_some() => State::Ended,
            (false, _) => State::Unknown,
        };
        (cause, state)
    }

    fn refuses(&mut self, name: &str, status: &SinkStatus, now: UnixMillis) -> (Cause, State) {
        let cause = Cause { kind: Kind::SinkRefuses, about: name.to_owned() };
        // Before its cursor is open nothing is known of it.
        if status.well_at.is_none() {
            return (cause, State::Unknown);
        }
        let first = Refused { count: status.set_aside, since: now, has_grown: false };
        let refused = self.refused.entry(name.to_owned()).or_insert(first);
        if status.set_aside > refused.count {
            *refused = Refused { count: status.set_aside, since: now, has_grown: true };
        }
        let state = match (refused.has_grown, now.since(refused.since) >= REFUSES_NOTHING) {
            (_, true) => State::Ended,
            (true, false) => State::Holds("it took others, so what it refused was passed over".to_owned()),
            (false, false) => State::Unknown,
        };
        (cause, state)
    }

    /// Since when a sink that is too far behind has come no nearer; `None`: it is not too far behind.
    fn stands_since(&mut self, name: &str, lag: DurationMillis, now: UnixMillis) -> Option<UnixMillis> {
        if lag < self.behind_after {
            self.behind.remove(name);
            return None;
        }
        let (least, since) = self.behind.entry(name.to_owned()).or_insert((lag, now));
        if lag < *least {
            (*least, *since) = (lag, now);
        }
        Some(*since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const AFTER: DurationMillis = DurationMillis::from_secs(900);

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis::new(1_795_420_800_000 + seconds * 1_000)
    }

    fn state_of(looking: &mut Looking, status: &SinkStatus, now: UnixMillis) -> State {
        looking.sink("elk", status, now).1
    }

    #[test]
    fn a_sink_that_fails_is_told_after_a_while_and_one_that_catches_up_never() {
        let mut looking = Looking::new(AFTER, AFTER);
        let dead = SinkStatus { failing: Some((at(0), "no answer".to_owned())), ..SinkStatus::default() };
        assert_eq!(state_of(&mut looking, &dead, at(899)), State::Unknown);
        assert_eq!(state_of(&mut looking, &dead, at(900)), State::Holds("no answer".to_owned()));
        // Right after a start nobody knows how it does.
        assert_eq!(state_of(&mut looking, &SinkStatus::default(), at(901)), State::Unknown);
        // It has a year to catch up with, and does, an hour's worth each minute.
        let behind = |minute: u64| SinkStatus {
            waits_since: Some(UnixMillis::new(at(0).millis() - 31_536_000_000 + minute * 3_600_000)),
            well_at: Some(at(minute * 60)),
            ..SinkStatus::default()
        };
        for minute in 0..120 {
            assert_eq!(state_of(&mut looking, &behind(minute), at(minute * 60)), State::Unknown);
        }
        // From there on it takes some, and less than comes.
        let stands = |now| state_of(&mut looking, &behind(119), now);
        assert!(matches!([at(119 * 60 + 899), at(119 * 60 + 900)].map(stands), [State::Unknown, State::Holds(_)]));
        let well = SinkStatus { well_at: Some(at(0)), ..SinkStatus::default() };
        assert_eq!(state_of(&mut looking, &well, at(20_000)), State::Ended);
    }

    #[test]
    fn a_sink_that_refuses_more_than_before_is_told_until_it_has_not_for_an_hour() {
        let mut looking = Looking::new(AFTER, AFTER);
        let mut state = |set_aside, well_at, seconds| {
            let status = SinkStatus { set_aside, well_at, ..SinkStatus::default() };
            looking.refuses("elk", &status, at(seconds)).1
        };
        let well = Some(at(0));
        assert_eq!(state(0, None, 0), State::Unknown, "its cursor is not open");
        assert_eq!(state(7, well, 1), State::Unknown, "it refused these before this process began");
        let holds = [(8, 2), (8, 3_601), (9, 3_602), (9, 7_201)].map(|(count, seconds)| state(count, well, seconds));
        assert!(holds.iter().all(|state| matches!(state, State::Holds(_))), "{holds:?}");
        assert_eq!(state(9, well, 7_202), State::Ended);
        assert!(matches!(state(10, well, 9_000), State::Holds(_)));
        // Of notices it is not asked at all.
        let status = SinkStatus { kind: NOTICES, ..SinkStatus::default() };
        let (sinks, signing) = ([("notices".to_owned(), status)], Signing::default());
        let seen = Seen { sinks: &sinks, signing: &signing, follows: true, halted: None, now: at(0) };
        assert!(looking.look(&seen).iter().all(|(cause, _)| cause.kind != Kind::SinkRefuses));
    }

    #[test]
    fn what_the_log_is_alarmed_by_ends_only_when_it_is_signed_again() {
        let mut looking = Looking::new(AFTER, AFTER);
        let mut states = |signing: &Signing, halted| {
            let seen = Seen { sinks: &[], signing, follows: true, halted, now: at(0) };
            looking.look(&seen).into_iter().map(|(_, state)| state).collect::<Vec<_>>()
        };
        let begun = Signing { is_on: true, ..Signing::default() };
        assert_eq!(states(&begun, None), [State::Unknown, State::Unknown, State::Unknown]);
        let late_signing =
            Signing { waits: Duration::from_secs(900), refused: Some("two logs".to_owned()), ..begun.clone() };
        let [late, refused, halted] = &states(&late_signing, Some("rolled back"))[..] else { panic!("three causes") };
        assert!(matches!(late, State::Holds(why) if why.contains("900 s")), "{late:?}");
        assert_eq!((refused, halted), (&State::Holds("two logs".to_owned()), &State::Holds("rolled back".to_owned())));
        let without_key = Signing { is_on: false, signed: 0, ..late_signing.clone() };
        assert!(matches!(&states(&without_key, None)[0], State::Holds(why) if why.contains("checkpoint_key_file")));
        let waiting = Signing { waits: Duration::from_secs(9), ..Signing::default() };
        assert_eq!(states(&waiting, None)[0], State::Unknown, "nothing covers them again");
        let signed = Signing { signed: 7, ..begun };
        assert_eq!(states(&signed, None), [State::Ended, State::Ended, State::Ended]);
        assert_eq!(states(&Signing::default(), None), [State::Ended, State::Ended, State::Ended], "nothing is signed");
    }

    #[test]
    fn a_notice_says_what_to_do_and_its_end_has_an_id_of_its_own() {
        let cause = Cause { kind: Kind::SinkBehind, about: "elk".to_owned() };
        let (begun, ended) = (cause.notice("c1", at(0), Some("no answer")), cause.notice("c1", at(0), None));
        assert_eq!((begun.kind.as_str(), ended.kind.as_str()), ("sink.behind", "sink.behind.ended"));
        assert!(begun.id.starts_with("c1-sink.behind-elk-") && ended.id == format!("{}.ended", begun.id));
        assert!(begun.text.contains("Why: no answer") && begun.text.contains("LatchkeyExportBehind"), "{}", begun.text);
        assert!(ended.subject.contains("again") && !ended.text.contains("Why"), "{}", ended.text);
    }
}
