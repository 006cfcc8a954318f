//! Writes a log whose entries are made up into a folder, for tools that read logs:
//!
//! ```text
//! write_log FOLDER ENTRIES     FOLDER/log/{checkpoint,tile/**}   FOLDER/keys   FOLDER/checkpoints/NNNN
//! ```

use latchkey_transparency::testing::TestLog;
use std::path::Path;
use std::{env, fs, io};

/// Checkpoints that are kept.
const CHECKPOINTS: u64 = 20;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, entries] = &arguments[..] else { return Err(io::Error::other("expected FOLDER ENTRIES")) };
    let (folder, entries) = (Path::new(folder), entries.parse::<u64>().map_err(io::Error::other)?);
    let mut log = TestLog::new(3);
    for number in 1..=CHECKPOINTS {
        // Sizes of all shapes, the last of them all the entries.
        let size = if number == CHECKPOINTS { entries } else { entries * number / CHECKPOINTS / 7 * 7 };
        log.grow(size);
        write(&folder.join(format!("checkpoints/{number:04}")), log.checkpoint().to_string().as_bytes())?;
    }
    for (path, bytes) in log.objects() {
        write(&folder.join("log").join(path), bytes)?;
    }
    let keys: String = log.verifier_keys().iter().map(|key| format!("{key}\n")).collect();
    write(&folder.join("keys"), keys.as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}
