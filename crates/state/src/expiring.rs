//! Which keys soon end, and of which those whose keys they are have yet to be told. Found by the index of ends, so that a
//! key that ends later than its keyspace's longest notice, or never, is not looked at.

use crate::index::Timed;
use crate::key::{Key, Worth};
use crate::records::{Keyspace, KeyspaceSettings};
use crate::state::State;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included};
use latchkey_domain::{DurationMillis, ExpiryNotices, KeyId, KeyspaceNumber, UnixMillis};

/// The level from which on anybody is told.
const FEATURE_LEVEL: u32 = 6;

/// Within how many days keys are counted that end.
pub const EXPIRING_DAYS: [u64; 3] = [1, 7, 30];

/// The place of a key among those that end: its keyspace, its end and its id.
pub type ExpiryAt = (KeyspaceNumber, UnixMillis, KeyId);

/// A notice that a key soon ends, which is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryNotice {
    /// When the key ends.
    pub expires_at: UnixMillis,
    /// How long before that the notice is given. Of several that are owed at once the last: it speaks for the others.
    pub before: DurationMillis,
}

/// A key of which a notice is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiringKey {
    /// Its keyspace.
    pub keyspace: KeyspaceNumber,
    /// Which.
    pub key: KeyId,
    /// When it ends.
    pub expires_at: UnixMillis,
}

/// What looking at some of the keys that soon end told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwedExpiries {
    /// Keys of which a notice is owed; of each keyspace those that end first come first.
    pub owed: Vec<ExpiringKey>,
    /// When the next notice will be owed of those looked at, as all stands now; absent: none will.
    pub next_at: Option<UnixMillis>,
    /// Where to go on; absent: these were the last.
    pub next: Option<ExpiryAt>,
}

impl ExpiryNotice {
    /// Since when it is owed.
    #[must_use]
    pub fn owed_at(&self) -> UnixMillis {
        earlier(self.expires_at, self.before)
    }
}

impl KeyspaceSettings {
    /// How long before their expiry those whose keys they are are told, falling; empty: nobody is.
    #[must_use]
    pub fn expiry_notices_in_force(&self) -> &[DurationMillis] {
        ExpiryNotices::in_force(self.expiry_notices.as_ref())
    }
}

impl Key {
    /// Notices of its expiry are owed that fall after this. Whoever made it, or moved its end, knew how near that is: so no
    /// notice is owed that is longer than what was then left of its life.
    #[must_use]
    pub fn expiry_told_through(&self) -> UnixMillis {
        self.details.as_ref().and_then(|details| details.expiry_told_through).unwrap_or(self.created_at)
    }
}

impl State {
    /// Whether this cluster tells of keys that soon end.
    #[must_use]
    pub fn tells_of_expiry(&self) -> bool {
        self.progress().feature_level >= FEATURE_LEVEL
    }

    /// The notice of its expiry that is owed of a key; absent: none is. None ever is of what is over, and of a suspended key
    /// once it is resumed.
    #[must_use]
    pub fn expiry_notice(&self, keyspace: &Keyspace, key: &Key, now: UnixMillis) -> Option<ExpiryNotice> {
        let expires_at = key.expires_at.filter(|end| now < *end)?;
        let told_through = key.expiry_told_through();
        let notices = keyspace.settings.expiry_notices_in_force().iter().rev();
        let mut notices = notices.map(|before| ExpiryNotice { expires_at, before: *before });
        let owed = notices.find(|notice| told_through < notice.owed_at() && notice.owed_at() <= now)?;
        // Asked last: most keys in sight of their end have been told of.
        self.is_of_use(key, now).then_some(owed)
    }

    /// Looks at up to `scan` keys and keyspaces after a place, of those keys that end within the longest notice of their
    /// keyspace.
    #[must_use]
    pub fn owed_expiries(&self, after: Option<ExpiryAt>, now: UnixMillis, scan: usize) -> OwedExpiries {
        let mut told = OwedExpiries::default();
        if !self.tells_of_expiry() {
            return told;
        }
        let mut left = scan;
        for keyspace in self.keyspaces().from(after.map_or(KeyspaceNumber(0), |(keyspace, ..)| keyspace)) {
            let number = keyspace.number;
            if left == 0 {
                told.next = Some((number, UnixMillis::default(), KeyId::LOWEST));
                return told;
            }
            let Some(longest) = keyspace.settings.expiry_notices_in_force().first() else { continue };
            let begin = (number, now, KeyId::HIGHEST);
            let begin = Excluded(after.map_or(begin, |after| after.max(begin)));
            let end = Included((number, UnixMillis::LAST, KeyId::HIGHEST));
            for (place, ()) in self.index().expiring.range(begin, end) {
                let comes_in_sight_at = earlier(place.1, *longest);
                if comes_in_sight_at > now {
                    told.hear_of(comes_in_sight_at);
                    break;
                }
                if left == 0 {
                    return told;
                }
                left -= 1;
                self.look_at(keyspace, place, now, &mut told);
            }
            left = left.saturating_sub(1);
        }
        told.next = None;
        told
    }

    fn look_at(&self, keyspace: &Keyspace, place: &Timed, now: UnixMillis, told: &mut OwedExpiries) {
        let (number, expires_at, id) = *place;
        told.next = Some(*place);
        let Some(key) = self.key_at(number, id) else { return };
        if self.expiry_notice(keyspace, key, now).is_some() {
            told.owed.push(ExpiringKey { keyspace: number, key: id, expires_at });
        }
        let mut times = keyspace.settings.expiry_notices_in_force().iter().map(|before| earlier(expires_at, *before));
        if let Some(next) = times.find(|time| *time > now) {
            told.hear_of(next);
        }
    }

    /// Whether a key ends within each of [`EXPIRING_DAYS`], and somebody would miss it.
    pub(crate) fn expires_within(&self, key: &Key, now: UnixMillis) -> [bool; EXPIRING_DAYS.len()] {
        let left = key.expires_at.filter(|end| now < *end).map(|end| end.since(now));
        let within = EXPIRING_DAYS.map(|days| left.is_some_and(|left| left <= DurationMillis::from_days(days)));
        let counts = within.contains(&true) && self.is_of_use(key, now);
        within.map(|is_within| is_within && counts)
    }

    /// Whether anybody can use a key, now or once its time has come: it is neither over nor suspended, and has a version
    /// that is not over.
    fn is_of_use(&self, key: &Key, now: UnixMillis) -> bool {
        matches!(self.key_worth(key, now), Worth::Accepted | Worth::NotYetValid(_))
            && key.versions.iter().any(|version| !self.version_worth(key, version, now).is_dead())
    }
}

impl OwedExpiries {
    fn hear_of(&mut self, time: UnixMillis) {
        self.next_at = Some(self.next_at.map_or(time, |next| next.min(time)));
    }
}

const fn earlier(time: UnixMillis, span: DurationMillis) -> UnixMillis {
    UnixMillis::new(time.millis().saturating_sub(span.millis()))
}
