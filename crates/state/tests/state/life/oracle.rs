//! What becomes of a key, said a second time: in plain numbers, with the end of everything written where it is decided.

use super::event::Event;
use crate::support::HOUR;

/// Later than anything.
const NEVER: u64 = u64::MAX;
/// Versions that a key keeps.
const VERSIONS_MAX: usize = 16;

/// What a version is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    Accepted,
    Revoked,
    Suspended,
    Expired,
    NotYetValid,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub(super) number: u8,
    pub(super) pending: bool,
    pub(super) retires_at: u64,
    pub(super) revoked_at: u64,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Prepared,
    Overlap { ends_at: u64 },
    Completed,
    RolledBack,
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) number: u8,
    pub(super) turn: Turn,
    old: Option<u8>,
    new: u8,
    asked: u64,
}

/// A key and, where it has one, its parent.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    pub(super) now: u64,
    made_at: u64,
    pub(super) versions: Vec<Version>,
    /// The last rotation, ended or not.
    pub(super) rotation: Option<Rotation>,
    pub(super) expires_at: u64,
    latest: u64,
    revoked_at: u64,
    cut_at: u64,
    suspended: bool,
    pub(super) restricted_until: u64,
    pub(super) is_child: bool,
    parent_revoked: bool,
    parent_suspended: bool,
}

/// Why an event is refused, by the first word of the refusal.
type Refused = &'static str;

impl Oracle {
    /// A key made at `now` with one version.
    pub(super) fn new(now: u64, number: u8, expires_at: u64, parent_ends_at: Option<u64>) -> Self {
        Self {
            now,
            made_at: now,
            versions: vec![Version { number, pending: false, retires_at: NEVER, revoked_at: NEVER }],
            rotation: None,
            expires_at,
            latest: parent_ends_at.unwrap_or(NEVER),
            revoked_at: NEVER,
            cut_at: NEVER,
            suspended: false,
            restricted_until: 0,
            is_child: parent_ends_at.is_some(),
            parent_revoked: false,
            parent_suspended: false,
        }
    }

    /// What a version is worth at `time`, if nothing else happens until then.
    pub(super) fn worth(&self, version: &Version, time: u64) -> Worth {
        let parent_ends_at = if self.is_child { self.latest } else { NEVER };
        if [version.revoked_at, self.revoked_at, self.cut_at].iter().any(|end| *end <= time) || self.parent_revoked {
            Worth::Revoked
        } else if self.suspended || self.parent_suspended {
            Worth::Suspended
        } else if [version.retires_at, self.expires_at, parent_ends_at].iter().any(|end| *end <= time) {
            Worth::Expired
        } else if version.pending {
            Worth::NotYetValid
        } else {
            Worth::Accepted
        }
    }

    /// When anything that is known now will change something.
    pub(super) fn ends(&self) -> Vec<u64> {
        let of_versions = self.versions.iter().flat_map(|version| [version.retires_at, version.revoked_at]);
        let of_key = [self.expires_at, self.revoked_at, self.cut_at, self.restricted_until, self.latest];
        of_versions.chain(of_key).filter(|end| *end != NEVER && *end >= self.now).collect()
    }

    /// The same key after an event, or why that is refused.
    pub(super) fn after(&self, event: Event, fresh: u8) -> Result<Self, Refused> {
        let mut next = self.clone();
        match event {
            Event::Rotate(overlap) => next.rotate(overlap, fresh)?,
            Event::Prepare => next.prepare(fresh)?,
            Event::Revoke(grace) => next.revoke(self.now + grace),
            // Dead keys are passed over.
            Event::RevokeByName => {
                if self.need_alive().is_ok() {
                    next.revoke(self.now);
                }
            }
            Event::RevokeOldest => next.revoke_version(0),
            Event::RevokeNewest => next.revoke_version(self.versions.len() - 1),
            Event::Cut => next.cut_at = self.now,
            Event::Mark => {
                if self.cut_at != NEVER {
                    next.revoke(self.cut_at);
                }
            }
            Event::Suspend => {
                self.need_alive()?;
                next.suspended = true;
            }
            Event::Resume => {
                self.need_alive()?;
                next.suspended = false;
                next.restricted_until = 0;
            }
            Event::Restrict => {
                self.need_alive()?;
                next.restricted_until = self.now + HOUR;
            }
            Event::RollBack => next.roll_back()?,
            Event::Cancel => next.cancel()?,
            Event::Complete => next.complete()?,
            Event::Shorten => next.end_at(self.made_at + 3 * HOUR)?,
            Event::Lengthen => {
                self.need_alive()?;
                next.expires_at = self.latest;
            }
            Event::Tick(millis) => next.now += millis,
            Event::Settle => next.settle(),
            Event::Restart => {}
            Event::SuspendParent => {
                self.need_parent()?;
                next.parent_suspended = true;
            }
            Event::ResumeParent => {
                self.need_parent()?;
                next.parent_suspended = false;
            }
            Event::RevokeParent if !self.is_child => return Err("NotFound"),
            Event::RevokeParent => next.parent_revoked = true,
        }
        Ok(next)
    }

    fn need_parent(&self) -> Result<(), Refused> {
        match () {
            () if !self.is_child => Err("NotFound"),
            () if self.parent_revoked || self.cut_at <= self.now => Err("KeyRevoked"),
            () if self.latest <= self.now => Err("KeyExpired"),
            () => Ok(()),
        }
    }

    fn need_alive(&self) -> Result<(), Refused> {
        let parent_ended = self.is_child && self.latest <= self.now;
        if self.revoked_at <= self.now || self.cut_at <= self.now || self.parent_revoked {
            return Err("KeyRevoked");
        }
        if self.expires_at <= self.now || parent_ended { Err("KeyExpired") } else { Ok(()) }
    }

    fn version(&mut self, number: u8) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.number == number)
    }

    /// The last rotation is over where its overlap is.
    fn settle(&mut self) {
        let now = self.now;
        if let Some(rotation) = &mut self.rotation
            && matches!(rotation.turn, Turn::Overlap { ends_at } if ends_at <= now)
        {
            rotation.turn = Turn::Completed;
        }
    }

    /// The version that waits, where one that lives does.
    fn standby(&mut self) -> Result<Option<u8>, Refused> {
        self.settle();
        let now = self.now;
        let Some(rotation) = self.rotation else { return Ok(None) };
        match rotation.turn {
            Turn::Overlap { .. } => Err("RotationInProgress"),
            Turn::Prepared if self.version(rotation.new).is_some_and(|version| version.revoked_at > now) => {
                Ok(Some(rotation.new))
            }
            Turn::Prepared => {
                self.end_rotation(Turn::Cancelled);
                Ok(None)
            }
            Turn::Completed | Turn::RolledBack | Turn::Cancelled => Ok(None),
        }
    }

    fn add(&mut self, number: u8, pending: bool) -> Result<(), Refused> {
        let now = self.now;
        if self.versions.len() == VERSIONS_MAX {
            let is_dead = |version: &Version| version.retires_at <= now || version.revoked_at <= now;
            let oldest = self.versions.iter().position(is_dead).ok_or("QuotaExceeded")?;
            self.versions.remove(oldest);
        }
        self.versions.push(Version { number, pending, retires_at: NEVER, revoked_at: NEVER });
        Ok(())
    }

    fn active(&self) -> Option<u8> {
        let is_active =
            |version: &&Version| !version.pending && version.retires_at == NEVER && version.revoked_at > self.now;
        self.versions.iter().find(is_active).map(|version| version.number)
    }

    fn rotate(&mut self, overlap: u64, fresh: u8) -> Result<(), Refused> {
        self.need_alive()?;
        let (standby, now) = (self.standby()?, self.now);
        let old = self.active();
        let new = standby.unwrap_or(fresh);
        match standby {
            Some(standby) => self.version(standby).unwrap().pending = false,
            None => self.add(fresh, false)?,
        }
        let number = if standby.is_some() { self.rotation.unwrap().number } else { fresh };
        // An overlap never lengthens a life.
        let ends_at = (now + overlap).min(self.expires_at).min(self.revoked_at);
        if let Some(old) = old.and_then(|old| self.version(old)) {
            old.retires_at = ends_at;
        }
        let is_over = ends_at <= now || old.is_none();
        let turn = if is_over { Turn::Completed } else { Turn::Overlap { ends_at } };
        self.rotation = Some(Rotation { number, turn, old, new, asked: overlap });
        Ok(())
    }

    fn prepare(&mut self, fresh: u8) -> Result<(), Refused> {
        self.need_alive()?;
        if self.standby()?.is_some() {
            return Err("RotationInProgress");
        }
        let old = self.active();
        self.add(fresh, true)?;
        self.rotation = Some(Rotation { number: fresh, turn: Turn::Prepared, old, new: fresh, asked: 0 });
        Ok(())
    }

    fn revoke(&mut self, at: u64) {
        if at >= self.revoked_at {
            return;
        }
        self.revoked_at = at;
        self.settle();
        if let Some(Rotation { turn: Turn::Prepared | Turn::Overlap { .. }, .. }) = self.rotation {
            self.end_rotation(Turn::Cancelled);
        }
    }

    fn revoke_version(&mut self, index: usize) {
        let now = self.now;
        let version = &mut self.versions[index];
        if version.revoked_at <= now {
            return;
        }
        version.revoked_at = now;
        let number = version.number;
        match self.rotation {
            Some(Rotation { turn: Turn::Prepared, new, .. }) if new == number => self.end_rotation(Turn::Cancelled),
            Some(Rotation { turn: Turn::Overlap { .. }, old, .. }) if old == Some(number) => {
                self.end_rotation(Turn::Completed);
            }
            _ => {}
        }
    }

    /// Ends the last rotation, and what ends with it.
    fn end_rotation(&mut self, turn: Turn) {
        let (now, Some(rotation)) = (self.now, self.rotation) else { return };
        if rotation.turn == Turn::Prepared {
            let standby = self.version(rotation.new).unwrap();
            standby.revoked_at = standby.revoked_at.min(now);
        }
        if turn == Turn::Completed
            && let Some(old) = rotation.old.and_then(|old| self.version(old))
        {
            old.retires_at = old.retires_at.min(now);
        }
        self.rotation = Some(Rotation { turn, ..rotation });
    }

    fn roll_back(&mut self) -> Result<(), Refused> {
        let rotation = self.rotation.ok_or("NotFound")?;
        if rotation.turn == Turn::RolledBack {
            return Ok(());
        }
        self.need_alive()?;
        let now = self.now;
        let Turn::Overlap { ends_at } = rotation.turn else { return Err("RotationNotIn") };
        let lives = |version: &&mut Version| now < version.revoked_at && now < version.retires_at;
        let old = rotation.old.and_then(|old| self.version(old)).filter(lives).ok_or("RotationNotIn")?;
        if ends_at <= now {
            return Err("RotationNotIn");
        }
        old.retires_at = NEVER;
        let end = (now + rotation.asked).min(self.expires_at).min(self.revoked_at);
        self.version(rotation.new).unwrap().retires_at = end;
        self.rotation = Some(Rotation { turn: Turn::RolledBack, ..rotation });
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), Refused> {
        match self.rotation.ok_or("NotFound")?.turn {
            Turn::Cancelled => Ok(()),
            Turn::Prepared => {
                self.end_rotation(Turn::Cancelled);
                Ok(())
            }
            Turn::Overlap { .. } | Turn::Completed | Turn::RolledBack => Err("RotationNotIn"),
        }
    }

    fn complete(&mut self) -> Result<(), Refused> {
        match self.rotation.ok_or("NotFound")?.turn {
            Turn::Completed => Ok(()),
            Turn::Overlap { .. } => {
                self.end_rotation(Turn::Completed);
                Ok(())
            }
            Turn::Prepared | Turn::RolledBack | Turn::Cancelled => Err("RotationNotIn"),
        }
    }

    fn end_at(&mut self, time: u64) -> Result<(), Refused> {
        self.need_alive()?;
        if self.expires_at == time {
            return Ok(());
        }
        if time <= self.now {
            return Err("ExpiryPast");
        }
        if self.is_child && time > self.latest {
            return Err("ExceedsKey");
        }
        self.expires_at = time;
        Ok(())
    }
}
