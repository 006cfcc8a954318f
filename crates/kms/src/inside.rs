//! Secrets beside what they protect protect nothing: a backup of the data folder would carry its own key.
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Refuses a KEK, cluster secret or bootstrap file that lies in the data folder, however the paths are written.
///
/// Links are followed. Neither path need exist yet, since the check comes before either is made.
///
/// # Errors
/// [`InsideError`], which says what to do.
pub fn refuse_inside(data_folder: &Path, path: &Path) -> Result<(), InsideError> {
    let folder = resolve(data_folder)?;
    let file = resolve(path)?;
    if file.starts_with(&folder) {
        return Err(InsideError::Inside { path: path.to_owned(), data_folder: data_folder.to_owned() });
    }
    Ok(())
}

/// Why a file may not serve as a secret beside this data folder.
#[derive(Debug, thiserror::Error)]
pub enum InsideError {
    /// The file lies in the data folder.
    #[error("{path} lies in the data folder {data_folder}, whose backups would carry it; move it outside")]
    Inside {
        /// The file as given.
        path: PathBuf,
        /// The folder as given.
        data_folder: PathBuf,
    },
    /// Where the path leads cannot be told.
    #[error("cannot tell where {path} leads; give a path without broken links and without `..` after missing folders")]
    Unresolved {
        /// The path as given.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// The path without links: what exists of it resolved, the rest appended.
fn resolve(path: &Path) -> Result<PathBuf, InsideError> {
    let unresolved = |source| InsideError::Unresolved { path: path.to_owned(), source };
    let mut existing = std::path::absolute(path).map_err(unresolved)?;
    let mut missing: Vec<OsString> = Vec::new();
    let mut resolved = loop {
        match existing.canonicalize() {
            Ok(resolved) => break resolved,
            // A name that is there and leads nowhere is a broken link: it may lead inside by tomorrow.
            Err(source) if source.kind() != io::ErrorKind::NotFound || existing.is_symlink() => {
                return Err(unresolved(source));
            }
            Err(source) => match existing.components().next_back() {
                Some(Component::Normal(name)) => missing.push(name.to_owned()),
                _ => return Err(unresolved(source)),
            },
        }
        existing.pop();
    };
    resolved.extend(missing.iter().rev());
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct House {
        _root: tempfile::TempDir,
        root: PathBuf,
        data: PathBuf,
    }

    fn house() -> House {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let data = root.join("data");
        fs::create_dir_all(data.join("deep")).unwrap();
        fs::create_dir_all(root.join("secrets")).unwrap();
        fs::write(data.join("kek"), "x").unwrap();
        fs::write(root.join("secrets/kek"), "x").unwrap();
        House { _root: folder, root, data }
    }

    fn is_inside(data: &Path, path: &Path) -> bool {
        match refuse_inside(data, path) {
            Ok(()) => false,
            Err(InsideError::Inside { .. }) => true,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_file_in_the_data_folder_is_refused_however_it_is_written() {
        let House { root, data, .. } = &house();
        symlink(data, root.join("alias")).unwrap();
        symlink(data.join("kek"), root.join("secrets/link")).unwrap();
        for path in [
            data.join("kek"),
            data.join("deep/new"),
            data.join("missing/deep/new"),
            data.join("deep/../kek"),
            root.join("secrets/../data/kek"),
            root.join("alias/kek"),
            root.join("alias/new"),
            root.join("secrets/link"),
            data.clone(),
        ] {
            assert!(is_inside(data, &path), "{}", path.display());
            assert!(is_inside(&root.join("alias"), &path), "{} by alias", path.display());
        }
    }

    #[test]
    fn a_file_outside_is_allowed_even_beside_a_similar_name() {
        let House { root, data, .. } = &house();
        symlink(root.join("secrets/kek"), data.join("link-out")).unwrap();
        for path in [
            root.join("secrets/kek"),
            root.join("secrets/new"),
            root.join("data-kek"),
            root.join("data2/kek"),
            data.join("../secrets/kek"),
            data.join("link-out"),
        ] {
            assert!(!is_inside(data, &path), "{}", path.display());
        }
    }

    #[test]
    fn a_data_folder_that_does_not_exist_yet_counts() {
        let House { root, .. } = &house();
        assert!(is_inside(&root.join("later/data"), &root.join("later/data/kek")));
        assert!(!is_inside(&root.join("later/data"), &root.join("later/kek")));
    }

    #[test]
    fn a_path_that_cannot_be_resolved_is_refused() {
        let House { root, data, .. } = &house();
        symlink(data.join("not-yet"), root.join("secrets/broken")).unwrap();
        symlink(root.join("secrets/loop"), root.join("secrets/loop")).unwrap();
        for path in ["secrets/broken", "secrets/broken/kek", "secrets/loop", "missing/../data/kek", "secrets/kek/kek"] {
            let error = refuse_inside(data, &root.join(path)).unwrap_err();
            assert!(matches!(error, InsideError::Unresolved { .. }), "{path}: {error}");
        }
        assert!(refuse_inside(data, Path::new("")).is_err());
    }
}
