//! The folder of the index, and the names of its runs.

use super::shelf::Shelved;
use super::times::Times;
use crate::LogName;
use crate::run::codec::{Taker, put};
use crate::run::{Keys, Reader, RunError};
use latchkey_domain::ClusterId;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMAT: u8 = 2;

/// The levels, first and next sequences that a name tells.
type Named = (u8, u64, u64);

pub(super) fn path(folder: &Path, (level, first, next): Named) -> PathBuf {
    folder.join(format!("{level}-{first:020}-{next:020}"))
}

fn named(path: &Path) -> Option<Named> {
    let mut parts = path.file_name()?.to_str()?.split('-');
    let named = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_none() && path.ends_with(self::path(Path::new(""), named))).then_some(named)
}

/// What a run notes of its entries.
pub(super) fn note(log: LogName, first: u64, next: u64, times: &Times) -> Vec<u8> {
    let mut note = vec![FORMAT];
    note.extend_from_slice(log.bytes());
    put(&mut note, first);
    put(&mut note, next);
    times.encode(&mut note);
    note
}

fn read_note(note: &[u8], log: LogName, (_, first, next): Named) -> Option<Times> {
    let rest = note.strip_prefix(&[FORMAT])?.strip_prefix(log.bytes())?;
    let mut taker = Taker(rest);
    if (taker.number()?, taker.number()?) != (first, next) {
        return None;
    }
    Times::decode(first, &mut taker).filter(|times| first < next && times.room() >= next - first)
}

/// Opens the runs of a log that follow each other from the one with the first entry that is kept on, the longest of those that begin
/// alike. What else lies in the folder goes.
pub(super) fn open(
    folder: &Path,
    (cluster, log): (ClusterId, LogName),
    keys: &Arc<dyn Keys>,
    kept: Range<u64>,
) -> Result<Vec<Arc<Shelved>>, RunError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| RunError::Io { action, path, source }
    };
    fs::create_dir_all(folder).map_err(io("create", folder))?;
    let listed = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = listed.map_err(io("list", folder))?;
    let (mut runs, mut next) = (Vec::new(), kept.start);
    // Entries that are not kept any more may still be in the run with the first that is.
    let begins =
        paths.iter().filter_map(|path| named(path)).filter(|(_, begins, ends)| (*begins..*ends).contains(&kept.start));
    let begins = begins.map(|(_, begins, _)| begins).min();
    next = begins.unwrap_or(next);
    loop {
        let found = paths.iter().filter_map(|path| Some((named(path)?, path.clone())));
        // What reaches beyond the log is of what it was before an older copy was put back.
        let found = found.filter(|((.., end), _)| *end <= kept.end);
        let Some((named, path)) = found.filter(|((_, first, _), _)| *first == next).max_by_key(|((.., next), _)| *next)
        else {
            break;
        };
        paths.retain(|other| *other != path);
        match Reader::open(&path, cluster, keys.clone()) {
            Ok(reader) => match read_note(reader.note(), log, named) {
                Some(times) => {
                    let (level, first, end) = named;
                    next = end;
                    runs.push(Arc::new(Shelved { level, first, next, times, reader }));
                }
                None => remove(&path, &unread(reader.note(), log)),
            },
            // Of an index nothing is lost: it is made again from the entries.
            Err(error) if error.is_damage() || error.is_of_another_build() => remove(&path, &error.to_string()),
            Err(error) => return Err(error),
        }
    }
    // Half made, merged already, or behind a gap.
    paths.iter().for_each(|path| remove(path, "it follows no other, or is beyond the log"));
    Ok(runs)
}

/// Why a note does not read.
pub(super) fn unread(note: &[u8], log: LogName) -> String {
    match note.split_first() {
        Some((&FORMAT, rest)) if !rest.starts_with(log.bytes()) => "it is of another log".to_owned(),
        Some((&found, _)) if found != FORMAT => {
            format!("its note has format {found}, and this build reads format {FORMAT}")
        }
        _ => "its note does not read".to_owned(),
    }
}

/// Removes a run. One that stays is removed after the next start.
pub(super) fn remove(path: &Path, why: &str) {
    tracing::info!(path = %path.display(), why, "a part of the index goes; it can be made again");
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a part of the index stays");
    }
}
