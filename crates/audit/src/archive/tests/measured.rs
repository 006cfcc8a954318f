//! How long a start takes and what it keeps in memory, printed: nothing of it is asserted but what was stored.

use super::*;
use std::time::Instant;

const COUNT: u64 = 1_000_000;
const BATCH: u64 = 500;

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: run by hand, with --nocapture"]
async fn a_million_entries() {
    let folder = TempDir::new().unwrap();
    let place = Place::of("", folder.path());
    let journal = JournalOptions::default();
    let mut disk = Disk::open_or_create(folder.path(), journal.clone(), &place, CLUSTER).await.unwrap();
    let (begun, mut worst) = (now(), Duration::ZERO);
    while disk.log.next() < COUNT {
        append(&mut disk, BATCH);
        if disk.log.next().is_multiple_of(10 * BATCH) {
            let round = now();
            publish(&disk).await.unwrap();
            worst = worst.max(round.elapsed());
        }
    }
    println!("appended and published {COUNT} in {:?}, the slowest {} in {worst:?}", begun.elapsed(), 10 * BATCH);
    println!("journal {} KiB, resident {} MiB", disk.log.journal().bytes() / 1_024, resident_mib());
    drop(disk);
    let begun = now();
    let disk = Disk::open(folder.path(), journal, &place).await.unwrap().unwrap();
    println!("started in {:?}, resident {} MiB", begun.elapsed(), resident_mib());
    assert_eq!((disk.log.next(), disk.archive.size()), (COUNT, COUNT));
    let begun = now();
    for sequence in (0..COUNT).step_by(1_009) {
        assert_eq!(disk.log.frame(sequence).await.unwrap(), Some(frame(sequence)));
    }
    println!("one sealed entry in {:?}", begun.elapsed() / u32::try_from(COUNT / 1_009 + 1).unwrap());
}
