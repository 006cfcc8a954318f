//! What every [`Kms`] does, whoever holds the KEK.
use crate::{BoxFuture, Kms, KmsError};
use latchkey_crypto::DataKey;
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
