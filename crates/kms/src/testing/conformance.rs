//! What every [`Kms`] does, whoever holds the KEK.
use crate::{BoxFuture, Kms, KmsError};
use latchkey_crypto::DataKey;
use latchkey_domain::KekId;
use std::task::{Context, Poll, Waker};

/// Runs the suite on one KMS and another with another KEK. Both must answer without waiting.
///
/// # Panics
/// Where the KMS does not conform, with the sentence that it breaks.
pub fn suite(kms: &dyn Kms, other: &dyn Kms) {
    let key = DataKey::new([0x77; 32]);
    let wrapped = now(kms.wrap(b"purpose", &key)).expect("a key is wrapped");
    let unwrap = |kms: &dyn Kms, context: &[u8], wrapped: &[u8]| now(kms.unwrap(context, wrapped));

    let unwrapped = unwrap(kms, b"purpose", wrapped.as_bytes()).expect("what was wrapped unwraps");
    assert_eq!(unwrapped.expose(), key.expose(), "the key comes back as it was");

    let error = unwrap(other, b"purpose", wrapped.as_bytes()).expect_err("another KEK does not unwrap");
    assert_eq!(error, KmsError::WrongKey, "another KEK is named as such");

    let error = unwrap(kms, b"purpose 2", wrapped.as_bytes()).expect_err("another context does not unwrap");
    assert_eq!(error, KmsError::WrongKey, "another context is named as such");

    let again = now(kms.wrap(b"purpose", &key)).expect("a key is wrapped twice");
    assert_ne!(wrapped, again, "wrapping twice does not show that the key is the same");

    for end in [0, 1, wrapped.as_bytes().len() / 2, wrapped.as_bytes().len() - 1] {
        let cut = &wrapped.as_bytes()[..end];
        assert!(unwrap(kms, b"purpose", cut).is_err(), "a wrapped key cut at {end} does not unwrap");
    }
    for place in 0..wrapped.as_bytes().len() {
        let mut altered = wrapped.as_bytes().to_vec();
        altered[place] ^= 1;
        let error = unwrap(kms, b"purpose", &altered).expect_err("an altered wrapped key does not unwrap");
        assert!(!error.is_retryable(), "an altered wrapped key is not tried again");
    }
    let shown = wrapped.as_bytes().windows(32).any(|window| window == key.expose());
    assert!(!shown, "a wrapped key does not show the key");
    assert!(!kms.name().is_empty(), "a KMS has a name");

    let first = *kms.keks().first().expect("a KMS that wraps has a KEK");
    assert_eq!(wrapped.kek(), first, "the first KEK wraps");
    assert_eq!(now(kms.identify(b"purpose", wrapped.as_bytes())), Ok(first), "a KMS tells which KEK wrapped a key");
    assert_eq!(
        now(other.identify(b"purpose", wrapped.as_bytes())),
        Err(KmsError::WrongKey),
        "what another KEK wrapped is taken for no KEK's"
    );
    let absent = KekId(first.0.map(|byte| !byte));
    let error = now(kms.wrap_under(absent, b"purpose", &key)).expect_err("a KEK that is not at hand does not wrap");
    assert_eq!(error, KmsError::WrongKey, "a KEK that is not at hand is named as such");
    assert!(other.keks().iter().all(|kek| !kms.keks().contains(kek)), "another KEK has another id");
}

/// Runs the suite on the three settings of a change of KEK: the one before, both with the new one first, the one after.
///
/// # Panics
/// As [`suite`].
pub fn change(before: &dyn Kms, both: &dyn Kms, after: &dyn Kms) {
    suite(both, &super::SwitchableKms::new([0xEE; 32]));
    let key = DataKey::new([0x55; 32]);
    let ids = |kms: &dyn Kms| kms.keks();
    assert_eq!(ids(both), [ids(after), ids(before)].concat(), "the new one comes first, and wraps");

    let old = now(before.wrap(b"purpose", &key)).expect("a key is wrapped");
    assert_eq!(
        now(both.unwrap(b"purpose", old.as_bytes())).expect("what was wrapped before unwraps").expose(),
        &[0x55; 32]
    );
    assert_eq!(now(both.identify(b"purpose", old.as_bytes())), Ok(ids(before)[0]), "the older KEK is told");
    let again = now(both.wrap_under(ids(before)[0], b"purpose", &key)).expect("the older KEK still wraps where asked");
    assert!(now(before.unwrap(b"purpose", again.as_bytes())).is_ok(), "who has only the older one is not locked out");
    assert_eq!(again.kek(), ids(before)[0], "it is told under which KEK a key was wrapped");

    let new = now(both.wrap(b"purpose", &key)).expect("a key is wrapped");
    assert!(now(after.unwrap(b"purpose", new.as_bytes())).is_ok(), "what is wrapped now needs the older KEK no more");
    let error = now(after.unwrap(b"purpose", old.as_bytes())).expect_err("what the older KEK wrapped needs it");
    assert_eq!(error, KmsError::WrongKey, "the older KEK is missed as such");
}

/// The answer of a KMS that answers without waiting.
///
/// # Panics
/// Where it would wait.
pub fn now<T>(mut answer: BoxFuture<'_, T>) -> T {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the KMS answers without waiting"),
    }
}
