//! Bugs are planted in builds of tests alone: what is shipped has none that could be woken.

use cargo_metadata::Metadata;

use crate::Findings;

/// The feature that brings them.
const FEATURE: &str = "planted";

/// Where the feature is declared.
const HOME: &str = "latchkey-domain";

/// Which packages outside `tests/` turn the feature on.
#[must_use]
pub fn findings(workspace: &Metadata) -> Findings {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let folder = package.manifest_path.parent().and_then(|folder| folder.parent());
        if folder.is_some_and(|folder| folder.file_name() == Some("tests")) {
            continue;
        }
        let asks = package.dependencies.iter().any(|dependency| dependency.features.iter().any(|has| has == FEATURE));
        let forwards = package.features.values().flatten().any(|has| has.ends_with(&format!("/{FEATURE}")));
        let by_default = package.features.get("default").is_some_and(|has| has.iter().any(|one| one == FEATURE));
        let declares = package.features.contains_key(FEATURE) && package.name.as_str() != HOME;
        if asks || forwards || by_default || declares {
            findings.push(format!("{} turns {FEATURE} on: only packages under tests/ may", package.name));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_shipped_package_with_bugs_in_it_is_found() {
        let mut workspace = repository::metadata();
        let package = workspace.packages.iter_mut().find(|found| found.name == "latchkey-validation").unwrap();
        package.dependencies[0].features.push(FEATURE.to_owned());
        assert_eq!(findings(&workspace).len(), 1);
        let package = workspace.packages.iter_mut().find(|found| found.name == "latchkey-link").unwrap();
        package.features.insert("testing".to_owned(), vec![format!("{HOME}/{FEATURE}")]);
        assert_eq!(findings(&workspace).len(), 2);
    }

    #[test]
    fn only_tests_can_plant_a_bug() {
        assert_none(&findings(&repository::metadata()));
    }
}
