//! A dependency is declared once, in the root's table, with the reason for it on the same line.

use crate::Findings;
use crate::repository::TextFile;

/// The heading of the one table.
const TABLE: &str = "[workspace.dependencies]";

/// Which lines of the root's table say no reason.
#[must_use]
pub fn in_root(manifest: &str) -> Findings {
    let table = manifest.split_once(TABLE).map(|(_, rest)| rest).unwrap_or_default();
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    let declarations = lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let without = declarations.filter(|line| !says_why(line));
    without.map(|line| format!("Cargo.toml, {TABLE}: say what it is for, on the same line: {line}")).collect()
}

/// Which crates declare a dependency of their own instead of taking it from the table.
#[must_use]
pub fn in_crates(files: &[TextFile]) -> Findings {
    let manifests = files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests
        .flat_map(|file| {
            own_declarations(&file.text).map(|line| format!("{}: take it from the root's table: {line}", file.path))
        })
        .collect()
}

fn own_declarations(manifest: &str) -> impl Iterator<Item = &str> {
    let mut in_dependencies = false;
    manifest.lines().filter(move |line| {
        if line.starts_with('[') {
            in_dependencies = line.trim_end().ends_with("dependencies]");
            return false;
        }
        let declares = in_dependencies && line.contains('=') && !line.trim_start().starts_with('#');
        // A crate may name itself, to have its own testing feature in its tests.
        declares && !line.contains("workspace = true") && !line.contains("path = \".\"")
    })
}

/// Whether a comment follows the value.
fn says_why(line: &str) -> bool {
    let outside_quotes: Vec<&str> = line.split('"').step_by(2).collect();
    outside_quotes.last().and_then(|tail| tail.split_once('#')).is_some_and(|(_, reason)| !reason.trim().is_empty())
        || outside_quotes.iter().rev().skip(1).any(|part| part.contains('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_dependency_without_its_reason_is_found() {
        let planted = "[workspace.dependencies]\n# Ours.\na = \"1\" # counts\nb = \"1\"\nc = { git = \"x#y\" }\nd = \"1\" #\n[profile.dev]\ne = 1\n";
        let found = in_root(planted);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("b = \"1\"") && found[1].ends_with('}') && found[2].ends_with('#'));
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let planted = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n[dev-dependencies]\nx = { path = \".\", features = [\"testing\"] }\n";
        let found = in_crates(&[TextFile::new("crates/x/Cargo.toml", planted)]);
        assert_eq!(found, ["crates/x/Cargo.toml: take it from the root's table: b = \"1\""]);
    }

    #[test]
    fn every_dependency_is_declared_once_with_its_reason() {
        assert_none(&in_root(&repository::read("Cargo.toml")));
        assert_none(&in_crates(&repository::text_files()));
    }
}
