//! The top level is fixed, and each of its folders has its manual, so that a newcomer finds everything in one glance.

use std::fs;

use crate::Findings;
use crate::repository::root;

/// What lies at the top, hidden files aside.
const ENTRIES: [&str; 9] =
    ["Cargo.lock", "Cargo.toml", "LICENSE", "Makefile", "README.md", "crates", "deploy", "proto", "tests"];

/// What a build leaves there, never committed.
const BUILT: [&str; 1] = ["target"];

/// Folders whose `README.md` is their manual.
const MANUALS: [&str; 4] = ["crates", "deploy", "proto", "tests"];

/// Which entries of the top level are missing, and which are too many.
#[must_use]
pub fn findings(names: &[String]) -> Findings {
    let missing = ENTRIES.iter().filter(|expected| !names.iter().any(|name| name == *expected));
    let mut findings: Findings = missing.map(|name| format!("{name} is missing at the top level")).collect();
    let known = |name: &str| name.starts_with('.') || ENTRIES.contains(&name) || BUILT.contains(&name);
    findings.extend(
        names.iter().filter(|name| !known(name)).map(|name| format!("{name} does not belong at the top level")),
    );
    findings
}

/// Which folders have no manual, given whether a path from the root exists.
#[must_use]
pub fn manuals_missing(exists: impl Fn(&str) -> bool) -> Findings {
    let manuals = MANUALS.iter().map(|folder| format!("{folder}/README.md"));
    manuals.filter(|path| !exists(path)).map(|path| format!("{path} is missing")).collect()
}

/// The names at the top level.
/// # Panics
/// Where the root cannot be listed.
#[must_use]
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(root()).expect("the root can be listed");
    entries.map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_none;

    #[test]
    fn a_folder_too_many_and_a_file_too_few_are_found() {
        let mut planted: Vec<String> =
            ENTRIES.iter().filter(|name| **name != "LICENSE").map(|name| (*name).to_owned()).collect();
        planted.extend(["docs", ".ci", "target"].map(str::to_owned));
        assert_eq!(
            findings(&planted),
            ["LICENSE is missing at the top level", "docs does not belong at the top level"]
        );
        assert_eq!(manuals_missing(|path| path != "deploy/README.md"), ["deploy/README.md is missing"]);
    }

    #[test]
    fn the_top_level_is_as_the_readme_says() {
        assert_none(&findings(&names()));
        assert_none(&manuals_missing(|path| root().join(path).is_file()));
    }
}
