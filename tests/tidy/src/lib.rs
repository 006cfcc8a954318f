//! What holds for this repository as a whole, so that no review has to look for it.
//!
//! Each module is one rule: a function from what is there to [`Findings`], each a sentence that says what to do. Its tests
//! show first that a planted violation is found, then that the repository has none.
//!
//! | rule | module |
//! |---|---|
//! | a crate imports only lower ranks, and some dependencies have one home | [`ranks`] |
//! | packages are named by their folder and never published | [`packages`] |
//! | the core is pure: no std, no randomness, no serialisation | [`purity`] |
//! | bugs are planted in builds of tests alone | [`planted`] |
//! | each dependency is declared once, with the reason for it | [`table`] |
//! | the top level is fixed, and its folders have their manuals | [`top_level`] |
//! | files stay short enough to be read in one sitting | [`length`] |
//! | nothing is left for later without saying where | [`leftovers`] |
//! | each make target is in `make help` | [`make`] |
//! | a manual that is referred to is there | [`references`] |
//! | what is not found is told with its kind and name | [`statuses`] |
//! | what alerts and dashboards name is there, and each alert says what to do | [`observability`] |
//!
//! The comments of the `.proto` files are checked where they are compiled, in `crates/wire`.

pub mod leftovers;
pub mod length;
pub mod make;
pub mod observability;
pub mod packages;
pub mod planted;
pub mod purity;
pub mod ranks;
pub mod references;
pub mod repository;
pub mod statuses;
pub mod table;
pub mod top_level;

/// What breaks a rule; empty where nothing does.
pub type Findings = Vec<String>;

#[cfg(test)]
fn assert_none(findings: &Findings) {
    assert!(findings.is_empty(), "\n  {}\n", findings.join("\n  "));
}
