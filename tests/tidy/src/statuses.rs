//! What a client decides by is in each error: a code alone tells nobody what was not found.

use crate::Findings;
use crate::repository::TextFile;

/// How a status without a reason would be made, in two halves so that this file does not find itself.
const BARE: (&str, &str) = ("Status::not", "_found(");

/// Which lines tell that something is not there, without its kind and name.
#[must_use]
pub fn findings(files: &[TextFile]) -> Findings {
    let bare = format!("{}{}", BARE.0, BARE.1);
    let ours = files.iter().filter(|file| file.path.starts_with("crates/") && file.path.ends_with(".rs"));
    let lines = ours.flat_map(|file| (1..).zip(file.text.lines()).map(|(number, line)| (&file.path, number, line)));
    let found = lines.filter(|(.., line)| line.contains(&bare));
    found
        .map(|(path, number, _)| format!("{path}:{number}: refuse by status::refused, which says what and why"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_status_without_a_reason_is_found() {
        let text = format!("fn a() {{\n    {}{}\"no\")\n}}\n", BARE.0, BARE.1);
        let planted = [TextFile::new("crates/a/src/a.rs", &text), TextFile::new("tests/a/src/a.rs", &text)];
        assert_eq!(findings(&planted), ["crates/a/src/a.rs:2: refuse by status::refused, which says what and why"]);
    }

    #[test]
    fn whatever_is_not_there_is_told_by_its_name() {
        assert_none(&findings(&repository::text_files()));
    }
}
