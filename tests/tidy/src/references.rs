//! A manual that is referred to is there: whoever reads the code has this repository, and nothing else.

use crate::Findings;
use crate::repository::TextFile;

/// What a manual's name ends with.
const MANUAL: &str = ".md";

/// Which names of manuals lead nowhere. A name is a path from the root, or from the folder of the file that says it.
#[must_use]
pub fn findings(files: &[TextFile]) -> Findings {
    let mut findings = Vec::new();
    for file in files {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in file.text.lines().enumerate() {
            for name in manuals_named_in(line) {
                let near = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                if !files.iter().any(|other| other.path == name || other.path == near) {
                    findings.push(format!("{}:{}: there is no {name}", file.path, index + 1));
                }
            }
        }
    }
    findings
}

fn manuals_named_in(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|part: char| !(part.is_ascii_alphanumeric() || "._-/".contains(part)));
    let names = words.map(|word| word.trim_end_matches('.')).filter(|word| word.len() > MANUAL.len());
    // What begins with `/` is the rest of an address, and other people's pages are theirs to keep.
    names.filter(|name| name.ends_with(MANUAL) && !name.starts_with(['/', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    /// Joined here, so that this file refers to nothing itself.
    fn manual(name: &str) -> String {
        format!("{name}{MANUAL}")
    }

    #[test]
    fn a_manual_that_is_not_there_is_found() {
        let (there, near, gone) = (manual("crates/README"), manual("README"), manual("design"));
        let planted = [
            TextFile::new(&there, "Architecture"),
            TextFile::new(
                "crates/lib.rs",
                &format!("//! See `{there}`, or `{near}`; https://example.org/{gone}\n//! and {gone}.\n"),
            ),
        ];
        assert_eq!(findings(&planted), [format!("crates/lib.rs:2: there is no {gone}")]);
    }

    #[test]
    fn every_manual_that_is_referred_to_is_there() {
        assert_none(&findings(&repository::text_files()));
    }
}
