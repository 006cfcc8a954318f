use super::*;
use proptest::prelude::*;

/// The example of the first implementation of signed notes, in its documentation and tests.
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_SEED: &str = "YEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— \
    PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

const TEXT: &str = "log.example/one\n7\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n";

fn signer(name: &str, algorithm: Algorithm, seed: u8) -> SignerKey {
    SignerKey::new(name, algorithm, &[seed; 32]).unwrap()
}

fn signed() -> Note {
    let mut note = Note::new(TEXT).unwrap();
    note.sign(&signer("log.example/one", Algorithm::Ed25519, 1));
    let cosigner = signer("log.example/one/replica/2", Algorithm::CosignatureV1, 2);
    note.add(cosigner.cosign(1_700_000_000, TEXT));
    note
}

#[test]
fn the_published_note_opens_with_its_published_key() {
    let key = VerifierKey::parse(NEUMANN).unwrap();
    assert_eq!(key.to_string(), NEUMANN);
    let note = Note::parse(NEUMANN_NOTE).unwrap();
    assert_eq!(note.open(std::slice::from_ref(&key)), Ok(vec![Voucher { key, unix_seconds: None }]));
    assert_eq!(note.to_string(), NEUMANN_NOTE);
}

#[test]
fn the_published_note_is_made_again_from_its_published_seed() {
    use base64::Engine as _;
    let text = ["A", NEUMANN_SEED].concat();
    let seed = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let signer = SignerKey::new("PeterNeumann", Algorithm::Ed25519, seed[1..].try_into().unwrap()).unwrap();
    assert_eq!(signer.verifier().to_string(), NEUMANN);
    let mut note = Note::new(Note::parse(NEUMANN_NOTE).unwrap().text()).unwrap();
    note.sign(&signer);
    assert_eq!(note.to_string(), NEUMANN_NOTE);
}

#[test]
fn a_note_tells_who_vouches_and_when() {
    let note = Note::parse(&signed().to_string()).unwrap();
    let log = signer("log.example/one", Algorithm::Ed25519, 1).verifier().clone();
    let replica = signer("log.example/one/replica/2", Algorithm::CosignatureV1, 2).verifier().clone();
    let stranger = signer("log.example/one/replica/3", Algorithm::CosignatureV1, 3).verifier().clone();
    let vouchers = note.open(&[log, stranger.clone(), replica.clone()]).unwrap();
    assert_eq!(vouchers.iter().map(|voucher| voucher.unix_seconds).collect::<Vec<_>>(), [None, Some(1_700_000_000)]);
    assert_eq!(replica.verify_cosignature(TEXT, &note.signatures()[1]), Some(1_700_000_000));
    assert_eq!(replica.verify_cosignature(TEXT, &note.signatures()[0]), None);
    assert_eq!(note.open(&[stranger]), Err(NoteError::Unknown));
}

#[test]
fn a_line_in_the_name_of_a_known_key_that_it_did_not_make_is_not_passed_over() {
    let log = signer("log.example/one", Algorithm::Ed25519, 1).verifier().clone();
    let mut forged = Note::new(&TEXT.replace('7', "8")).unwrap();
    forged.add(signed().signatures()[0].clone());
    let wrong = NoteError::Wrong { key: "log.example/one".to_owned() };
    assert_eq!(forged.open(std::slice::from_ref(&log)), Err(wrong.clone()));
    // A right one beside it does not mend it.
    let other = Signature::new("log.example/one".to_owned(), log.id(), vec![0; 64]);
    let twice = format!("{}{other}\n", signed());
    assert_eq!(Note::parse(&twice).unwrap().open(&[log]), Err(wrong));
}

#[test]
fn a_cosignature_is_over_its_time_and_no_log_signature_passes_for_one() {
    let replica = signer("log.example/one/replica/2", Algorithm::CosignatureV1, 2);
    let line = replica.cosign(1_700_000_000, TEXT);
    let mut later = line.bytes().to_vec();
    later[7] ^= 1;
    let later = Signature::new(line.name().to_owned(), line.key_id(), later);
    assert_eq!(replica.verifier().verify_cosignature(TEXT, &later), None);
    let plain = signer("log.example/one/replica/2", Algorithm::Ed25519, 2);
    assert_ne!(plain.verifier().id(), replica.verifier().id());
    let too_late = Signature::new(line.name().to_owned(), line.key_id(), [&[0xff; 8][..], &line.bytes()[8..]].concat());
    assert_eq!(replica.verifier().verify_cosignature(TEXT, &too_late), None);
}

#[test]
fn the_text_of_a_key_that_was_altered_is_refused() {
    let key = |text: &str| VerifierKey::parse(text);
    assert_eq!(key("PeterNeumann+c74f20a3"), Err(KeyTextError::Shape));
    assert_eq!(key(&NEUMANN.replace("c74f20a3", "c74f20a4")), Err(KeyTextError::Id));
    assert_eq!(key(&NEUMANN.replace("Peter", "Pete")), Err(KeyTextError::Id));
    assert_eq!(key(&NEUMANN.replace("c74f20a3", "+74f20a3")), Err(KeyTextError::Shape));
    assert_eq!(key(&NEUMANN.replace("ARpc", "AhpC")), Err(KeyTextError::Algorithm { found: 2 }));
    assert_eq!(key("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), Err(KeyTextError::Name));
    assert_eq!(key("a+c74f20a3+ARpc"), Err(KeyTextError::Key));
}

#[test]
fn what_is_no_note_is_refused() {
    let note = |text: &str| Note::parse(text).unwrap_err();
    assert_eq!(note("text\n"), NoteError::Unsigned);
    assert_eq!(note("text\n\n"), NoteError::Unsigned);
    assert_eq!(note("\n\n— a AAAAAAA=\n"), NoteError::Text);
    assert_eq!(note("te\txt\n\n— a AAAAAAA=\n"), NoteError::Text);
    assert_eq!(note("text\n\n— a AAAAAAA=\n— b\n"), NoteError::Line { at: 1 });
    assert_eq!(note("text\n\n- a AAAAAAA=\n"), NoteError::Line { at: 0 });
    assert_eq!(note("text\n\n— a+b AAAAAAA=\n"), NoteError::Line { at: 0 });
    assert_eq!(note("text\n\n— a AAAAAA==\n"), NoteError::Line { at: 0 });
    assert_eq!(note(&format!("text\n\n{}", "— a AAAAAAA=\n".repeat(SIGNATURES_MAX + 1))), NoteError::Signatures);
    assert_eq!(
        note(&format!("{}\n\n— a AAAAAAA=\n", "x".repeat(NOTE_BYTES_MAX))),
        NoteError::Long { found: NOTE_BYTES_MAX + 17 }
    );
}

#[test]
fn a_signer_shows_only_what_verifies() {
    let signer = signer("a", Algorithm::Ed25519, 9);
    assert_eq!(format!("{signer:?}"), format!("SignerKey({})", signer.verifier()));
}

proptest! {
    #[test]
    fn a_note_with_any_change_is_refused_or_is_the_same(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let (whole, log) = (signed().to_string(), signer("log.example/one", Algorithm::Ed25519, 1));
        let mut chars: Vec<char> = whole.chars().collect();
        let at = at.index(chars.len());
        let before = chars[at];
        chars[at] = with;
        let changed: String = chars.into_iter().collect();
        let opened = Note::parse(&changed).and_then(|note| note.open(&[log.verifier().clone()]).map(|_| note));
        if let Ok(note) = opened {
            // What was signed by the log was not touched.
            prop_assert_eq!(note.text(), TEXT, "{} instead of {} at {}", with, before, at);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}", lines in "[a-z— +=\n]{0,120}") {
        for text in [&text, &lines] {
            let _ = (Note::parse(text).map(|note| note.to_string()), VerifierKey::parse(text), Signature::parse(text));
        }
    }
}
