//! Reading the repository: its packages, and the text of its own files.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

/// Folders that hold nothing of ours: what is built, fetched, kept by git, left by `make run`, or vendored unchanged.
const FOREIGN: [&str; 5] = ["target", ".cache", ".git", ".latchkey-dev", "proto/google"];

/// One file of ours that is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// From the root, with `/` between folders.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl TextFile {
    /// A file that exists only in a test.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

/// The folder with the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders below the root").to_owned()
}

/// The packages of the workspace, without resolving their dependencies: quick, and no network.
/// # Panics
/// Where cargo cannot read a manifest.
#[must_use]
pub fn metadata() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo reads the manifests")
}

/// The text of one file.
/// # Panics
/// Where there is none.
#[must_use]
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// All our files whose text is UTF-8, in order of their paths.
/// # Panics
/// Where a folder cannot be listed.
#[must_use]
pub fn text_files() -> Vec<TextFile> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be listed") {
            let path = entry.expect("an entry can be read").path();
            let relative = path.strip_prefix(&root).expect("the walk stays below the root").display().to_string();
            if FOREIGN.contains(&relative.as_str()) || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push(TextFile { path: relative, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}
