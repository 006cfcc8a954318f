//! How far a rotation is.

use core::fmt;

/// How far a rotation is, in the order of its life. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RotationState {
    /// It is due at a time; nothing was made yet.
    Planned,
    /// The new version is made and not yet accepted: a standby.
    Prepared,
    /// The new secret lies where its consumer reads it, and is accepted unless it is to be from a later time on.
    Delivered,
    /// The new version is known in every region, and the consumer's own check passed where there is one.
    Verified,
    /// Both versions are accepted, and the end of the old one is set.
    Overlap,
    /// It waits: for an operator, or for the old version to fall silent.
    Held,
    /// Only the new version is accepted.
    Completed,
    /// The old version stayed, and the new one ended.
    RolledBack,
    /// It ended before its overlap began, or with its key.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl RotationState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Planned,
        Self::Prepared,
        Self::Delivered,
        Self::Verified,
        Self::Overlap,
        Self::Held,
        Self::Completed,
        Self::RolledBack,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "PLANNED",
            Self::Prepared => "PREPARED",
            Self::Delivered => "DELIVERED",
            Self::Verified => "VERIFIED",
            Self::Overlap => "OVERLAP",
            Self::Held => "HELD",
            Self::Completed => "COMPLETED",
            Self::RolledBack => "ROLLED_BACK",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::RolledBack | Self::Cancelled | Self::Failed)
    }

    /// Whether it is not settled: it counts against what its keyspace may have at once. Of an overlap only the end is
    /// left to come.
    #[must_use]
    pub const fn is_unsettled(self) -> bool {
        matches!(self, Self::Planned | Self::Prepared | Self::Delivered | Self::Verified | Self::Held)
    }
}

/// Why a rotation is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldCause {
    /// Somebody asked for it.
    Asked,
    /// The new secret could not be delivered.
    Delivery,
    /// The consumer's own check failed.
    Check,
    /// The old version was used at the deadline.
    StillUsed,
    /// No consumer used the new version.
    NeverSeen,
}

impl HoldCause {
    /// Every cause.
    pub const ALL: [Self; 5] = [Self::Asked, Self::Delivery, Self::Check, Self::StillUsed, Self::NeverSeen];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "ASKED",
            Self::Delivery => "DELIVERY",
            Self::Check => "CHECK",
            Self::StillUsed => "STILL_USED",
            Self::NeverSeen => "NEVER_SEEN",
        }
    }
}

impl fmt::Display for RotationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_final_or_unsettled_or_an_overlap_and_never_two_of_these() {
        for state in RotationState::ALL {
            let of = [state.is_final(), state.is_unsettled(), state == RotationState::Overlap];
            assert_eq!(of.into_iter().filter(|holds| *holds).count(), 1, "{state}");
        }
    }
}
