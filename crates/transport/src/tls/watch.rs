//! New certificates from their files, without a restart and without a dropped call.

use std::fs;
use std::io;
use std::mem::{Discriminant, discriminant};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use latchkey_telemetry::names;
use metrics::counter;
use tokio::time::{MissedTickBehavior, interval};

use super::files::{FilesError, TlsFiles};
use super::material::{Material, unix_seconds};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is said that a certificate ends soon.
const REMIND_SECONDS: i64 = 6 * 3_600;

/// What tells one state of the files from another; a file that is away is a state as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([Option<FileStamp>; 3]);

/// What was seen of the files the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    stamp: Stamp,
    /// Why they could not be used, where they could not. They are read again until they can: a certificate begins, and a
    /// mode is mended, without any file being another.
    refused: Option<Discriminant<FilesError>>,
}

/// A new file has another inode, a changed one another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key, &files.trust].map(|path| stamp(path).ok()))
    }
}

fn stamp(path: &Path) -> io::Result<FileStamp> {
    let metadata = fs::metadata(path)?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Ok(FileStamp { device: metadata.dev(), inode: metadata.ino(), modified, bytes: metadata.len() })
}

/// Reads the files. The stamp is older than what was read, so that a change in between is seen the next time.
pub(super) fn read(files: &TlsFiles) -> Result<(Material, Seen), FilesError> {
    let stamp = Stamp::of(files);
    Ok((Material::read(files)?, Seen { stamp, refused: None }))
}

/// Looks at the files for as long as anybody needs what they hold.
pub(super) async fn follow(files: TlsFiles, mut seen: Seen, current: Weak<ArcSwap<Material>>) {
    let files = Arc::new(files);
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reminded = None;
    loop {
        ticks.tick().await;
        let Some(current) = current.upgrade() else { return };
        seen = look(&files, seen, &current).await;
        let material = current.load();
        material.tell_time();
        remind(&material, &mut reminded);
    }
}

/// Takes up what has changed. What cannot be used changes nothing, and is told once.
pub(super) async fn look(files: &Arc<TlsFiles>, before: Seen, current: &ArcSwap<Material>) -> Seen {
    let looking = {
        let files = files.clone();
        // A disk that does not answer must not hold up a thread that answers calls.
        tokio::task::spawn_blocking(move || {
            let stamp = Stamp::of(&files);
            let is_known = stamp == before.stamp && before.refused.is_none();
            (stamp, (!is_known).then(|| Material::read(&files)))
        })
    };
    let Ok((stamp, read)) = looking.await else { return before };
    let refused = match read {
        None => None,
        Some(Ok(material)) => {
            counter!(names::TLS_RELOADS_TOTAL, "result" => "loaded").increment(1);
            tracing::info!(workload = %material.own_workload(), "shows a new certificate");
            current.store(Arc::new(material));
            None
        }
        Some(Err(error)) => {
            let refused = Some(discriminant(&error));
            if stamp != before.stamp || refused != before.refused {
                counter!(names::TLS_RELOADS_TOTAL, "result" => "refused").increment(1);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "new certificate files cannot be used; the ones from before go on");
            }
            refused
        }
    };
    Seen { stamp, refused }
}

/// Says that our certificate ends soon: with a third of its time left, and again.
fn remind(material: &Material, reminded: &mut Option<i64>) {
    let Some((not_before, not_after)) = material.own_validity() else { return };
    let now = unix_seconds();
    let left = not_after - now;
    let due = reminded.is_none_or(|last| now - last >= REMIND_SECONDS);
    if left > (not_after - not_before) / 3 {
        *reminded = None;
    } else if due {
        *reminded = Some(now);
        tracing::warn!(
            left_hours = left / 3_600,
            "the certificate of this process ends soon; issue another: latchkey pki renew"
        );
    }
}
