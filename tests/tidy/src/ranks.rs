//! A crate imports only lower ranks: what lies low can be understood, tested and proved without what lies above.

use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::Findings;

/// Folder under `crates/` and its rank, as in `crates/README.md`.
const RANKS: [(&str, u8); 26] = [
    ("domain", 0),
    ("policy", 1),
    ("limiter", 1),
    ("crypto", 1),
    ("transparency", 1),
    ("state", 2),
    ("decision", 3),
    ("minting", 3),
    ("schedule", 3),
    ("wire", 4),
    ("config", 4),
    ("telemetry", 4),
    ("dial", 4),
    ("transport", 5),
    ("storage", 5),
    ("kms", 5),
    ("delivery", 5),
    ("export", 5),
    ("link", 6),
    ("registry", 7),
    ("audit", 7),
    ("client", 7),
    ("issuance", 8),
    ("validation", 8),
    ("rotation", 8),
    ("latchkey", 9),
];

/// For tests only: it may import what it stands in for, and is imported by tests alone.
const TESTKIT: &str = "latchkey-testkit";

/// Packages under `tests/` may import anything; nobody imports them.
const TESTS_RANK: u8 = 10;

/// Dependencies that one crate alone may name, so that replacing them touches one crate.
const HOMES: [(&str, &str); 2] = [("sled", "latchkey-storage"), ("openraft", "latchkey-registry")];

/// Crates that only these may import: replicas are reached over gRPC, so that services scale and fail on their own.
const CALLERS: [(&str, &[&str]); 1] = [("latchkey-registry", &["latchkey-validation"])];

/// Which imports break the order.
#[must_use]
pub fn findings(workspace: &Metadata) -> Findings {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let name = package.name.as_str();
        let Some(rank) = rank_of(package) else {
            findings.push(format!("{name} has no rank: add it to RANKS in tests/tidy and to crates/README.md"));
            continue;
        };
        for dependency in &package.dependencies {
            let imported = dependency.name.as_str();
            if let Some((_, home)) = HOMES.iter().find(|(foreign, home)| *foreign == imported && *home != name) {
                findings.push(format!("{name} names {imported}: only {home} may"));
            }
            // Tests may stand on whatever they compare with.
            if dependency.kind == DependencyKind::Development || rank == TESTS_RANK || name == TESTKIT {
                continue;
            }
            if imported == TESTKIT {
                findings.push(format!("{name} imports {TESTKIT} outside its tests"));
            }
            if let Some((_, callers)) = CALLERS.iter().find(|(of, callers)| *of == imported && !callers.contains(&name))
            {
                findings.push(format!("{name} imports {imported}: only {} may", callers.join(", ")));
            }
            let theirs = workspace.packages.iter().find(|other| other.name == dependency.name).and_then(rank_of);
            if let Some(theirs) = theirs.filter(|theirs| *theirs >= rank && imported != TESTKIT) {
                findings.push(format!("{name} (rank {rank}) imports {imported} (rank {theirs}): only lower ranks may"));
            }
        }
    }
    findings
}

fn rank_of(package: &Package) -> Option<u8> {
    let folder = package.manifest_path.parent()?;
    if folder.parent()?.file_name()? == "tests" || package.name == TESTKIT {
        return Some(TESTS_RANK);
    }
    RANKS.iter().find(|(name, _)| Some(*name) == folder.file_name()).map(|(_, rank)| *rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    /// A real package with `dependency` put in place of one of its own.
    fn planted(package: &str, dependency: &str, kind: DependencyKind) -> Metadata {
        let mut workspace = repository::metadata();
        let package = workspace.packages.iter_mut().find(|found| found.name == package).unwrap();
        let mut added = package.dependencies.first().expect("it has a dependency to copy").clone();
        added.name = dependency.to_owned();
        added.kind = kind;
        package.dependencies = vec![added];
        workspace
    }

    #[test]
    fn an_import_of_the_same_or_a_higher_rank_is_found() {
        for (package, imported) in [
            ("latchkey-policy", "latchkey-crypto"),
            ("latchkey-state", "latchkey-wire"),
            ("latchkey-issuance", "latchkey-validation"),
        ] {
            let found = findings(&planted(package, imported, DependencyKind::Normal));
            assert_eq!(found.len(), 1, "{package} imports {imported}: {found:?}");
        }
    }

    #[test]
    fn a_dependency_outside_its_home_is_found_in_tests_too() {
        let found = findings(&planted("latchkey-registry", "sled", DependencyKind::Development));
        assert_eq!(found, ["latchkey-registry names sled: only latchkey-storage may"]);
        let found = findings(&planted("latchkey-validation", "openraft", DependencyKind::Normal));
        assert_eq!(found, ["latchkey-validation names openraft: only latchkey-registry may"]);
    }

    #[test]
    fn the_replica_behind_another_service_is_found() {
        let found = findings(&planted("latchkey-issuance", "latchkey-registry", DependencyKind::Normal));
        assert_eq!(found, ["latchkey-issuance imports latchkey-registry: only latchkey-validation may"]);
    }

    #[test]
    fn the_testkit_outside_tests_is_found_and_inside_is_not() {
        let found = findings(&planted("latchkey-state", TESTKIT, DependencyKind::Normal));
        assert_eq!(found, ["latchkey-state imports latchkey-testkit outside its tests"]);
        assert_none(&findings(&planted("latchkey-state", TESTKIT, DependencyKind::Development)));
    }

    #[test]
    fn every_crate_imports_only_lower_ranks() {
        assert_none(&findings(&repository::metadata()));
    }
}
