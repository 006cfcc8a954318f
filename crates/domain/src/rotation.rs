//! How far a rotation is.

use core::fmt;

/// How far a rotation is, in the order of its life. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RotationState {
    /// It is due at a time; nothing was made yet.
    Planned,
    /// The new version is made and not yet accepted: a standby.
    Prepared,
    /// The new secret lies where its consumer reads it.
    Delivered,
    /// The new secret was read back.
    Verified,
    /// Both versions are accepted.
    Overlap,
    /// The overlap was over, and the old version is kept since it is still used.
    Held,
    /// Only the new version is accepted.
    Completed,
    /// The old version stayed, and the new one ended.
    RolledBack,
    /// It ended before the new version was accepted, or with its key.
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

    /// Whether the new version is made and not yet accepted.
    #[must_use]
    pub const fn has_standby(self) -> bool {
        matches!(self, Self::Prepared | Self::Delivered | Self::Verified)
    }

    /// Whether both versions are accepted.
    #[must_use]
    pub const fn overlaps(self) -> bool {
        matches!(self, Self::Overlap | Self::Held)
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
    fn a_state_is_final_has_a_standby_or_overlaps_and_never_two_of_these() {
        for state in RotationState::ALL {
            let of = [state.is_final(), state.has_standby(), state.overlaps()];
            assert_eq!(of.into_iter().filter(|holds| *holds).count(), usize::from(state != RotationState::Planned));
        }
    }
}
