//! Bugs that are planted on purpose, one at a time, so that what should find them can be shown to.
//!
//! Without the feature `planted`, [`is`] is `false` for the compiler too, and nothing of a bug is left in what it builds.
//! Only packages under `tests/` turn the feature on. Each bug stands at one place, behind `planted::is(Plant::...)`;
//! `tests/README.md` names the command that finds it.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Plant {
    /// The storage says that it is durable before the disk is.
    SkippedSync = 1,
    /// A vote is durable before the records that it names.
    VoteBeforeLog,
    /// A leader answers a read index without asking a quorum.
    StaleQuorum,
    /// A request id that was seen is carried out again.
    DedupeOff,
    /// What is applied reads the clock of the replica.
    ClockInApply,
    /// A leader stamps by a clock that the others do not believe.
    LeaderYearAhead,
    /// The log is purged before the snapshot that stands for it is there.
    PurgeBeforeInstall,
    /// A purge takes more of the log than the state covers.
    PurgeHole,
    /// Freshness counts from the receipt of the grant.
    FreshnessFromReceipt,
    /// A replica is removed while its lease may still run.
    LeaseIgnoredOnRemoval,
    /// A new leader confirms by time as if nobody had granted leases before it.
    NewLeaderConfirmsByTime,
    /// The barrier waits by the bound of now, though a longer one was in force when leases began.
    BoundLowered,
    /// A replica answers by what it last knew before it held a lease in this process life.
    LastKnownAfterRestart,
    /// A replica reports what its readers do not see yet.
    ReportBeforePublication,
    /// The lease is read from a clock that stands still while the machine sleeps.
    LeaseFromInstant,
    /// The barrier allows for no difference between the rates of clocks.
    NoMarginForRates,
    /// A snapshot is taken without a look at its hash.
    SnapshotWithoutHash,
    /// A learner counts where only voters may.
    LearnerCounted,
    /// A restored cluster goes on under its old epoch.
    RevisionBackOnRestore,
    /// A follower of the entries is not sent one of them.
    GapInFollow,
    /// Readers see a snapshot that is being installed before it is whole.
    NonAtomicSwap,
    /// The parts of a batch are read from different states.
    TwoSnapshotsInBatch,
    /// A grant is believed as the service saw it, and not looked up again where the command is applied.
    GrantNotRechecked,
    /// A step of a rotation is taken for whoever held the claim before.
    FenceIgnored,
    /// An old version is retired by what some replicas saw, and not all.
    RetireUnheard,
    /// An old version is retired before the shortest overlap is over.
    OverlapMinIgnored,
    /// A version whose text was lost is not revoked when another takes its place.
    ReplacedNotRevoked,
    /// A pepper is destroyed that digests are still under.
    PepperDroppedInUse,
    /// A replica vouches for any checkpoint that audit has signed, whatever its own tree says.
    CosignUnseen,
    /// The audit service signs a checkpoint without a look at the last one that it signed, or that is recorded.
    SignUnchecked,
    /// What some leaves of the published tree are the hashes of is not published.
    BundleLeftOut,
    /// What replicas observed is acknowledged before it is durable.
    AcknowledgeEarly,
    /// A batch of observations that was taken before is counted again.
    CountTwice,
    /// Entries are forgotten that no recorded checkpoint covers, where audit says so.
    TrimUnchecked,
    /// A leader that is back in its term answers before it has applied what it acknowledged.
    LedOnUnread,
}

/// Each bug and its word, in the order of their numbers.
const WORDS: [(Plant, &str); 35] = [
    (Plant::SkippedSync, "skipped-sync"),
    (Plant::VoteBeforeLog, "vote-before-log"),
    (Plant::StaleQuorum, "stale-quorum"),
    (Plant::DedupeOff, "dedupe-off"),
    (Plant::ClockInApply, "clock-in-apply"),
    (Plant::LeaderYearAhead, "leader-year-ahead"),
    (Plant::PurgeBeforeInstall, "purge-before-install"),
    (Plant::PurgeHole, "purge-hole"),
    (Plant::FreshnessFromReceipt, "freshness-from-receipt"),
    (Plant::LeaseIgnoredOnRemoval, "lease-ignored-on-removal"),
    (Plant::NewLeaderConfirmsByTime, "new-leader-confirms-by-time"),
    (Plant::BoundLowered, "bound-lowered"),
    (Plant::LastKnownAfterRestart, "last-known-after-restart"),
    (Plant::ReportBeforePublication, "report-before-publication"),
    (Plant::LeaseFromInstant, "lease-from-instant"),
    (Plant::NoMarginForRates, "no-margin-for-rates"),
    (Plant::SnapshotWithoutHash, "snapshot-without-hash"),
    (Plant::LearnerCounted, "learner-counted"),
    (Plant::RevisionBackOnRestore, "revision-back-on-restore"),
    (Plant::GapInFollow, "gap-in-follow"),
    (Plant::NonAtomicSwap, "non-atomic-swap"),
    (Plant::TwoSnapshotsInBatch, "two-snapshots-in-batch"),
    (Plant::GrantNotRechecked, "grant-not-rechecked"),
    (Plant::FenceIgnored, "fence-ignored"),
    (Plant::RetireUnheard, "retire-unheard"),
    (Plant::OverlapMinIgnored, "overlap-min-ignored"),
    (Plant::ReplacedNotRevoked, "replaced-not-revoked"),
    (Plant::PepperDroppedInUse, "pepper-dropped-in-use"),
    (Plant::CosignUnseen, "cosign-unchecked"),
    (Plant::SignUnchecked, "sign-unchecked"),
    (Plant::BundleLeftOut, "bundle-left-out"),
    (Plant::AcknowledgeEarly, "acknowledge-early"),
    (Plant::CountTwice, "count-twice"),
    (Plant::TrimUnchecked, "trim-beyond-checkpoint"),
    (Plant::LedOnUnread, "led-on-unread"),
];

impl Plant {
    /// Every bug.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(plant, _)| *plant)
    }

    /// The word by which it is asked for.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(plant, _)| *plant == self).map_or("", |(_, word)| word)
    }

    /// The bug of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, its)| *its == word).map(|(plant, _)| *plant)
    }
}

/// Whether this build can be told to be wrong.
pub const CAN_BE: bool = cfg!(feature = "planted");

#[cfg(feature = "planted")]
static PLANTED: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Plants a bug in this process, or takes it out again. Does nothing in a build without the feature.
#[cfg_attr(not(feature = "planted"), expect(unused_variables, reason = "nothing is there to be told"))]
pub fn plant(plant: Option<Plant>) {
    #[cfg(feature = "planted")]
    PLANTED.store(plant.map_or(0, |plant| plant as u8), core::sync::atomic::Ordering::Relaxed);
}

/// Whether a bug is planted in this process.
#[cfg(feature = "planted")]
#[must_use]
pub fn is(plant: Plant) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == plant as u8
}

/// Whether a bug is planted in this process: never.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is(_: Plant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bug_has_one_word_that_names_it_again() {
        for plant in Plant::all() {
            assert_eq!(Plant::parse(plant.word()), Some(plant));
        }
        assert_eq!(Plant::all().count(), Plant::LedOnUnread as usize);
        assert_eq!(Plant::parse("none"), None);
    }

    #[test]
    fn no_bug_is_planted_unless_somebody_asks() {
        assert!(Plant::all().all(|plant| !is(plant)));
    }
}
