//! Each make target is in `make help`, which prints what stands behind `##` on the target's own line; and the tests that
//! `make proof` names are there.

use cargo_metadata::Metadata;

use crate::Findings;

/// What separates a target from its line of help.
const HELP: &str = " ## ";

/// What must be there, since the manuals tell people to type it.
const PROMISED: [&str; 9] = ["run", "test", "verify", "proof", "peers", "soak", "bench", "build", "help"];

/// Which targets have no line of help, are files by mistake, or are promised and missing.
#[must_use]
pub fn findings(makefile: &str) -> Findings {
    let targets: Vec<(&str, &str)> = makefile.lines().filter_map(target_of).collect();
    let phony: Vec<&str> =
        makefile.lines().filter_map(|line| line.strip_prefix(".PHONY:")).flat_map(str::split_whitespace).collect();
    let mut findings = Vec::new();
    for (target, line) in &targets {
        if line.split_once(HELP).is_none_or(|(_, help)| help.trim().is_empty()) {
            findings.push(format!("Makefile: {target} has no line of help: add{HELP}and a sentence"));
        }
        if !phony.contains(target) {
            findings.push(format!("Makefile: {target} is not in .PHONY: a file of that name would hide it"));
        }
    }
    let missing = PROMISED.iter().filter(|promised| !targets.iter().any(|(target, _)| target == *promised));
    findings.extend(missing.map(|target| format!("Makefile: {target} is missing")));
    findings
}

/// Which tests a script names after `--test` that no package has: renaming one would else fail a proof, or empty it.
#[must_use]
pub fn tests_missing(script: &str, workspace: &Metadata) -> Findings {
    let targets = || workspace.packages.iter().flat_map(|package| &package.targets);
    let words: Vec<&str> = script.split_whitespace().collect();
    let named = words.windows(2).filter(|pair| pair[0] == "--test").map(|pair| pair[1]);
    let missing = named.filter(|name| !targets().any(|target| target.is_test() && target.name == *name));
    missing.map(|name| format!(".ci/proof: there is no test {name}")).collect()
}

/// A target that people type: lower case at the start of the line, then a colon.
fn target_of(line: &str) -> Option<(&str, &str)> {
    let (target, rest) = line.split_once(':')?;
    let typed = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (typed && !rest.starts_with('=')).then_some((target, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_target_without_help_or_missing_is_found() {
        let promised = |help: &str| {
            let lines = PROMISED.map(|target| format!(".PHONY: {target}\n{target}: build{help}\n\tcargo {target}\n"));
            lines.concat()
        };
        assert_none(&findings(&promised(" ## does it")));
        assert_eq!(findings(&promised("")).len(), PROMISED.len());
        assert_eq!(findings(&promised(" ## does it").replace("soak: build", "soaking: build")).len(), 2);
    }

    #[test]
    fn a_test_that_is_named_and_not_there_is_found() {
        let found = tests_missing("cargo test \\\n  --test grammars --test gone --quiet", &repository::metadata());
        assert_eq!(found, [".ci/proof: there is no test gone"]);
    }

    #[test]
    fn every_test_that_the_proof_names_is_there() {
        assert_none(&tests_missing(&repository::read(".ci/proof"), &repository::metadata()));
    }

    #[test]
    fn every_make_target_is_in_make_help() {
        assert_none(&findings(&repository::read("Makefile")));
    }
}
