//! Processes that are killed while they follow, and what the next one finds.

use crate::script::{CLUSTER, Script};
use crate::setting::{Following, everything, options};
use latchkey_audit::archive::Place;
use latchkey_audit::{Cursor, Disk};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const COUNT: u64 = 20_000;
const FOLDER: &str = "LATCHKEY_TEST_AUDIT_FOLDER";

/// Not a test by itself: what the other one runs in a process of its own, and kills.
#[tokio::test]
#[ignore = "run by the test below, with a folder"]
async fn follow_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let script = Script::with(COUNT);
    script.set_one_by_one();
    // Entries are published while they come, so that some kills meet a publisher in the middle of an object.
    let following = Following::archived(&script, folder.as_ref(), options(), Duration::from_millis(1)).await;
    for next in 0.. {
        following.stored(next).await;
        println!("stored {next}");
    }
}

/// Each life is ended by `SIGKILL` after it has said how far it is; the next one must know at least that much.
#[test]
fn no_kill_makes_a_gap_or_a_duplicate() {
    let (folder, runtime) = (TempDir::new().unwrap(), tokio::runtime::Runtime::new().unwrap());
    let mut known = 0;
    for life in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kills::follow_until_killed", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).filter_map(|line| line.rsplit_once("stored ")?.1.parse::<u64>().ok());
        let until = known + 1 + life * 7 % 20;
        for stored in told {
            if stored >= until {
                known = stored;
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let place = Place::of("", folder.path());
        let disk = runtime.block_on(Disk::open(folder.path(), options(), &place)).unwrap().unwrap();
        assert_eq!(disk.log.journal().cluster(), CLUSTER);
        let next = disk.log.next();
        assert!(next >= known, "life {life}: {known} were acknowledged, {next} are there");
        known = next;
    }
    assert!(known > 100, "{known}");

    runtime.block_on(async {
        let script = Script::with(COUNT);
        let following = Following::archived(&script, folder.path(), options(), Duration::from_millis(1)).await;
        following.published(COUNT).await;
        assert!(following.reader.first() > 0, "what is published goes from the journal");
        assert_eq!(following.archive().frontier().root(), script.root());
        let all = following.all(&everything(), Cursor::From(0), 1_000).await;
        assert_eq!(all.len() as u64, COUNT);
        for (sequence, found) in (0..).zip(all) {
            assert_eq!(found.event.sequence.0, sequence);
            assert_eq!(found.told.facts, [("number".to_owned(), sequence.to_string())]);
        }
        following.stop().await;
    });
}
