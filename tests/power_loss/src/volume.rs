//! A file system in an image, mounted through a loop device.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room for the longest chain of lives that the cuts make.
const IMAGE_BYTES: u64 = 160 << 20;

/// An image that is mounted while this value lives.
pub(crate) struct Volume {
    image: PathBuf,
    mounted: PathBuf,
}

impl Volume {
    /// A fresh file system.
    pub(crate) fn make(image: PathBuf, mounted: PathBuf) -> io::Result<Self> {
        File::create(&image)?.set_len(IMAGE_BYTES)?;
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=1", &image.to_string_lossy()])?;
        Self::mount(image, mounted)
    }

    /// Mounts an image, which replays its journal.
    pub(crate) fn mount(image: PathBuf, mounted: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&mounted)?;
        // Nothing is written back by time alone: what is durable is so because it was asked for.
        run("mount", &["-o", "loop,commit=300", &image.to_string_lossy(), &mounted.to_string_lossy()])?;
        Ok(Self { image, mounted })
    }

    /// Where the replica lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.mounted.join("data")
    }

    /// What is on the "disk" now, and nothing of what the file system only holds in memory.
    pub(crate) fn copy(&self, to: &Path) -> io::Result<()> {
        fs::copy(&self.image, to).map(drop)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if run("umount", &[&self.mounted.to_string_lossy()]).is_err() {
            // Let go as soon as nobody uses it: a mount must not outlive the harness.
            let _ = run("umount", &["--lazy", &self.mounted.to_string_lossy()]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.lines().next().unwrap_or("failed without a word"))))
}
