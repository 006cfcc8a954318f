use super::evidence::{self, entry_line};
use super::whole::Verified;
use super::*;
use latchkey_domain::{Revision, Sequence};
use latchkey_transparency::note::{Algorithm, Note, SignerKey};
use latchkey_transparency::testing::{ORIGIN, TestLog};
use latchkey_transparency::{Checkpoint, Evidence, Handover, Hash, Leaf, ProofFile, commitment, proof_file_name};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn trusted(quorum: Option<usize>) -> Trusted {
    let keys: Vec<String> = TestLog::new(3).verifier_keys().iter().map(ToString::to_string).collect();
    Trusted::read(&keys, quorum).expect("keys of a log")
}

fn put(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

fn folder(objects: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    objects.iter().for_each(|(path, bytes)| put(folder.path(), path, bytes));
    folder
}

/// What is found of a log in a folder, that should begin with the log of an earlier checkpoint.
async fn found(folder: &Path, earlier: &[Believed]) -> Result<Verified, String> {
    let source = Source::of(&folder.display().to_string(), None).expect("a folder");
    let bytes = fs::read(folder.join("checkpoint")).expect("a checkpoint");
    let newest = trusted(None).believe_text("checkpoint", &bytes).map_err(|wrong| wrong.to_string())?;
    whole::verify(&source, &newest, earlier, true).await.map_err(|failure| match failure {
        Failure::Wrong(wrong) => wrong.to_string(),
        Failure::Cannot(error) => panic!("{error}"),
    })
}

fn log(size: u64) -> TestLog {
    let mut log = TestLog::new(3);
    log.grow(size);
    log.checkpoint();
    log
}

fn believed(note: &Note) -> Believed {
    trusted(None).believe("earlier", note).expect("our own checkpoint")
}

#[tokio::test]
async fn a_log_of_each_shape_is_verified_whole() {
    for size in [0, 1, 255, 256, 257, 700, 66_000] {
        let folder = folder(log(size).objects());
        let verified = found(folder.path(), &[]).await.expect("it is whole");
        assert_eq!((verified.leaves, verified.unknown), (size, 0));
    }
}

#[tokio::test]
async fn a_change_of_any_file_is_found_and_the_file_is_named() {
    let log = log(66_000);
    let folder = folder(log.objects());
    let (mut named, mut tried) = (0, 0);
    for (at, (path, bytes)) in log.objects().iter().filter(|(path, _)| *path != "checkpoint").enumerate() {
        // A log of this size has 517 files: of those alike, some.
        if at % 40 != 0 && path.starts_with("tile/0") || at % 40 != 7 && path.starts_with("tile/entries") {
            continue;
        }
        let mut changed = bytes.clone();
        let place = at * 31 % changed.len();
        changed[place] ^= 1 << (at % 8);
        put(folder.path(), path, &changed);
        let wrong = found(folder.path(), &[]).await.expect_err(path);
        tried += 1;
        named += usize::from(wrong.contains(path.as_str()));
        fs::remove_file(folder.path().join(path)).expect("it was there");
        let wrong = found(folder.path(), &[]).await.expect_err(path);
        assert!(wrong.starts_with(path.as_str()) && wrong.contains("missing"), "{wrong}");
        put(folder.path(), path, bytes);
    }
    assert!(tried > 15 && named == tried, "{named} of {tried}");
}

/// What an audit service could do that is in the hands of somebody else, and who says so.
#[tokio::test]
async fn what_a_malicious_service_does_is_found_and_by_whom() {
    let mut honest = TestLog::new(3);
    honest.grow(300);
    let earlier = believed(&honest.checkpoint());
    honest.grow(600);
    honest.checkpoint();
    let objects = honest.objects().clone();

    // It drops an entry: what comes after it stands in another place.
    let mut dropped = objects.clone();
    let bundle = dropped.get_mut("tile/entries/001").expect("a full bundle");
    bundle.drain(59..118);
    bundle.extend(objects["tile/entries/002.p/88"][..59].to_vec());
    let wrong = found(folder(&dropped).path(), &[]).await.expect_err("an entry is missing");
    assert!(wrong.contains("tile/entries/001") && wrong.contains("entry 257"), "{wrong}");

    // It reorders two, in the bundle and in the tile alike: each says where it belongs.
    let mut reordered = objects.clone();
    for (path, each) in [("tile/entries/001", 59), ("tile/0/001", 32)] {
        let bytes = reordered.get_mut(path).expect("it is full");
        let (first, second) = (bytes[..each].to_vec(), bytes[each..2 * each].to_vec());
        bytes[..2 * each].copy_from_slice(&[second, first].concat());
    }
    let wrong = found(folder(&reordered).path(), &[]).await.expect_err("two have changed places");
    assert!(wrong.contains("lies entry 257"), "{wrong}");

    // It edits one and makes all tiles anew, without the key: the signed root is another.
    let edited = |signed: bool| {
        let mut forged = honest_with(|log| log.grow(600), 77);
        if !signed {
            forged.objects_mut().insert("checkpoint".to_owned(), objects["checkpoint"].clone());
        }
        forged
    };
    let wrong = found(folder(edited(false).objects()).path(), &[]).await.expect_err("an entry says something else");
    assert!(wrong.contains("the log was made anew"), "{wrong}");

    // It signs that as well: it has no cosigner then, and who saw an earlier checkpoint has a fork in hands.
    let forged = edited(true);
    let wrong = found(folder(forged.objects()).path(), &[]).await.expect_err("nobody cosigned");
    assert!(wrong.contains("0 of the known cosigners vouch"), "{wrong}");
    let source = folder(forged.objects());
    let alone = Trusted::read(&[honest.signer().verifier().to_string()], None).expect("the log's key");
    let newest = alone.believe_text("checkpoint", &forged.objects()["checkpoint"]).expect("audit signed it");
    let source = Source::of(&source.path().display().to_string(), None).map(|read| (read, source)).expect("a folder");
    assert!(whole::verify(&source.0, &newest, &[], true).await.is_ok(), "alone, it is a log like any other");
    let forked = whole::verify(&source.0, &newest, std::slice::from_ref(&earlier), true).await;
    let Err(Failure::Wrong(wrong)) = forked else { panic!("a fork is believed") };
    assert!(wrong.to_string().contains("one of the two is a fork"), "{wrong}");

    // It rolls back to a log that was honest once.
    let mut old = TestLog::new(3);
    old.grow(200);
    old.checkpoint();
    let wrong = found(folder(old.objects()).path(), &[earlier]).await.expect_err("it has fewer entries");
    assert!(wrong.contains("it was rolled back"), "{wrong}");
}

/// A log in which the entry of that sequence says something else, signed by the log's own key and cosigned by nobody.
fn honest_with(grow: impl Fn(&mut TestLog), sequence: u64) -> TestLog {
    let mut honest = TestLog::new(0);
    grow(&mut honest);
    let size = 600;
    let (mut edge, mut forged) = (latchkey_transparency::Edge::new(), TestLog::new(0));
    let mut tiles = Vec::new();
    let mut entries: Vec<[u8; 57]> = (0..size).map(|at| TestLog::leaf(at).preimage()).collect();
    let leaf = Leaf { commitment: commitment(&[9; 32], b"something else"), ..TestLog::leaf(sequence) };
    entries[usize::try_from(sequence).expect("it is small")] = leaf.preimage();
    entries.iter().for_each(|entry| edge.push(latchkey_transparency::hash_preimage(entry), |tile| tiles.push(tile)));
    tiles.extend(edge.partial());
    for tile in &tiles {
        forged.objects_mut().insert(tile.id().path(), tile.encode());
        if tile.id().level() == 0 {
            let first = usize::try_from(tile.id().first()).expect("it is small");
            let part = entries[first..first + usize::from(tile.id().width())].to_vec();
            let bundle = latchkey_transparency::EntryTile::new(tile.id(), part).expect("as wide as its tile");
            forged.objects_mut().insert(tile.id().entries_path(), bundle.encode());
        }
    }
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: edge.root() };
    let mut note = Note::new(&checkpoint.text()).expect("a text");
    note.sign(honest.signer());
    forged.objects_mut().insert("checkpoint".to_owned(), note.to_string().into_bytes());
    forged
}

#[tokio::test]
async fn entries_that_nobody_knows_are_counted_and_their_leaves_still_lead_to_the_root() {
    let log = log(300);
    let mut objects = log.objects().clone();
    objects.get_mut("tile/entries/000").expect("a full bundle")[2..59].fill(0);
    let verified = found(folder(&objects).path(), &[]).await.expect("the leaf is in the tile");
    assert_eq!((verified.leaves, verified.unknown), (300, 1));
}

#[tokio::test]
async fn partial_objects_that_a_wider_one_took_the_place_of_are_compared_with_it() {
    let mut log = log(270);
    log.grow(300);
    log.checkpoint();
    let folder = folder(log.objects());
    assert!(found(folder.path(), &[]).await.is_ok(), "those of both sizes lie there");
    for path in ["tile/0/001.p/14", "tile/entries/001.p/14"] {
        let bytes = log.objects()[path].clone();
        let mut changed = bytes.clone();
        changed[40] ^= 1;
        for wrong in [changed, bytes[1..].to_vec()] {
            put(folder.path(), path, &wrong);
            let told = found(folder.path(), &[]).await.expect_err("readers with an older checkpoint would get it");
            assert!(told.starts_with(path), "{told}");
        }
        put(folder.path(), path, &bytes);
    }
    // Wider than the checkpoint: published, and not signed yet.
    log.grow(310);
    let older = log.objects()["checkpoint"].clone();
    log.checkpoint();
    log.objects().iter().for_each(|(path, bytes)| put(folder.path(), path, bytes));
    put(folder.path(), "checkpoint", &older);
    put(folder.path(), "tile/0/001.p/54#1", b"half");
    assert_eq!(found(folder.path(), &[]).await.map(|verified| verified.leaves), Ok(300));
}

#[test]
fn keys_are_read_from_texts_and_files_and_a_quorum_has_to_be_possible() {
    let keys = TestLog::new(2).verifier_keys();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    fs::write(&file, format!("# ours\n{}\n\n{}\n", keys[0], keys[1])).expect("a file");
    let given = [file.display().to_string(), keys[2].to_string(), keys[1].to_string()];
    assert!(Trusted::read(&given, Some(2)).is_ok());
    let told = |given: &[String], quorum| Trusted::read(given, quorum).expect_err("it is refused").to_string();
    assert!(told(&given, Some(3)).contains("a quorum of 3 cosigners cannot be met with the keys of 2"));
    assert!(told(&[keys[1].to_string()], None).contains("expected the key of one log, found 0"));
    assert!(told(&["nonsense".to_owned()], None).contains("expected a verifier key"));
}

#[test]
fn a_key_that_handed_the_log_over_counts_until_then_and_leads_to_the_one_that_signs() {
    let key = |seed| SignerKey::new(ORIGIN, Algorithm::Ed25519, &[seed; 32]).expect("a key");
    let of = |size| Checkpoint { origin: ORIGIN.to_owned(), size, root: Hash::new([7; 32]) };
    let signed = |size, by: &SignerKey| {
        let mut note = Note::new(&of(size).text()).expect("a text");
        note.sign(by);
        note
    };
    let (old, new, stranger) = (key(1), key(2), key(3));
    let handover = Handover::sign(&of(50), &old, &new).to_string();
    let listed = format!("{}\n{} until 50\n", new.verifier(), old.verifier());
    let listed = Trusted::read(&[listed], None).expect("keys as they are listed");
    let mut pinned = Trusted::read(&[old.verifier().to_string()], None).expect("a key of before");
    assert!(pinned.believe("x", &signed(60, &new)).is_err(), "nobody told of it");
    pinned.follow("handovers", &handover).expect("a handover");
    for trusted in [&listed, &pinned] {
        for note in [signed(50, &old), signed(60, &new)] {
            assert!(trusted.believe("x", &note).is_ok(), "{note}");
        }
        let told = trusted.believe("x", &signed(51, &old)).expect_err("it signs no more").to_string();
        assert!(told.contains("of 51 entries") && told.contains("handed the log over at 50"), "{told}");
        assert!(trusted.believe("x", &signed(40, &stranger)).is_err());
        let told = trusted.believe("x", &signed(49, &new)).expect_err("it began at 50").to_string();
        assert!(told.contains("of 49 entries") && told.contains("rolled back"), "{told}");
    }
    let bound = |size| pinned.handed_over(size).map(|last| last.checkpoint.clone()).collect::<Vec<_>>();
    assert_eq!((bound(49), bound(50)), (Vec::new(), vec![of(50)]));
    // What leads from a key that is not known leads nowhere.
    let mut unmoved = Trusted::read(&[old.verifier().to_string()], None).expect("a key");
    unmoved.follow("handovers", &Handover::sign(&of(50), &stranger, &new).to_string()).expect("a handover");
    assert!(unmoved.believe("x", &signed(60, &new)).is_err() && unmoved.believe("x", &signed(60, &old)).is_ok());
    let told = |given: String| Trusted::read(&[given], None).expect_err("it is refused").to_string();
    assert!(told(format!("{}\n{} until 050", new.verifier(), old.verifier())).contains("found 050"));
    assert!(told(format!("{} until 50", old.verifier())).contains("expected the key of one log, found 0"));
    assert!(
        told(format!("{}\n{} until 50", old.verifier(), old.verifier())).contains("expected a key that signed before")
    );
    assert!(unmoved.follow("x", "nonsense\n").expect_err("it is none").to_string().contains("expected a handover"));
}

#[tokio::test]
async fn a_log_of_a_new_key_that_does_not_go_on_from_what_the_old_one_handed_over_is_wrong() {
    let key = |seed| SignerKey::new(ORIGIN, Algorithm::Ed25519, &[seed; 32]).expect("a key");
    let (old, new) = (key(1), key(2));
    let mut log = TestLog::new(0);
    log.grow(300);
    let at_300 = Checkpoint::parse(log.checkpoint().text()).expect("a checkpoint");
    log.grow(400);
    let mut newest = Note::new(log.checkpoint().text()).expect("a text");
    newest.sign(&new);
    let folder = folder(log.objects());
    let source = Source::of(&folder.path().display().to_string(), None).expect("a folder");
    let forked = Checkpoint { root: Hash::new([7; 32]), ..at_300.clone() };
    for (last, holds) in [(at_300, true), (forked, false)] {
        let mut trusted = Trusted::read(&[old.verifier().to_string()], None).expect("a key of before");
        trusted.follow("handovers", &Handover::sign(&last, &old, &new).to_string()).expect("a handover");
        let newest = trusted.believe("checkpoint", &newest).expect("the new key signed it");
        let earlier: Vec<_> = trusted.handed_over(newest.checkpoint.size).cloned().collect();
        let verified = whole::verify(&source, &newest, &earlier, true).await;
        assert_eq!(verified.is_ok(), holds);
    }
}

#[test]
fn addresses_are_read_and_nonsense_is_refused() {
    let refused = |place: &str| Source::of(place, None).is_err();
    // A path that HTTP does not carry.
    assert!(refused("http://127.0.0.1:7741/<a>") && refused("http://127.0.0.1:7741/`a`"));
    assert!(refused("http://") && refused("http://a b") && refused("https://log.example") && refused("http://x@y/"));
    assert!(matches!(Source::of("http://127.0.0.1:7741/a/", None), Ok(Source::Server(_, before)) if before == "/a/"));
}

/// An event as the state machine writes it: by replica 3, of the cluster itself.
fn event(action: &str) -> Vec<u8> {
    let text = |text: &str| [&u32::try_from(text.len()).expect("it is short").to_be_bytes(), text.as_bytes()].concat();
    let (at, actor) = (1_700_000_000_000_u64.to_be_bytes(), text("3"));
    [&[1][..], &at, &[1], &actor, &text(action), &text("cluster"), &[0, 0, 0], &0_u32.to_be_bytes()].concat()
}

/// A folder of evidence of one entry in a log of one, signed by the log alone.
fn evidence_of(action: &str) -> (TempDir, Trusted) {
    let (opening, event) = ([5; 32], event(action));
    let leaf = Leaf { commitment: commitment(&opening, &event), ..TestLog::leaf(0) };
    let signer = SignerKey::new(ORIGIN, Algorithm::Ed25519, &[0xA0; 32]).expect("a name");
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root: leaf.hash() };
    let mut note = Note::new(&checkpoint.text()).expect("a text");
    note.sign(&signer);
    let extra = Evidence { preimage: leaf.preimage(), content: Some((opening, event.clone())) }.write();
    let proof = ProofFile { extra, index: 0, proof: Vec::new(), checkpoint: note.clone() };
    let shown = latchkey_audit::entry_of(Sequence(0), Revision::new(1, 7), &event, String::new()).expect("an event");
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &proof_file_name(0), proof.to_string().as_bytes());
    let line = Value::Object(entry_line(&shown, Some((&opening, &event)))).to_string();
    put(folder.path(), evidence::ENTRIES, format!("{line}\n").as_bytes());
    put(folder.path(), evidence::CHECKPOINT, note.to_string().as_bytes());
    let trusted = Trusted::read(&[signer.verifier().to_string()], None).expect("a key");
    (folder, trusted)
}

#[test]
fn evidence_proves_what_each_entry_says_and_nothing_beside_it() {
    let (folder, trusted) = evidence_of("key.revoked");
    let proved = evidence::verify_folder(folder.path(), &trusted, true).expect("it holds");
    assert_eq!((proved.len(), proved[0].event.is_some()), (1, true));
    let path = folder.path().join(evidence::ENTRIES);
    let line = fs::read_to_string(&path).expect("a file");
    let wrong = |line: String| {
        fs::write(&path, line).expect("a file");
        match evidence::verify_folder(folder.path(), &trusted, true) {
            Err(Failure::Wrong(wrong)) => wrong.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(wrong(line.replace("key.revoked", "key.created")).contains("`action` is not what the event says"));
    assert!(wrong(line.replacen('{', "{\"note\":\"paid\",", 1)).contains("the event says nothing of `note`"));
    assert!(wrong(line.replacen('{', "{\"tenant\":\"tenants/a\",", 1)).contains("the event says nothing of `tenant`"));
    assert!(wrong(line.replace("\"opening\":\"BQ", "\"opening\":\"BA")).contains("not those of its proof"));
    assert!(wrong(line.repeat(2)).contains("is there twice"));
    assert!(wrong(line.replace("\"sequence\":\"0\"", "\"sequence\":\"1\"")).contains("has no proof"));
    assert!(wrong(String::new()).contains("proves an entry that entries.jsonl leaves out"));
}

#[test]
fn of_an_entry_whose_event_is_not_shown_evidence_says_what_its_leaf_says_and_no_more() {
    let (folder, trusted) = evidence_of("key.revoked");
    let path = folder.path().join(proof_file_name(0));
    let mut proof = ProofFile::parse(&fs::read_to_string(&path).expect("a file")).expect("a proof");
    proof.extra.truncate(57);
    fs::write(&path, proof.to_string()).expect("a file");
    let verified = |line: &str| {
        put(folder.path(), evidence::ENTRIES, line.as_bytes());
        evidence::verify_folder(folder.path(), &trusted, true)
    };
    let revision = Leaf::read(proof.extra[..].try_into().expect("a preimage")).revision;
    let line = Value::Object(evidence::hidden_line(0, revision)).to_string();
    assert!(matches!(verified(&line), Ok(proved) if proved[0].event.is_none()));
    for claimed in ["\"action\":\"key.revoked\"", "\"subject\":\"tenants/a\"", "\"time\":\"2026-01-01T00:00:00Z\""] {
        match verified(&line.replacen('{', &format!("{{{claimed},"), 1)) {
            Err(Failure::Wrong(wrong)) => assert!(wrong.to_string().contains("nothing proves its"), "{wrong}"),
            other => panic!("{claimed} is believed: {other:?}"),
        }
    }
}

#[test]
fn proofs_under_two_checkpoints_of_one_size_have_one_root() {
    let (folder, _) = evidence_of("key.revoked");
    let signer = SignerKey::new(ORIGIN, Algorithm::Ed25519, &[0xA0; 32]).expect("a name");
    let trusted = Trusted::read(&[signer.verifier().to_string()], None).expect("a key");
    let fork = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root: TestLog::leaf(0).hash() };
    let mut note = Note::new(&fork.text()).expect("a text");
    note.sign(&signer);
    put(folder.path(), evidence::CHECKPOINT, note.to_string().as_bytes());
    match evidence::verify_folder(folder.path(), &trusted, true) {
        Err(Failure::Wrong(wrong)) => assert!(wrong.to_string().contains("one of the two is a fork"), "{wrong}"),
        other => panic!("a fork is believed: {other:?}"),
    }
}

#[test]
fn a_proof_file_that_was_changed_anywhere_is_refused() {
    let (folder, trusted) = evidence_of("key.revoked");
    let path = folder.path().join(proof_file_name(0));
    let text = fs::read_to_string(&path).expect("a file");
    assert!(evidence::verify_file(&path, &trusted).is_ok());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        fs::write(&path, changed).expect("a file");
        assert!(matches!(evidence::verify_file(&path, &trusted), Err(Failure::Wrong(_))), "byte {at}");
    }
}
