//! A bug on purpose: only builds of tests have any.

use latchkey_domain::planted::{self, Plant};
use tracing::warn;

/// Names the bug to plant, by its word.
const VARIABLE: &str = "LATCHKEY_PLANT";

/// Plants the bug that the environment names, where it names one.
///
/// # Errors
/// Where it names one and this build has none, or not that one: who asks for a bug must not believe to have it.
pub fn plant_by_environment() -> Result<(), String> {
    let Ok(word) = std::env::var(VARIABLE) else { return Ok(()) };
    let bug = chosen(&word, planted::CAN_BE)?;
    planted::plant(Some(bug));
    warn!(plant = bug.word(), "A BUG IS PLANTED IN THIS PROCESS: it is wrong on purpose, and fit for tests alone");
    Ok(())
}

fn chosen(word: &str, can_be: bool) -> Result<Plant, String> {
    if !can_be {
        return Err(format!(
            "{VARIABLE} is set, and this build has no bugs to plant: unset it, or build with the tests"
        ));
    }
    Plant::parse(word).ok_or_else(|| {
        let words: Vec<_> = Plant::all().map(Plant::word).collect();
        format!("{VARIABLE}: expected one of {}, found {word:?}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_bugs_refuses_to_be_asked_for_one() {
        assert!(chosen("stale-quorum", false).unwrap_err().contains("no bugs"));
        assert_eq!(chosen("stale-quorum", true), Ok(Plant::StaleQuorum));
        assert!(chosen("stale", true).unwrap_err().contains("stale-quorum"));
    }
}
