//! A file is one type or one operation. Past 500 lines it is two.

use crate::Findings;
use crate::repository::TextFile;

/// The longest a source file may be, its tests at the end not counted.
const LINES_MAX: usize = 500;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// Which source files are too long. Files that are tests as a whole may be: their cases are read one by one.
#[must_use]
pub fn findings(files: &[TextFile]) -> Findings {
    let sources = files.iter().filter(|file| file.path.ends_with(".rs") && !is_test(&file.path));
    let longer = sources
        .map(|file| (file, lines_of_code(&file.text)))
        .filter(|(file, lines)| *lines > LINES_MAX && !LONGER.iter().any(|(path, _reason)| *path == file.path));
    longer.map(|(file, lines)| format!("{} has {lines} lines, at most {LINES_MAX}: split it", file.path)).collect()
}

fn is_test(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn lines_of_code(text: &str) -> usize {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_file_that_is_too_long_is_found_and_its_tests_are_not_counted() {
        let (just, long) = ("x\n".repeat(LINES_MAX), "x\n".repeat(LINES_MAX + 1));
        let with_tests = format!("{just}#[cfg(test)]\nmod tests {{\n{long}}}\n");
        let planted = [
            TextFile::new("crates/a/src/long.rs", &long),
            TextFile::new("crates/a/src/tested.rs", &with_tests),
            TextFile::new("crates/a/tests/cases.rs", &long),
            TextFile::new("tests/cluster/src/long.rs", &long),
        ];
        let found = findings(&planted);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "crates/a/src/long.rs has 501 lines, at most 500: split it");
    }

    #[test]
    fn every_source_file_can_be_read_in_one_sitting() {
        assert_none(&findings(&repository::text_files()));
    }
}
