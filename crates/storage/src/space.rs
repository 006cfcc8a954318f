//! How much room is left, and when to stop using it.

/// How much room a store has beside its reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Under [`SpaceLimits::full_bytes`]: refuse everybody. The reserve is released for purging and snapshots; half of it
    /// takes the appends that were on their way, and then those fail.
    Full,
    /// Under [`SpaceLimits::low_bytes`]: refuse callers; what other replicas append still fits.
    Low,
    /// Enough.
    Enough,
}

/// When a store says that its disk is full. All counts are of bytes that are free beside the reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceLimits {
    /// Kept in a file and given back when the disk is full. Default 64 MiB.
    pub reserve_bytes: u64,
    /// Below this, callers are to be refused. Default 256 MiB.
    pub low_bytes: u64,
    /// Below this, appends of others are to be refused too. Default 64 MiB.
    pub full_bytes: u64,
}

impl Default for SpaceLimits {
    fn default() -> Self {
        Self { reserve_bytes: 64 << 20, low_bytes: 256 << 20, full_bytes: 64 << 20 }
    }
}

impl SpaceLimits {
    /// What `free_bytes` mean, where `reserved` says whether the reserve is held, and thus not among them.
    pub(crate) fn judge(&self, free_bytes: u64, reserved: bool) -> (Space, u64) {
        let beside = if reserved { free_bytes } else { free_bytes.saturating_sub(self.reserve_bytes) };
        let space = if beside < self.full_bytes {
            Space::Full
        } else if beside < self.low_bytes {
            Space::Low
        } else {
            Space::Enough
        };
        (space, beside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_reserve_is_not_counted_as_free() {
        let limits = SpaceLimits { reserve_bytes: 100, low_bytes: 50, full_bytes: 20 };
        assert_eq!(limits.judge(19, true), (Space::Full, 19));
        assert_eq!(limits.judge(119, false), (Space::Full, 19));
        assert_eq!(limits.judge(120, false), (Space::Low, 20));
        assert_eq!(limits.judge(150, false), (Space::Enough, 50));
    }
}
