//! What a sink will never take, written down by its number and the sink's word for it. What the entry says is not repeated here: it
//! lies in the audit log, under its tenant's key.

use latchkey_domain::UnixMillis;
use latchkey_export::SetAside;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const NAME: &str = "set-aside.jsonl";

/// Adds them to the file of a sink, durably.
pub(super) fn write_down(folder: &Path, all: &[SetAside], now: UnixMillis) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for SetAside { sequence, reason } in all {
        let word: String = reason.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
        let _ = writeln!(lines, r#"{{"sequence":{sequence},"reason":"{word}","unixMs":{}}}"#, now.millis());
    }
    let path = folder.join(NAME);
    let mut file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
    file.write_all(lines.as_bytes())?;
    file.sync_data()?;
    File::open(folder)?.sync_all()
}

/// How many were written down so far.
pub(super) fn written_down(folder: &Path) -> io::Result<u64> {
    let mut file = match File::open(folder.join(NAME)) {
        Ok(file) => io::BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut lines = 0;
    while file.skip_until(b'\n')? > 0 {
        lines += 1;
    }
    Ok(lines)
}

/// Letters that stand in JSON as they are.
const fn is_plain(letter: char) -> bool {
    letter == ' ' || (letter.is_ascii_graphic() && !matches!(letter, '"' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_line_whatever_the_sink_says() {
        let folder = tempfile::tempdir().unwrap();
        for sequence in [4, 9] {
            let reason = "a \"word\"\n\\ (status 400)".to_owned();
            write_down(folder.path(), &[SetAside { sequence, reason }], UnixMillis::new(5)).unwrap();
        }
        assert_eq!(written_down(folder.path()).unwrap(), 2);
        assert_eq!(written_down(&folder.path().join("none")).unwrap(), 0);
        let text = std::fs::read_to_string(folder.path().join(NAME)).unwrap();
        let line =
            |sequence| format!("{{\"sequence\":{sequence},\"reason\":\"a _word___ (status 400)\",\"unixMs\":5}}\n");
        assert_eq!(text, line(4) + &line(9));
    }
}
