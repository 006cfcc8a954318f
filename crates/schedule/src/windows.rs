//! The windows of a policy.

use crate::{Window, WindowError};
use latchkey_domain::{RotationWindow, UnixMillis};
use std::fmt;

/// The windows of a policy: rotations may start while any of them is open, and at any time where there is none.
#[derive(Clone, Debug, Default)]
pub struct Windows(Vec<Window>);

/// A window of a policy that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowsError {
    /// Which, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: WindowError,
}

impl WindowsError {
    /// The path of the field that is wrong, such as `windows[0].cron`.
    #[must_use]
    pub fn field(&self) -> String {
        format!("windows[{}].{}", self.index, self.error.field())
    }
}

impl fmt::Display for WindowsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field(), self.error)
    }
}

impl std::error::Error for WindowsError {}

impl Windows {
    /// Reads the windows of a policy.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn parse(windows: &[RotationWindow]) -> Result<Self, Vec<WindowsError>> {
        let (mut read, mut wrong) = (Vec::with_capacity(windows.len()), Vec::new());
        for (index, window) in windows.iter().enumerate() {
            match Window::parse(window) {
                Ok(window) => read.push(window),
                Err(errors) => wrong.extend(errors.into_iter().map(|error| WindowsError { index, error })),
            }
        }
        if wrong.is_empty() { Ok(Self(read)) } else { Err(wrong) }
    }

    /// Whether a rotation may start at this time.
    #[must_use]
    pub fn is_open(&self, at: UnixMillis) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.is_open(at))
    }

    /// The first time from `at` on at which a rotation may start; `at` itself where it may. `None`: never within the
    /// calendar, which ends in the year 5000.
    #[must_use]
    pub fn next_open(&self, at: UnixMillis) -> Option<UnixMillis> {
        if self.0.is_empty() {
            return Some(at);
        }
        self.0.iter().filter_map(|window| window.next_open(at)).min()
    }
}
