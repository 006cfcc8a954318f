//! The two stores, as the conformance suite wants them.

use std::fs;
use std::path::Path;

use latchkey_storage::conformance::{FACTS, Subject};
use latchkey_storage::{MemoryStore, Options, SledStore, SpaceLimits, Store};
use tempfile::TempDir;

/// A store in memory.
pub(super) struct InMemory(MemoryStore);

impl InMemory {
    pub(super) fn new() -> Self {
        Self(MemoryStore::new(FACTS))
    }
}

impl Subject for InMemory {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn restart(self) -> Self {
        Self(self.0.restart())
    }

    fn cut(self) -> Self {
        Self(self.0.cut_power())
    }

    fn settle(&self) {}
}

/// A store in a folder that vanishes.
pub(super) struct OnDisk {
    store: Option<SledStore>,
    folder: TempDir,
}

impl OnDisk {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        SledStore::create(&folder.path().join("data"), &FACTS, &options()).expect("created");
        Self::open(folder)
    }

    fn open(folder: TempDir) -> Self {
        let data = folder.path().join("data");
        let store = SledStore::open(&data, &options()).expect("opens");
        let blobs = fs::read_dir(data.join("sled/blobs")).map_or(0, Iterator::count);
        assert_eq!(blobs, 0, "sled never syncs its blobs");
        Self { store: Some(store), folder }
    }
}

impl Subject for OnDisk {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().expect("open until it is ended")
    }

    fn restart(mut self) -> Self {
        drop(self.store.take());
        Self::open(self.folder)
    }

    fn cut(mut self) -> Self {
        // What a killed process leaves: its files as they are, without what it held in memory.
        self.settle();
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&self.folder.path().join("data"), &folder.path().join("data"));
        drop(self.store.take());
        Self::open(folder)
    }

    fn settle(&self) {
        self.store.as_ref().expect("open until it is ended").settle();
    }
}

/// Default settings with a reserve that suits a folder of a test.
pub(super) fn options() -> Options {
    let space = SpaceLimits { reserve_bytes: 1 << 20, low_bytes: 2 << 20, full_bytes: 1 << 20 };
    Options { space, ..Options::default() }
}

/// Copies a folder with all that lies in it.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}
