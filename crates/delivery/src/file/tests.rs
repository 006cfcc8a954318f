use super::*;
use crate::testing::{Rig, conformance, item, key_text, rotation_name, rotation_of};
use latchkey_domain::KeyName;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

struct Files {
    folder: TempDir,
    store: FileStore,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(&format!("{}/{{keyspace}}/{{key}}.key", folder.path().display()));
        Self { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.store.target(&rotation_name(1)).path
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().parent().unwrap()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    async fn stage(&self, number: u8) -> Result<(), DeliveryError> {
        let (rotation, text) = (rotation_name(number), key_text(number));
        let staged = self.store.stage(&item(&rotation, &text)).await;
        if let Err(error) = &staged {
            assert!(!format!("{error:?}{}", error.told()).contains(text.expose()));
        }
        staged
    }

    async fn deliver(&self, number: u8) -> Result<(), DeliveryError> {
        let (rotation, text) = (rotation_name(number), key_text(number));
        self.store.deliver(&rotation, &item(&rotation, &text).version_name()).await
    }
}

impl Rig for Files {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn read(&self, key: &KeyName) -> Option<String> {
        fs::read_to_string(self.store.target(&rotation_of(key.clone(), 1)).path).ok()
    }

    async fn kept(&self, key: &KeyName) -> usize {
        let name = self.store.target(&rotation_of(key.clone(), 1)).name;
        self.names().iter().filter(|found| found.starts_with(&name) && **found != name).count()
    }

    async fn set_broken(&self, broken: bool) {
        // Something that is no folder stands where the folder was to be; what was in it lies elsewhere meanwhile.
        let (folder, aside) = (self.folder.path().join("orders"), self.folder.path().join("aside"));
        if broken {
            let _ = fs::rename(&folder, &aside);
            fs::write(&folder, "").unwrap();
        } else {
            fs::remove_file(&folder).unwrap();
            let _ = fs::rename(&aside, &folder);
        }
    }
}

#[tokio::test]
async fn it_is_a_store() {
    conformance::suite(async || Files::new()).await;
}

#[tokio::test]
async fn each_file_has_mode_0600_and_holds_the_text_alone() {
    let files = Files::new();
    for number in [1, 2] {
        files.stage(number).await.unwrap();
        files.deliver(number).await.unwrap();
        for name in files.names() {
            let mode = fs::metadata(files.path().with_file_name(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}");
        }
        assert_eq!(fs::read_to_string(files.path()).unwrap(), key_text(number).expose());
    }
    let folder = fs::metadata(files.path().parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o7777, 0o700);
}

#[tokio::test]
async fn a_link_a_folder_and_a_device_in_its_place_are_refused_and_left_alone() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    let victim = files.folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, files.path()).unwrap();
    for step in [files.stage(1).await, files.deliver(1).await] {
        let error = step.unwrap_err();
        assert!(!error.is_retryable() && error.told().contains("is a symbolic link, expected"), "{}", error.told());
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    fs::remove_file(files.path()).unwrap();
    fs::create_dir(files.path()).unwrap();
    let error = files.deliver(1).await.unwrap_err();
    assert!(error.told().contains("is a folder, expected"), "{}", error.told());
    fs::remove_dir(files.path()).unwrap();
    files.deliver(1).await.unwrap();
}

#[tokio::test]
async fn links_in_the_place_of_what_lies_beside_are_replaced_and_not_followed() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    let victim = files.folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let target = files.store.target(&rotation_name(1));
    for name in [target.next(), format!("{}{}", target.next(), folder::PARTIAL)] {
        let path = files.path().with_file_name(name);
        let _ = fs::remove_file(&path);
        symlink(&victim, path).unwrap();
    }
    files.stage(1).await.unwrap();
    files.deliver(1).await.unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_to_string(files.path()).unwrap(), key_text(1).expose());
    assert!(fs::symlink_metadata(files.path()).unwrap().is_file());
}

#[tokio::test]
async fn a_folder_that_the_operator_was_to_make_is_not_made_and_one_open_to_all_is_refused() {
    let files = Files::new();
    let missing = FileStore::new(&format!("{}/mount/keys/{{key}}", files.folder.path().display()));
    let (rotation, text) = (rotation_name(1), key_text(1));
    let error = missing.stage(&item(&rotation, &text)).await.unwrap_err();
    assert!(error.told().contains("cannot open the folder") && !error.is_retryable(), "{}", error.told());
    assert!(!files.folder.path().join("mount").exists());

    files.stage(1).await.unwrap();
    let folder = files.path().parent().unwrap().to_owned();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let error = files.stage(1).await.unwrap_err();
    assert!(error.told().contains("chmod o-w"), "{}", error.told());
    fs::set_permissions(&folder, Permissions::from_mode(0o1777)).unwrap();
    files.stage(1).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_text_and_nothing_else() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    files.deliver(1).await.unwrap();
    files.store.finish(&rotation_name(1), Ending::Completed).await.unwrap();
    let folder = files.store.target(&rotation_name(2)).open(true).unwrap();
    // The kernel's own full disk says what a real one says.
    let error = folder.write_by("next", |file| {
        file.write_all(b"a part")?;
        fs::OpenOptions::new().write(true).open("/dev/full")?.write_all(b"the rest")
    });
    let error = error.unwrap_err();
    assert!(error.is_retryable() && error.told().contains("cannot write"), "{}", error.told());
    assert!(matches!(&error, DeliveryError::File { source, .. } if source.kind() == ErrorKind::StorageFull));
    assert_eq!(files.names().len(), 1, "{:?}", files.names());
    assert_eq!(fs::read_to_string(files.path()).unwrap(), key_text(1).expose());
}

#[tokio::test]
async fn what_a_killed_process_left_is_destroyed() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    let target = files.store.target(&rotation_name(1));
    let partial = format!("{}{}", target.next(), folder::PARTIAL);
    fs::write(files.path().with_file_name(&partial), "acme_or").unwrap();
    // A name that only looks like ours is somebody else's.
    let other = format!("{}.next-week", target.name);
    fs::write(files.path().with_file_name(&other), "").unwrap();
    files.stage(2).await.unwrap();
    let next = files.store.target(&rotation_name(2)).next();
    assert_eq!(files.names(), {
        let mut names = vec![next, other];
        names.sort();
        names
    });
}

#[tokio::test]
async fn a_reader_finds_one_text_or_the_other_whole_at_any_moment() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    files.deliver(1).await.unwrap();
    let path = files.path();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut looks = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&path).expect("it is there at any moment");
                assert!(parse(&text).is_some(), "half a text");
                looks += 1;
            }
            looks
        }
    });
    for round in 0..50_u8 {
        files.stage(2 + round % 2).await.unwrap();
        files.deliver(2 + round % 2).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().expect("each text was whole") > 0);
}

#[tokio::test]
async fn a_crash_between_keeping_and_delivering_is_mended_by_doing_both_again() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    files.deliver(1).await.unwrap();
    files.stage(2).await.unwrap();
    let target = files.store.target(&rotation_name(2));
    let folder = target.open(false).unwrap();
    folder.keep(&target.name, &target.before()).unwrap();
    drop(folder);
    files.deliver(2).await.unwrap();
    files.store.finish(&rotation_name(2), Ending::Undone).await.unwrap();
    assert_eq!(fs::read_to_string(files.path()).unwrap(), key_text(1).expose());
}

#[tokio::test]
async fn a_crash_between_keeping_and_delivering_is_undone_without_a_trace() {
    let files = Files::new();
    files.stage(1).await.unwrap();
    files.deliver(1).await.unwrap();
    files.stage(2).await.unwrap();
    let target = files.store.target(&rotation_name(2));
    target.open(false).unwrap().keep(&target.name, &target.before()).unwrap();
    files.store.finish(&rotation_name(2), Ending::Undone).await.unwrap();
    assert_eq!(fs::read_to_string(files.path()).unwrap(), key_text(1).expose());
    assert_eq!(files.names(), [target.name]);
}

#[tokio::test]
async fn whoever_holds_the_folders_lock_stops_nobody_for_ever() {
    let mut files = Files::new();
    files.stage(1).await.unwrap();
    files.store = files.store.within(Duration::from_millis(300));
    let held = fs::File::open(files.path().parent().unwrap()).unwrap();
    held.lock().unwrap();
    let error = files.deliver(1).await.unwrap_err();
    assert!(error.is_retryable() && error.told().contains("be done in time"), "{}", error.told());
    drop(held);
    files.deliver(1).await.unwrap();
}

#[tokio::test]
async fn many_keys_of_one_folder_are_delivered_at_once() {
    let files = Files::new();
    let rotations: Vec<_> = (0..32_u8)
        .map(|number| {
            let key = format!("tenants/acme/keyspaces/orders/keys/{number:016}");
            rotation_of(KeyName::parse(&key).unwrap(), number)
        })
        .collect();
    let store = &files.store;
    let each = rotations.iter().map(|rotation| async move {
        let text = key_text(1);
        let item = item(rotation, &text);
        store.stage(&item).await.unwrap();
        store.deliver(rotation, &item.version_name()).await.unwrap();
        store.finish(rotation, Ending::Completed).await.unwrap();
    });
    // All are under way before the first is done.
    let mut each: Vec<_> = each.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        each.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if each.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(files.names().len(), 32);
}

#[tokio::test]
async fn a_disk_that_hangs_holds_one_thread_however_often_it_is_tried() {
    let store = Files::new().store.within(Duration::from_millis(20));
    let begun = Arc::new(AtomicUsize::new(0));
    let (mended, hangs) = mpsc::channel::<()>();
    let hangs = Arc::new(std::sync::Mutex::new(hangs));
    for _ in 0..3 {
        let (begun, hangs) = (begun.clone(), hangs.clone());
        let step = move |_: &Target| {
            begun.fetch_add(1, Ordering::Relaxed);
            let _ = hangs.lock().unwrap().recv();
            Ok(())
        };
        let error = store.step(store.target(&rotation_name(1)), step).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    }
    drop(mended);
    // It is free again once the step that hung has ended.
    let _turn = store.turn.lock().await;
    assert_eq!(begun.load(Ordering::Relaxed), 1);
}
