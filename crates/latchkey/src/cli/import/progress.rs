//! How an import goes on, for whoever watches: a bar on a terminal, else a line now and then.

use crate::cli::{output, span};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::time::Instant;

/// How often the bar is drawn, and how often a line is written where there is no terminal.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Signs of the bar.
const BAR_CHARS: usize = 24;

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stand {
    /// Rows settled by this run.
    pub(crate) rows: u64,
    /// Rows refused by this run.
    pub(crate) refused: u64,
    /// How much of the file is settled. Bytes.
    pub(crate) bytes: u64,
    /// How long the file is. Bytes.
    pub(crate) bytes_all: u64,
    /// How much of it earlier runs settled. Bytes.
    pub(crate) bytes_before: u64,
}

/// Shows it.
#[derive(Debug)]
pub(crate) struct Bar {
    began: Instant,
    shown: Option<Instant>,
    terminal: bool,
    quiet: bool,
}

impl Bar {
    /// With `quiet` nothing is shown: a program reads what comes of it.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { began: Instant::now(), shown: None, terminal: io::stderr().is_terminal(), quiet }
    }

    /// How long it has lasted.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Shows how far it is, unless it was shown a moment ago.
    pub(crate) fn show(&mut self, stand: &Stand) {
        let interval = if self.terminal { DRAW_INTERVAL } else { LINE_INTERVAL };
        let now = Instant::now();
        if self.quiet || self.shown.unwrap_or(self.began) + interval > now {
            return;
        }
        self.shown = Some(now);
        let text = text(stand, self.elapsed());
        if self.terminal {
            // Nobody is worse off where a bar cannot be drawn.
            let _ = write!(io::stderr(), "\r\x1b[2K{} {text}", bar(stand));
            let _ = io::stderr().flush();
        } else {
            output::note(&text);
        }
    }

    /// Says something between, on a line of its own.
    pub(crate) fn say(&self, what: &str) {
        self.clear();
        if !self.quiet {
            output::note(what);
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if self.terminal && !self.quiet && self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

fn bar(stand: &Stand) -> String {
    let filled = usize::try_from(stand.bytes * BAR_CHARS as u64 / stand.bytes_all.max(1)).unwrap_or(BAR_CHARS);
    let filled = filled.min(BAR_CHARS);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR_CHARS - filled))
}

fn text(stand: &Stand, elapsed: Duration) -> String {
    let percent = stand.bytes * 100 / stand.bytes_all.max(1);
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = stand.rows * 1_000 / millis;
    let (done, left) = (stand.bytes.saturating_sub(stand.bytes_before), stand.bytes_all.saturating_sub(stand.bytes));
    let left_millis = left.saturating_mul(millis).checked_div(done);
    let eta = left_millis.map(|left| format!(", {} left", span::show(left / 1_000 * 1_000))).unwrap_or_default();
    let refused = if stand.refused == 0 { String::new() } else { format!(", {} refused", thousands(stand.refused)) };
    format!("{percent} %, {} rows{refused}, {} rows/s{eta}", thousands(stand.rows), thousands(rate))
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).expect("digits")).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_the_speed_of_this_run() {
        let stand = Stand { rows: 20_000, refused: 3, bytes: 600, bytes_all: 1_000, bytes_before: 400 };
        assert_eq!(text(&stand, Duration::from_secs(2)), "60 %, 20,000 rows, 3 refused, 10,000 rows/s, 4s left");
        assert_eq!(bar(&stand), format!("[{}{}]", "#".repeat(14), ".".repeat(10)));
        assert_eq!(text(&Stand::default(), Duration::ZERO), "0 %, 0 rows, 0 rows/s");
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
