//! Folders of another build: usage is nobody's to throw away.

use super::*;
use crate::collect::ObservedError;

type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// A store with runs, and with a batch that is in its log alone.
fn made(folder: &Path, ring: &Arc<Ring>) -> Files {
    let observed = open(folder, ring);
    observed.take(&batch(1, 1, 1, vec![cell(1, 1, 1, 0, &[0, 5])])).unwrap();
    observed.flush().unwrap();
    observed.take(&batch(1, 1, 2, vec![cell(1, 1, 1, 1, &[0, 7])])).unwrap();
    drop(observed);
    files(folder)
}

#[test]
fn a_store_of_another_build_is_left_as_it_is_and_both_formats_are_told_whichever_is_newer() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let whole = made(folder.path(), &ring);
    let mut kinds = BTreeSet::new();
    for (name, bytes) in &whole {
        kinds.insert(name.rsplit('.').next().unwrap().to_owned());
        // This build reads format 1.
        for format in [0, 2] {
            let mut other = bytes.clone();
            other[5] = format;
            fs::write(folder.path().join(name), &other).unwrap();
            let before = files(folder.path());
            let error = Observed::open(folder.path(), CLUSTER, ring.clone(), Options::default()).unwrap_err();
            assert!(matches!(error, ObservedError::Format { found, expected: 1, .. } if found == format), "{error}");
            let told = error.to_string();
            for expected in [name.as_str(), "nothing in its folder was changed", "start the build that wrote it"] {
                assert!(told.contains(expected), "{told}");
            }
            assert!(files(folder.path()) == before, "{name}");
        }
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["log", "manifest", "run"]);
    // The build that wrote it finds all of it.
    assert_eq!(totals(&open(folder.path(), &ring), 1, Tier::Minutes).values().sum::<u64>(), 12);
}

#[test]
fn runs_whose_manifest_is_gone_are_not_taken_for_what_a_kill_left() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let whole = made(folder.path(), &ring);
    fs::remove_file(folder.path().join("manifest")).unwrap();
    let error = Observed::open(folder.path(), CLUSTER, ring.clone(), Options::default()).unwrap_err();
    assert!(matches!(error, ObservedError::NoManifest { .. }), "{error}");
    assert_eq!(files(folder.path()).len(), whole.len() - 1);
    fs::write(folder.path().join("manifest"), &whole["manifest"]).unwrap();
    assert_eq!(totals(&open(folder.path(), &ring), 1, Tier::Minutes).values().sum::<u64>(), 12);
}
