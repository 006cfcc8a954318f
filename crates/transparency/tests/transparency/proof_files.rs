//! Proofs that stand alone.

use latchkey_domain::{Revision, Sequence};
use latchkey_transparency::note::{Algorithm, Note, SignerKey};
use latchkey_transparency::{
    Checkpoint, Edge, Evidence, Hash, Leaf, ProofFile, commitment, hash_preimage, inclusion_proof, proof_file_name,
};
use proptest::prelude::*;

const EVENT: &[u8] = b"what happened";

fn leaf(n: u64) -> Leaf {
    Leaf { format: 1, sequence: Sequence(n), revision: Revision::new(1, n), commitment: commitment(&[3; 32], EVENT) }
}

fn file() -> ProofFile {
    let mut edge = Edge::new();
    (0..5).for_each(|n| edge.push(leaf(n).hash(), |_| ()));
    let checkpoint = Checkpoint { origin: "latchkey/c1".to_owned(), size: 5, root: edge.root() };
    let mut note = Note::new(&checkpoint.text()).unwrap();
    note.sign(&SignerKey::new("latchkey/c1", Algorithm::Ed25519, &[1; 32]).unwrap());
    let evidence = Evidence { preimage: leaf(2).preimage(), content: Some(([3; 32], EVENT.to_vec())) };
    let proof = inclusion_proof(&edge, 2, 5).unwrap();
    ProofFile { extra: evidence.write(), index: 2, proof, checkpoint: note }
}

#[test]
fn a_proof_file_reads_as_it_was_written_and_proves_the_content() {
    let text = file().to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra AQ"));
    let read = ProofFile::parse(&text).unwrap();
    assert_eq!(read, file());
    let checkpoint = Checkpoint::parse(read.checkpoint.text()).unwrap();
    let evidence = Evidence::read(&read.extra).unwrap();
    assert!(evidence.content_holds());
    assert_eq!(read.verify(&hash_preimage(&evidence.preimage), &checkpoint), Ok(()));
    assert!(read.verify(&leaf(3).hash(), &checkpoint).is_err());
    let other = Evidence { content: Some(([3; 32], b"what did not".to_vec())), ..evidence };
    assert!(!other.content_holds());
}

#[test]
fn content_that_may_not_be_shown_leaves_the_leaf_provable() {
    let sealed = Evidence { preimage: leaf(2).preimage(), content: None };
    let read = Evidence::read(&sealed.write()).unwrap();
    assert_eq!(read, sealed);
    assert!(read.content_holds());
    assert_eq!((Evidence::read(&[0; 56]), Evidence::read(&[0; 58])), (None, None));
}

#[test]
fn a_file_without_extra_data_is_one() {
    let mut plain = file();
    plain.extra.clear();
    plain.proof.clear();
    let text = plain.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 2\n\nlatchkey/c1\n5\n"));
    assert_eq!(ProofFile::parse(&text), Ok(plain));
}

#[test]
fn another_form_of_a_file_is_refused_with_what_was_expected() {
    let text = file().to_string();
    let wrong = |from: &str, to: &str| ProofFile::parse(&text.replacen(from, to, 1)).unwrap_err().expected;
    assert_eq!(wrong("@v1", "@v2"), "`c2sp.org/tlog-proof@v1` in the first line");
    assert_eq!(wrong("extra AQ", "extra *Q"), "base64 behind `extra`");
    assert_eq!(wrong("index 2", "index 02"), "a decimal number behind `index`");
    assert_eq!(wrong("index 2", "place 2"), "a line `index <number>`");
    assert_eq!(wrong("index 2\n", "index 2\nabcd\n"), "a hash in base64 in each line of the proof");
    assert_eq!(wrong("— latchkey", "- latchkey"), "a signed checkpoint behind the empty line");
    let long = "index 2\n".to_owned() + &format!("{}\n", "A".repeat(43) + "=").repeat(65);
    assert_eq!(wrong("index 2\n", &long), "at most 64 hashes");
    assert!(ProofFile::parse("").is_err());
}

#[test]
fn names_of_files_are_in_the_order_of_entries() {
    assert_eq!(proof_file_name(42), "00000000000000000042.tlog-proof");
    assert!(proof_file_name(u64::MAX) > proof_file_name(9));
}

proptest! {
    #[test]
    fn no_text_panics(noise in "\\PC{0,60}", at in any::<prop::sample::Index>(), with in any::<char>()) {
        let _ = ProofFile::parse(&noise);
        let mut chars: Vec<char> = file().to_string().chars().collect();
        let at = at.index(chars.len());
        chars[at] = with;
        let _ = ProofFile::parse(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn a_proof_under_another_root_is_refused(root in any::<[u8; 32]>()) {
        let read = file();
        let checkpoint = Checkpoint { origin: String::new(), size: 5, root: Hash::new(root) };
        prop_assert!(read.verify(&leaf(2).hash(), &checkpoint).is_err());
    }
}
