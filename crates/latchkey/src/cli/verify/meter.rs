//! How far it is, for whoever watches a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::time::Instant;

const DRAW_INTERVAL: Duration = Duration::from_millis(100);
const BAR_CHARS: usize = 24;

/// A bar on a terminal; nothing elsewhere.
#[derive(Debug)]
pub(crate) struct Meter {
    what: &'static str,
    all: u64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Meter {
    /// Of `all` of what is counted. Where `quiet`, a program reads what comes of it.
    pub(crate) fn new(what: &'static str, all: u64, quiet: bool) -> Self {
        Self { what, all, shown: None, terminal: !quiet && io::stderr().is_terminal() }
    }

    /// Draws it, unless it was drawn a moment ago.
    pub(crate) fn show(&mut self, done: u64) {
        let now = Instant::now();
        if !self.terminal || self.shown.is_some_and(|shown| shown + DRAW_INTERVAL > now) {
            return;
        }
        self.shown = Some(now);
        // Nobody is worse off where a bar cannot be drawn.
        let _ = write!(io::stderr(), "\r\x1b[2K{}", text(self.what, done, self.all));
        let _ = io::stderr().flush();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

fn text(what: &str, done: u64, all: u64) -> String {
    let share = u128::from(done.min(all)) * 100 / u128::from(all.max(1));
    let full = usize::try_from(share).unwrap_or(100) * BAR_CHARS / 100;
    let (done_signs, left_signs) = ("#".repeat(full), ".".repeat(BAR_CHARS - full));
    format!("[{done_signs}{left_signs}] {share:>3} %  {done} of {all} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_what_is_done() {
        assert_eq!(text("entries", 0, 0), "[........................]   0 %  0 of 0 entries");
        assert_eq!(text("entries", 50, 100), "[############............]  50 %  50 of 100 entries");
        assert_eq!(text("entries", 100, 100), "[########################] 100 %  100 of 100 entries");
    }
}
