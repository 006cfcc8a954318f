//! What a cluster is made of.

use crate::links::Weather;
use std::path::PathBuf;

/// Where the replicas stand: it gives the times of raft, and the bound of the keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// One machine hall.
    #[default]
    OneSite,
    /// Regions far apart.
    Wan,
}

impl Profile {
    /// As the settings have it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OneSite => "one-site",
            Self::Wan => "wan",
        }
    }

    /// How long a replica answers after it last heard of a leader, unless a keyspace says otherwise. Milliseconds.
    pub(crate) const fn bound_ms(self) -> u64 {
        match self {
            Self::OneSite => 5_000,
            Self::Wan => 10_000,
        }
    }

    /// The links that this profile is meant for.
    pub(crate) const fn weather(self) -> Weather {
        match self {
            Self::OneSite => Weather::SITE,
            Self::Wan => Weather::REGIONS,
        }
    }
}

/// How many replicas there are, and how they are started.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Each stands in a region of its own.
    pub(crate) replicas: usize,
    /// How far the wall clock of each is ahead of ours, from the first on. Milliseconds; none is 0.
    pub(crate) offsets_ms: Vec<i64>,
    /// Where they stand.
    pub(crate) profile: Profile,
    /// What their links are like. None: they dial each other themselves.
    pub(crate) weather: Option<Weather>,
    /// Whether their wall clocks can be moved while they run.
    pub(crate) moving_clocks: bool,
    /// Whether each has a small disk of its own, where this account may mount.
    pub(crate) small_disks: bool,
    /// Lines of the settings of all, as `raft` has them.
    pub(crate) raft_lines: Vec<String>,
    /// The program of the replicas. None: the one beside ours.
    pub(crate) program: Option<PathBuf>,
}

impl Default for Shape {
    /// Three on one site, and nothing wrong with any.
    fn default() -> Self {
        Self {
            replicas: crate::cluster::REPLICAS,
            offsets_ms: Vec::new(),
            profile: Profile::default(),
            weather: None,
            moving_clocks: false,
            small_disks: false,
            raft_lines: Vec::new(),
            program: None,
        }
    }
}

impl Shape {
    /// So many replicas of a profile, each behind links as that profile has them.
    pub(crate) fn linked(replicas: usize, profile: Profile) -> Self {
        Self { replicas, profile, weather: Some(profile.weather()), ..Self::default() }
    }
}
