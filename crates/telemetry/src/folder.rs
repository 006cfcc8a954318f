//! How large the files of a service are, and what the disk under them has left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::names;

/// How often it is looked. A disk does not fill in less.
const INTERVAL: Duration = Duration::from_secs(10);

/// Folders within folders that are looked into: storage has two.
const DEPTH_MAX: usize = 4;

/// Tells the size of a service's folder for as long as it is polled.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
pub async fn watch(service: &'static str, folder: PathBuf) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let looked = folder.clone();
        // The disk may be slow, and whoever runs this must not wait for it.
        let Ok((bytes, disk)) = tokio::task::spawn_blocking(move || (size(&looked, 0), Disk::under(&looked))).await
        else {
            continue;
        };
        metrics::gauge!(names::DATA_BYTES, "service" => service).set(bytes as f64);
        if let Some(disk) = disk {
            metrics::gauge!(names::DISK_FREE_BYTES, "service" => service).set(disk.free as f64);
            metrics::gauge!(names::DISK_SIZE_BYTES, "service" => service).set(disk.size as f64);
        }
    }
}

/// A file that vanishes meanwhile counts for nothing.
fn size(folder: &Path, depth: usize) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(file) if file.is_dir() && depth < DEPTH_MAX => size(&entry.path(), depth + 1),
        Ok(file) if file.is_file() => file.len(),
        _ => 0,
    };
    entries.map(one).sum()
}

struct Disk {
    size: u64,
    free: u64,
}

impl Disk {
    /// Free is what this user may still take.
    fn under(folder: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(folder).ok()?;
        Some(Self { size: disk.f_blocks * disk.f_frsize, free: disk.f_bavail * disk.f_frsize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_large_as_the_files_in_it_and_below() {
        let folder = std::env::temp_dir().join(format!("latchkey-folder-{}", std::process::id()));
        fs::create_dir_all(folder.join("below")).unwrap();
        fs::write(folder.join("one"), [0; 10]).unwrap();
        fs::write(folder.join("below/two"), [0; 7]).unwrap();
        let (bytes, disk) = (size(&folder, 0), Disk::under(&folder));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(bytes, 17);
        assert!(disk.is_some_and(|disk| disk.free <= disk.size && disk.size > 0));
    }
}
