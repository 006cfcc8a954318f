//! The envelope refuses whatever is not exactly what was sealed, where it was sealed.
use super::*;
use crate::draw;
use crate::test_support::Seeded;
use latchkey_domain::{ClusterId, TenantNumber};
use proptest::prelude::*;

const NUMBER_7: RingNumber = RingNumber(7);

fn place() -> Context<'static> {
    Context {
        cluster: ClusterId([0xC1; 16]),
        tenant: TenantNumber(2),
        record: b"version 1",
        field: Field::INNER,
        schema: 1,
    }
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal(&DataKey::new([0x44; 32]), NUMBER_7, &place(), [0x55; 16], plaintext)
}

fn reopened(sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    open(&DataKey::new([0x44; 32]), &place(), sealed)
}

#[test]
fn every_flipped_bit_is_refused() {
    let sealed = sealed(b"forty bytes of plaintext, more or less..");
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let error = reopened(&altered).unwrap_err();
        let expected = match bit / 8 {
            0 => matches!(error, OpenError::Suite { .. }),
            byte if byte < HEAD_BYTES => matches!(error, OpenError::WrongKey { .. }),
            _ => error == OpenError::Altered { number: NUMBER_7 },
        };
        assert!(expected, "bit {bit}: {error:?}");
    }
}

#[test]
fn every_truncation_and_any_longer_record_is_refused() {
    let sealed = sealed(b"plaintext");
    for end in 0..sealed.len() {
        assert!(reopened(&sealed[..end]).is_err(), "{end} bytes");
    }
    assert_eq!(reopened(&[SUITE; 68]).unwrap_err(), OpenError::TooShort { found: 68 });
    let longer = [sealed, vec![0]].concat();
    assert_eq!(reopened(&longer).unwrap_err(), OpenError::Altered { number: NUMBER_7 });
}

#[test]
fn another_key_is_told_from_an_alteration() {
    let error = open(&DataKey::new([0x45; 32]), &place(), &sealed(b"plaintext")).unwrap_err();
    assert_eq!(error, OpenError::WrongKey { number: NUMBER_7 });
}

#[test]
fn another_place_is_refused() {
    let others = [
        Context { cluster: ClusterId([0xC2; 16]), ..place() },
        Context { tenant: TenantNumber(3), ..place() },
        Context { record: b"version 2", ..place() },
        Context { record: b"version 1\0", ..place() },
        Context { record: b"", ..place() },
        Context { field: Field::REPLAY, ..place() },
        Context { schema: 2, ..place() },
    ];
    let sealed = sealed(b"plaintext");
    for other in others {
        let error = open(&DataKey::new([0x44; 32]), &other, &sealed).unwrap_err();
        assert_eq!(error, OpenError::WrongKey { number: NUMBER_7 }, "{other:?}");
    }
}

#[test]
fn another_salt_is_another_ciphertext() {
    let key = DataKey::new([0x44; 32]);
    let (first, second) = (sealed(&[0; 64]), seal(&key, NUMBER_7, &place(), [0x56; 16], &[0; 64]));
    assert_ne!(first[HEAD_BYTES..], second[HEAD_BYTES..]);
    assert_ne!(first[COMMITMENT], second[COMMITMENT]);
}

#[test]
fn the_number_is_read_without_a_key() {
    assert_eq!(ring_number(&sealed(b"")), Ok(NUMBER_7));
    assert_eq!(ring_number(b""), Err(OpenError::TooShort { found: 0 }));
    let error = ring_number(&[2; 100]).unwrap_err();
    assert_eq!(error.to_string(), "suite 2 sealed this record, this build reads suite 1");
}

#[test]
fn the_bytes_of_a_sealed_record_are_a_contract() {
    let expected = concat!(
        "0100000007555555555555555555555555555555550d831ea4cb02a88ac893542d3f7defe5701945186043e2d440fa0d",
        "911ba20c46a45130d004440a5594f2bb1a636c8081cee27607c6e1f47b"
    );
    let hex: String = sealed(b"latchkey").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
}

#[test]
fn key_schedules_and_hash_states_are_zeroed_on_drop() {
    fn zeroed_on_drop<T: zeroize::ZeroizeOnDrop>() {}
    zeroed_on_drop::<Aes256Gcm>();
    // A keyed HMAC, as `Pepper` and `DataKey` hold it, is two of these and nothing else.
    zeroed_on_drop::<Sha256>();
}

proptest! {
    #[test]
    fn what_was_sealed_opens(seed in any::<u64>(), plaintext in prop::collection::vec(any::<u8>(), 0..2_000),
                             record in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut entropy = Seeded(seed);
        let key = DataKey::draw(&mut entropy);
        let context = Context { record: &record, ..place() };
        let sealed = seal(&key, RingNumber(1), &context, draw(&mut entropy), &plaintext);
        prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD_BYTES);
        prop_assert_eq!(&*open(&key, &context, &sealed).unwrap(), &plaintext);
    }

    #[test]
    fn arbitrary_bytes_never_open_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(reopened(&bytes).is_err());
        let mut known_suite = bytes;
        known_suite.insert(0, SUITE);
        prop_assert!(reopened(&known_suite).is_err());
    }
}
