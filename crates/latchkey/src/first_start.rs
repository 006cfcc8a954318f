//! The first start: folders, secrets, a cluster of one.

use crate::{DevError, Layout, Ports};
use latchkey_config::{Sources, ValidationSettings};
use latchkey_validation::{Purpose, init};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Makes all that a start needs, once; what is whole already is left alone. Returns whether anything was made.
pub(crate) async fn ensure(layout: &Layout, ports: Ports) -> Result<bool, DevError> {
    if layout.data().exists() {
        return Ok(false);
    }
    make_folder(layout.folder())?;
    make_folder(&layout.secrets())?;
    // No data, so no cluster that these could belong to has ever run. The KEK and the secret are as good as new ones.
    gone(&layout.unfinished(), fs::remove_dir_all(layout.unfinished()))?;
    gone(&layout.root_key(), fs::remove_file(layout.root_key()))?;

    let settings = settings(layout, &layout.unfinished(), ports)?;
    init(&settings, &Purpose::Found { bootstrap_file: layout.root_key() }).await?;
    let named = fs::rename(layout.unfinished(), layout.data()).and_then(|()| File::open(layout.folder())?.sync_all());
    named.map_err(|source| DevError::Folder { path: layout.data(), source })?;
    Ok(true)
}

/// The settings of the one replica, with its data in `data`. The same reader and the same checks as in production.
pub(crate) fn settings(layout: &Layout, data: &Path, ports: Ports) -> Result<ValidationSettings, DevError> {
    let (api, raft) = (ports.validation().to_string(), ports.raft().to_string());
    let text = |path: &Path| path.display().to_string();
    let flags = [
        ("node.id", "1".to_owned()),
        ("node.region", "local".to_owned()),
        ("node.data_folder", text(data)),
        ("listen", api.clone()),
        ("raft.listen", raft.clone()),
        ("metrics_listen", ports.validation_metrics().to_string()),
        ("cluster_secret_file", text(&layout.cluster_secret())),
        ("kek_file", text(&layout.kek())),
        ("kek_files_previous", layout.keks_previous().iter().map(|file| text(file)).collect::<Vec<_>>().join(",")),
        ("members[0].id", "1".to_owned()),
        ("members[0].region", "local".to_owned()),
        ("members[0].api_address", api),
        ("members[0].raft_address", raft),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Ok(ValidationSettings::load(&Sources { flags, ..Sources::default() })?)
}

/// A folder for its owner only; one that exists stays as it is.
fn make_folder(path: &Path) -> Result<(), DevError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DevError::Folder { path: path.to_owned(), source })
}

/// That there was nothing to remove is as good.
fn gone(path: &Path, removed: io::Result<()>) -> Result<(), DevError> {
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DevError::Folder { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn an_interrupted_first_start_begins_anew_and_a_whole_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("dev"));
        fs::create_dir_all(layout.unfinished()).unwrap();
        fs::write(layout.unfinished().join("half"), "half").unwrap();
        fs::create_dir_all(layout.secrets()).unwrap();
        fs::write(layout.root_key(), "of nobody").unwrap();

        assert!(ensure(&layout, Ports::default()).await.unwrap());
        let first = fs::read_to_string(layout.root_key()).unwrap();
        assert!(first.starts_with("lkm_"), "{}", first.len());
        assert!(layout.data().is_dir() && !layout.unfinished().exists());

        assert!(!ensure(&layout, Ports::default()).await.unwrap());
        assert_eq!(fs::read_to_string(layout.root_key()).unwrap(), first);
    }

    #[tokio::test]
    async fn secrets_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("dev"));
        ensure(&layout, Ports::default()).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&layout.secrets()), 0o700);
        for secret in [layout.kek(), layout.cluster_secret(), layout.root_key()] {
            assert_eq!(mode(&secret), 0o600, "{secret:?}");
        }
    }
}
