//! What was found: checks that passed or failed, and figures that only inform.

use std::fmt::Display;
use std::time::Duration;

/// Why a scenario ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The cluster did what it must not do.
    #[error("{0}")]
    Wrong(String),
    /// The machine lacks something, or the scenario could not be brought about here.
    #[error("not run: {0}")]
    NotRun(String),
}

impl Trouble {
    pub(crate) fn wrong(what: impl Display) -> Self {
        Self::Wrong(what.to_string())
    }

    pub(crate) fn not_run(why: impl Display) -> Self {
        Self::NotRun(why.to_string())
    }
}

/// The checks of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: u64,
    failures: Vec<String>,
    not_run: Vec<String>,
}

impl Report {
    /// A check, named by the sentence that it proves. `wrong` says what was found instead; nothing is right.
    pub(crate) fn check(&mut self, sentence: &str, wrong: &[String]) {
        if wrong.is_empty() {
            self.passed += 1;
            println!("   right  {sentence}");
            return;
        }
        println!("   WRONG  {sentence}: {} cases", wrong.len());
        for one in wrong.iter().take(10) {
            println!("          {one}");
        }
        self.failures.push(sentence.to_owned());
    }

    /// A figure: it informs, and never fails.
    pub(crate) fn figure(&self, name: &str, value: impl Display) {
        println!("   figure {name}: {value}");
    }

    /// How a scenario ended.
    pub(crate) fn ended(&mut self, scenario: &str, how: Result<(), Trouble>) {
        match how {
            Ok(()) => {}
            Err(Trouble::Wrong(what)) => {
                println!("   WRONG  {scenario} {what}");
                self.failures.push(format!("{scenario}: {what}"));
            }
            Err(Trouble::NotRun(why)) => {
                println!("   {scenario}: not run: {why}");
                self.not_run.push(format!("{scenario} not run: {why}"));
            }
        }
    }

    pub(crate) const fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The last line. Only a run in which nothing at all could be checked says "not run", for that is what it was.
    pub(crate) fn summary(&self) -> String {
        let line = format!("{} passed, {} failed", self.passed, self.failures.len());
        match self.not_run.first() {
            Some(why) if self.passed == 0 && self.failures.is_empty() => format!("{line}; {why}"),
            _ => line,
        }
    }
}

/// The value below which `share` percent of `times` lie, for people.
pub(crate) fn percentile(times: &mut [Duration], share: usize) -> String {
    times.sort_unstable();
    let place = times.len().saturating_sub(1) * share / 100;
    times.get(place).map_or_else(|| "none".to_owned(), |time| format!("{:.0} ms", time.as_secs_f64() * 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_case_fails_the_run_and_a_slow_machine_does_not() {
        let mut report = Report::default();
        report.check("a sentence", &[]);
        report.ended("clocks", Err(Trouble::not_run("no such clock")));
        assert_eq!(report.summary(), "1 passed, 0 failed");
        assert!(!report.has_failed());
        report.check("another", &["found".to_owned()]);
        assert_eq!(report.summary(), "1 passed, 1 failed");
        assert!(report.has_failed());
    }

    #[test]
    fn a_run_that_checked_nothing_says_so() {
        let mut report = Report::default();
        report.ended("clocks", Err(Trouble::not_run("no such clock")));
        assert_eq!(report.summary(), "0 passed, 0 failed; clocks not run: no such clock");
    }

    #[test]
    fn a_percentile_of_nothing_is_none() {
        assert_eq!(percentile(&mut [], 99), "none");
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 50), "50 ms");
        assert_eq!(percentile(&mut times, 100), "100 ms");
    }
}
