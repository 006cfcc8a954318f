//! A package is named by its folder, says what it is, and is never published.

use cargo_metadata::{Metadata, Package};

use crate::Findings;

/// The one package whose name is the product's, since its binary is.
const PRODUCT: &str = "latchkey";

/// Which packages are named otherwise, say nothing, could be published, or go without the lints of the workspace.
#[must_use]
pub fn findings(workspace: &Metadata) -> Findings {
    workspace.packages.iter().flat_map(of_package).collect()
}

fn of_package(package: &Package) -> Findings {
    let (name, mut findings) = (package.name.as_str(), Vec::new());
    let folder = package.manifest_path.parent().and_then(|folder| folder.file_name()).unwrap_or_default();
    let expected =
        if folder == PRODUCT { PRODUCT.to_owned() } else { format!("latchkey-{}", folder.replace('_', "-")) };
    if name != expected {
        findings.push(format!("the package in {folder} is named {name}, expected {expected}"));
    }
    if package.publish.as_deref() != Some(&[]) {
        findings.push(format!("{name} could be published: say publish.workspace = true"));
    }
    if package.description.as_deref().unwrap_or_default().is_empty() {
        findings.push(format!("{name} has no description: one sentence"));
    }
    if package.license.as_deref() != Some("Apache-2.0") {
        findings.push(format!("{name} has another licence: say license.workspace = true"));
    }
    for target in package.targets.iter().filter(|target| target.is_bin()) {
        if target.name != name {
            findings
                .push(format!("a binary of {name} is named {}: binaries carry the name of their package", target.name));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_package_that_breaks_every_rule_is_found_by_each() {
        let mut workspace = repository::metadata();
        let package = workspace.packages.iter_mut().find(|package| package.name == "latchkey-domain").unwrap();
        package.manifest_path = "/somewhere/crates/types/Cargo.toml".into();
        package.publish = None;
        package.description = None;
        package.license = Some("MIT".to_owned());
        let found = of_package(package);
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found[0], "the package in types is named latchkey-domain, expected latchkey-types");
    }

    #[test]
    fn every_package_is_named_by_its_folder_and_never_published() {
        assert_none(&findings(&repository::metadata()));
    }
}
