//! What is wrong in the settings: everything, at once.

use std::error::Error;
use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, such as `raft.heartbeat_ms`.
    pub setting: String,
    /// The value found and where it came from. `None` when there is none, or when it may not be shown.
    pub found: Option<String>,
    /// The rest of the sentence that begins with the setting: what was expected.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        if let Some(found) = &self.found {
            write!(f, " ({found})")?;
        }
        write!(f, " {}; {}", self.expected, self.remedy)
    }
}

/// All mistakes of one load. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 mistake in the settings:")?,
            count => write!(f, "{count} mistakes in the settings:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n- {mistake}"))
    }
}

impl Error for Mistakes {}
