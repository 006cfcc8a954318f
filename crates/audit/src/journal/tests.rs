//! What a kill, a power loss and a bad disk do to a folder.

use super::*;
use latchkey_domain::TenantNumber;
use latchkey_transparency::{Frontier, Hash};
use proptest::prelude::*;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

/// Small segments, so that a test has many.
fn options() -> JournalOptions {
    JournalOptions { segment_bytes_max: 4_000, ..JournalOptions::default() }
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn opened(path: &Path) -> Journal {
    Journal::open_or_create(path, CLUSTER, options()).unwrap()
}

/// The entry that a test stores under `sequence`: no two are alike, and they are of many lengths.
fn frame(sequence: u64) -> Frame {
    let mut leaf = [0; 32];
    leaf[..8].copy_from_slice(&(sequence + 1).to_be_bytes());
    let length = 40 + usize::try_from(sequence * 37 % 200).unwrap();
    let tenant = (!sequence.is_multiple_of(3)).then_some(TenantNumber(u32::MAX));
    Frame { leaf: Hash::new(leaf), preimage: None, tenant, sealed: vec![u8::try_from(sequence % 251).unwrap(); length] }
}

fn frames(sequences: std::ops::Range<u64>) -> Vec<Frame> {
    sequences.map(frame).collect()
}

fn append(journal: &mut Journal, count: u64) {
    let next = journal.reader.next();
    journal.writer.append(&frames(next..next + count)).unwrap();
}

/// All that is stored, read back, is what was stored, up to `next`.
fn holds(journal: &Journal, next: u64) {
    assert_eq!(journal.reader.next(), next);
    let mut frontier = Frontier::new();
    let mut sequence = 0;
    while let Some(block) = journal.reader.block(sequence).unwrap() {
        assert_eq!(block.first, sequence);
        for found in block.frames {
            assert_eq!(found, frame(sequence), "{sequence}");
            frontier.push(found.leaf);
            sequence += 1;
        }
    }
    assert_eq!(sequence, next);
    assert_eq!(journal.writer.frontier(), &frontier);
}

fn copied(from: &Path) -> TempDir {
    let copy = folder();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("segment-"));
    found.sort();
    found
}

fn refused(path: &Path) -> OpenError {
    Journal::open(path, options()).unwrap_err()
}

#[test]
fn what_was_appended_is_there_again_after_a_start_over_many_segments() {
    let folder = folder();
    let mut journal = opened(folder.path());
    for (batch, count) in [1, 7, 20, 1, 200, 3].into_iter().enumerate() {
        append(&mut journal, count);
        if batch == 3 {
            journal.writer.promise().unwrap();
        }
    }
    holds(&journal, 232);
    assert!(journal.reader.segments().len() > 2);
    drop(journal);

    let mut journal = opened(folder.path());
    assert_eq!(journal.cut_bytes, 0);
    holds(&journal, 232);
    append(&mut journal, 30);
    holds(&journal, 262);
}

#[test]
fn a_write_that_is_cut_at_any_byte_leaves_all_that_was_promised_and_no_gap() {
    let folder = folder();
    let mut journal = opened(folder.path());
    append(&mut journal, 20);
    append(&mut journal, 8);
    journal.writer.promise().unwrap();
    let last = segments(folder.path()).pop().unwrap();
    let before = fs::metadata(&last).unwrap().len();
    append(&mut journal, 3);
    drop(journal);
    assert_eq!(segments(folder.path()).pop().unwrap(), last, "the batch lies in the last segment");
    let after = fs::metadata(&last).unwrap().len();

    for length in before..after {
        let copy = copied(folder.path());
        let cut = copy.path().join(last.file_name().unwrap());
        OpenOptions::new().write(true).open(&cut).unwrap().set_len(length).unwrap();

        let mut journal = opened(copy.path());
        let next = journal.reader.next();
        assert!((28..31).contains(&next), "{length}");
        holds(&journal, next);
        append(&mut journal, 31 - next);
        holds(&journal, 31);
        drop(journal);
        holds(&opened(copy.path()), 31);
    }
}

#[test]
fn a_power_loss_that_leaves_zeros_is_cut_like_a_torn_write() {
    let folder = folder();
    let mut journal = opened(folder.path());
    append(&mut journal, 20);
    journal.writer.promise().unwrap();
    append(&mut journal, 2);
    let last = segments(folder.path()).pop().unwrap();
    let end = fs::metadata(&last).unwrap().len();
    drop(journal);
    OpenOptions::new().write(true).open(&last).unwrap().set_len(end + 512).unwrap();
    let journal = opened(folder.path());
    assert_eq!(journal.cut_bytes, 512);
    holds(&journal, 22);
}

#[test]
fn what_was_promised_is_never_cut() {
    let folder = folder();
    let mut journal = opened(folder.path());
    append(&mut journal, 60);
    journal.writer.promise().unwrap();
    drop(journal);
    let last = segments(folder.path()).pop().unwrap();
    let end = fs::metadata(&last).unwrap().len();
    OpenOptions::new().write(true).open(&last).unwrap().set_len(end - 1).unwrap();
    let error = refused(folder.path()).to_string();
    assert!(error.contains("entry 59 at byte") && error.contains("keep the folder as evidence"), "{error}");
}

#[test]
fn a_segment_that_is_gone_is_found_wherever_it_stood() {
    let folder = folder();
    let mut journal = opened(folder.path());
    append(&mut journal, 100);
    (0..10).for_each(|_| append(&mut journal, 20));
    journal.writer.promise().unwrap();
    drop(journal);
    let all = segments(folder.path());
    assert!(all.len() > 5);
    for gone in &all {
        let copy = copied(folder.path());
        fs::remove_file(copy.path().join(gone.file_name().unwrap())).unwrap();
        assert!(matches!(refused(copy.path()), OpenError::Damaged { .. }), "{}", gone.display());
    }
    fs::remove_file(folder.path().join("witness")).unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Damaged { .. }));
}

#[test]
fn segments_that_changed_places_are_found() {
    let folder = folder();
    let mut journal = opened(folder.path());
    (0..10).for_each(|_| append(&mut journal, 20));
    drop(journal);
    let all = segments(folder.path());
    let (one, other) = (fs::read(&all[1]).unwrap(), fs::read(&all[2]).unwrap());
    fs::write(&all[1], other).unwrap();
    fs::write(&all[2], one).unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_folder_belongs_to_one_process_and_one_cluster() {
    let folder = folder();
    assert!(Journal::open(folder.path(), options()).unwrap().is_none(), "nothing was stored here yet");
    let journal = opened(folder.path());
    assert!(matches!(refused(folder.path()), OpenError::Locked { .. }));
    drop(journal);
    let other = ClusterId([9; 16]);
    let error = Journal::open_or_create(folder.path(), other, options()).unwrap_err();
    assert!(matches!(error, OpenError::OtherCluster { found: CLUSTER, expected, .. } if expected == other));
}

#[test]
fn the_bytes_of_a_folder_are_a_contract() {
    let folder = folder();
    let mut journal = opened(folder.path());
    let frame = Frame::new([0xAA; 57], Some(TenantNumber(3)), vec![0xBB; 4]);
    journal.writer.append(&[frame]).unwrap();
    journal.writer.promise().unwrap();
    drop(journal);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let header = format!("02{}{}80b5a71f", "c1".repeat(16), "00".repeat(8));
    let leaf = "8f61cffeb08ae143d00cf314d423ef5d3e06c4bc107f8883feb41d909f9f9e51";
    let entry = format!("000000615b56e652{leaf}00000003{}bbbbbbbb", "aa".repeat(57));
    let segment = fs::read(folder.path().join("segment-00000000000000000000")).unwrap();
    assert_eq!(hex(&segment), header + &entry);
    let witness = fs::read(folder.path().join("witness")).unwrap();
    let slot = |next: &str, crc: &str| format!("01{}{next}{crc}", "c1".repeat(16));
    assert_eq!(hex(&witness[..29]), slot("0000000000000001", "c25f21da"));
    assert_eq!(hex(&witness[4_096..]), slot("0000000000000000", "b558114c"));
}

#[test]
fn the_bytes_of_a_segment_of_format_1_are_a_contract() {
    let folder = folder();
    drop(opened(folder.path()));
    let header = format!("01{}{}b558114c", "c1".repeat(16), "00".repeat(8));
    let entry = format!("000000287587029b{}00000003bbbbbbbb", "aa".repeat(32));
    let hex = header + &entry;
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    fs::write(&segments(folder.path())[0], bytes.collect::<Vec<_>>()).unwrap();
    let expected =
        Frame { leaf: Hash::new([0xAA; 32]), preimage: None, tenant: Some(TenantNumber(3)), sealed: vec![0xBB; 4] };
    let mut journal = opened(folder.path());
    assert_eq!(journal.reader.block(0).unwrap().unwrap().frames, std::slice::from_ref(&expected));
    // What comes after it lies in a segment of its own, of today's format.
    journal.writer.append(&[frame(1)]).unwrap();
    drop(journal);
    assert_eq!(segments(folder.path()).len(), 2);
    let journal = opened(folder.path());
    assert_eq!(journal.reader.block(0).unwrap().unwrap().frames, [expected]);
    assert_eq!(journal.reader.block(1).unwrap().unwrap().frames, [frame(1)]);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let folder = folder();
    drop(opened(folder.path()));
    let path = segments(folder.path()).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] = 3;
    let body = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..body]).to_be_bytes();
    bytes[body..].copy_from_slice(&crc);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Format { found: 3, newest: 2, .. }));
}

#[test]
fn a_kill_while_the_folder_is_made_leaves_one_that_is_made_again() {
    let whole = folder();
    drop(opened(whole.path()));
    for left in
        [&["lock"][..], &["lock", "segment-00000000000000000000.new"], &["lock", "segment-00000000000000000000"]]
    {
        let half = folder();
        for name in left {
            let from = whole.path().join(name.trim_end_matches(".new"));
            fs::copy(from, half.path().join(name)).unwrap();
        }
        let mut journal = opened(half.path());
        append(&mut journal, 2);
        drop(journal);
        holds(&opened(half.path()), 2);
    }
}

#[test]
fn a_kill_between_two_segments_loses_nothing() {
    let folder = folder();
    let mut journal = opened(folder.path());
    append(&mut journal, 30);
    let made = segments(folder.path());
    append(&mut journal, 30);
    drop(journal);
    let new = segments(folder.path()).into_iter().find(|path| !made.contains(path)).unwrap();
    let header = 1 + 16 + 8 + 32 * 30_u64.count_ones() as usize + 4;
    for length in [0, 1, header - 1] {
        let copy = copied(folder.path());
        let name = new.file_name().unwrap().to_str().unwrap();
        fs::remove_file(copy.path().join(name)).unwrap();
        fs::write(copy.path().join(format!("{name}.new")), &fs::read(&new).unwrap()[..length]).unwrap();
        let mut journal = opened(copy.path());
        holds(&journal, 30);
        append(&mut journal, 5);
        holds(&journal, 35);
    }
    let header_only = OpenOptions::new().write(true).open(&new).unwrap();
    header_only.set_len(header as u64).unwrap();
    holds(&opened(folder.path()), 30);
}

#[test]
fn a_torn_witness_leaves_the_promise_before() {
    let folder = folder();
    let mut journal = opened(folder.path());
    for _ in 0..2 {
        append(&mut journal, 5);
        journal.writer.promise().unwrap();
    }
    drop(journal);
    for slot in [0, 4_096] {
        let copy = copied(folder.path());
        let witness = OpenOptions::new().write(true).open(copy.path().join("witness")).unwrap();
        witness.write_all_at(&[0xFF; 12], slot + 10).unwrap();
        let journal = opened(copy.path());
        assert!([5, 10].contains(&journal.writer.promised()));
        holds(&journal, 10);
    }
    let witness = OpenOptions::new().write(true).open(folder.path().join("witness")).unwrap();
    [0, 4_096].into_iter().for_each(|slot| witness.write_all_at(&[0xFF; 12], slot + 10).unwrap());
    assert!(matches!(refused(folder.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_full_disk_takes_nothing_and_takes_again_when_there_is_room() {
    let folder = folder();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let asked = free.clone();
    let free_bytes: FreeBytes = Arc::new(move |_| Ok(asked.load(Ordering::Relaxed)));
    let options = JournalOptions { free_bytes, free_bytes_min: 1_000, ..options() };
    let mut journal = Journal::open_or_create(folder.path(), CLUSTER, options).unwrap();
    append(&mut journal, 3);
    free.store(1_000, Ordering::Relaxed);
    assert!(matches!(journal.writer.append(&frames(3..4)), Err(AppendError::Full { free_bytes: 1_000, .. })));
    holds(&journal, 3);
    free.store(10_000, Ordering::Relaxed);
    append(&mut journal, 4);
    holds(&journal, 7);
}

#[test]
fn nothing_is_appended_beside_a_segment_that_is_half_begun() {
    let folder = folder();
    let options = JournalOptions { on_fatal: Arc::new(|_| {}), ..options() };
    let mut journal = Journal::open_or_create(folder.path(), CLUSTER, options).unwrap();
    append(&mut journal, 10);
    // A folder under the name of the next segment: it can be seen, and not be written to.
    let next = folder.path().join(format!("segment-{:020}", journal.reader.next()));
    fs::create_dir(&next).unwrap();
    assert!(matches!(journal.writer.append(&frames(10..60)), Err(AppendError::Stopped)));
    assert!(matches!(journal.writer.append(&frames(10..11)), Err(AppendError::Stopped)));
    drop(journal);
    fs::remove_dir(&next).unwrap();
    holds(&opened(folder.path()), 10);
}

#[test]
fn an_entry_that_is_too_long_is_refused_and_the_ones_beside_it_too() {
    let folder = folder();
    let mut journal = opened(folder.path());
    let long = Frame { sealed: vec![0; FRAME_BYTES_MAX], ..frame(1) };
    assert!(matches!(journal.writer.append(&[frame(0), long]), Err(AppendError::TooLong { .. })));
    holds(&journal, 0);
}

#[test]
fn what_rots_while_the_store_is_open_is_found_by_whoever_reads_it() {
    let folder = folder();
    let mut journal = opened(folder.path());
    append(&mut journal, 3);
    let path = segments(folder.path()).pop().unwrap();
    let end = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0xEE], end - 1).unwrap();
    assert!(matches!(journal.reader.block(0), Err(ReadError::Damaged { .. })));
}

/// A folder with four segments, whose last two entries were not promised.
fn kept() -> (TempDir, u64) {
    let folder = folder();
    let mut journal = opened(folder.path());
    (0..4).for_each(|_| append(&mut journal, 20));
    journal.writer.promise().unwrap();
    append(&mut journal, 2);
    assert!(journal.reader.segments().len() >= 3);
    (folder, 80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Either it is refused, or what is left is what was stored, from the first entry to the last one promised at least.
    #[test]
    fn a_byte_that_changed_anywhere_is_found(at in any::<prop::sample::Index>(), with in 1..=u8::MAX) {
        thread_local! { static KEPT: (TempDir, u64) = kept(); }
        KEPT.with(|(whole, promised)| {
            let files = segments(whole.path());
            let lengths: Vec<_> = files.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
            let mut offset = at.index(usize::try_from(lengths.iter().sum::<u64>()).unwrap()) as u64;
            let mut file = 0;
            while offset >= lengths[file] {
                offset -= lengths[file];
                file += 1;
            }
            let copy = copied(whole.path());
            let path = copy.path().join(files[file].file_name().unwrap());
            let mut bytes = fs::read(&path).unwrap();
            bytes[usize::try_from(offset).unwrap()] ^= with;
            fs::write(&path, bytes).unwrap();
            match Journal::open(copy.path(), options()) {
                Err(OpenError::Damaged { .. }) => {}
                Ok(Some(journal)) => {
                    assert!(journal.cut_bytes > 0 && file + 1 == files.len(), "byte {offset} of segment {file} was not noticed");
                    assert!(journal.reader.next() >= *promised);
                    holds(&journal, journal.reader.next());
                }
                other => panic!("{other:?}"),
            }
        });
    }
}
