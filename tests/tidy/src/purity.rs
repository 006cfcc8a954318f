//! The core is pure: no clock, no randomness, no I/O, no serialisation. So a replica decides by what it is given alone, and
//! a test gives all of it.
//!
//! `no_std` makes most of it the compiler's business; the rest is looked up here.

use std::process::Command;

use crate::Findings;
use crate::repository::{TextFile, root};

/// Crates without a clock, randomness or I/O, by folder.
pub const PURE: [&str; 7] = ["domain", "policy", "crypto", "transparency", "state", "decision", "minting"];

/// What a pure crate must not reach, however far down: operating system entropy, serialisation, runtimes.
const IMPURE: [&str; 8] = ["getrandom", "rand", "serde", "serde_core", "prost", "tokio", "rustix", "libc"];

/// What makes a crate `no_std` but for its tests, which may print and panic.
const NO_STD: &str = "#![cfg_attr(not(test), no_std)]";

/// Which pure crates have the standard library by their source.
#[must_use]
pub fn in_source(files: &[TextFile]) -> Findings {
    let mut findings = Vec::new();
    for folder in PURE {
        let lib = format!("crates/{folder}/src/lib.rs");
        let pure = files.iter().find(|file| file.path == lib).is_some_and(|file| file.text.contains(NO_STD));
        if !pure {
            findings.push(format!("{lib} does not say {NO_STD}"));
        }
        let source = format!("crates/{folder}/src/");
        for file in files.iter().filter(|file| file.path.starts_with(&source)) {
            let code = file.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            if code.lines().any(|line| line.trim_start().starts_with("extern crate std")) {
                findings.push(format!("{} brings the standard library back", file.path));
            }
        }
    }
    findings
}

/// Which impure packages are among `tree`, the lines of `cargo tree --prefix none` for the pure crate in `folder`.
#[must_use]
pub fn in_tree(folder: &str, tree: &str) -> Findings {
    let mut reached: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    reached.sort_unstable();
    reached.dedup();
    let impure = reached.iter().filter(|name| IMPURE.contains(name));
    impure.map(|name| format!("crates/{folder} reaches {name}: take away the feature that brings it")).collect()
}

/// What the pure crate in `folder` is built with, features included, for this machine's platform.
/// # Panics
/// Where cargo cannot tell.
#[must_use]
pub fn tree(folder: &str) -> String {
    let package = format!("latchkey-{folder}");
    // `build` is left out: what runs on the builder's machine is not part of the crate.
    let arguments = ["tree", "--prefix", "none", "-e", "normal,features,no-proc-macro", "-p", &package];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo can be started");
    assert!(output.status.success(), "cargo tree -p {package}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names of packages are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    #[test]
    fn a_core_crate_with_the_standard_library_is_found() {
        let pure = PURE.map(|folder| TextFile::new(&format!("crates/{folder}/src/lib.rs"), NO_STD));
        assert_none(&in_source(&pure));
        let mut planted = pure.to_vec();
        planted[0].text = "//! A crate.".to_owned();
        planted.push(TextFile::new("crates/state/src/clock.rs", "    extern crate std;\n"));
        planted.push(TextFile::new("crates/state/src/key.rs", "#[cfg(test)]\nmod tests {\n    extern crate std;\n}\n"));
        let found = in_source(&planted);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("crates/domain/src/lib.rs") && found[1].starts_with("crates/state/src/clock.rs"));
    }

    #[test]
    fn entropy_behind_a_feature_of_a_dependency_is_found() {
        let found =
            in_tree("crypto", "latchkey-crypto v0.1.0\ngetrandom feature \"default\"\ngetrandom v0.4.1\nctr v0.10.0\n");
        assert_eq!(found, ["crates/crypto reaches getrandom: take away the feature that brings it"]);
    }

    #[test]
    fn the_core_is_free_of_the_standard_library() {
        assert_none(&in_source(&repository::text_files()));
    }

    #[test]
    fn the_core_reaches_no_entropy_no_serialisation_and_no_runtime() {
        assert_none(&PURE.iter().flat_map(|folder| in_tree(folder, &tree(folder))).collect());
    }
}
