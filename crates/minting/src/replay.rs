//! The box that lets a repeat of a request show the same key texts: sealed under an hourly key, opened by nobody after
//! that key is gone.
//!
//! ```text
//! plaintext = format (1) || { length (1) || key text } ...
//! ```

use crate::Numbered;
use crate::contexts::ReplayPlace;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use latchkey_crypto::envelope::{self, OpenError, SALT_BYTES};
use latchkey_crypto::{DataKey, Entropy, KEY_TEXT_CHARS_MAX, KeyText, compose, draw, parse};
use latchkey_domain::Prefix;
use zeroize::Zeroizing;

/// The format of the plaintext.
const FORMAT: u8 = 1;

const _: () = assert!(KEY_TEXT_CHARS_MAX <= u8::MAX as usize, "one byte says the length of a key text");

/// Seals the key texts of one request, in its order.
pub fn seal(
    key: Numbered<&DataKey>,
    place: &ReplayPlace,
    texts: &[KeyText],
    entropy: &mut (impl Entropy + ?Sized),
) -> Box<[u8]> {
    // The capacity is exact, so that no half-grown copy of the texts is left behind.
    let bytes = 1 + texts.iter().map(|text| 1 + text.expose().len()).sum::<usize>();
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes));
    plaintext.push(FORMAT);
    for text in texts {
        plaintext.push(u8::try_from(text.expose().len()).expect("KEY_TEXT_CHARS_MAX fits a byte"));
        plaintext.extend_from_slice(text.expose().as_bytes());
    }
    let salt = draw::<SALT_BYTES>(entropy);
    envelope::seal(key.key, key.number, &place.context(), salt, &plaintext).into_boxed_slice()
}

/// Opens what [`seal`] made. `key` is the one that `envelope::ring_number` names.
///
/// # Errors
/// [`ReplayError`]; trying again does not help.
pub fn open(key: &DataKey, place: &ReplayPlace, sealed: &[u8]) -> Result<Vec<KeyText>, ReplayError> {
    let plaintext = envelope::open(key, &place.context(), sealed).map_err(ReplayError::Open)?;
    let (format, mut rest) = plaintext.split_first().ok_or(ReplayError::Malformed)?;
    if *format != FORMAT {
        return Err(ReplayError::Format { found: *format });
    }
    let mut texts = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (text, after) = after.split_at_checked(usize::from(*length)).ok_or(ReplayError::Malformed)?;
        texts.push(read(text).ok_or(ReplayError::Malformed)?);
        rest = after;
    }
    Ok(texts)
}

/// Only what is a key text leaves the box, so that a mistake in it is never shown as one.
fn read(text: &[u8]) -> Option<KeyText> {
    let presented = parse(core::str::from_utf8(text).ok()?)?;
    Some(compose(&Prefix::parse(presented.prefix).ok()?, presented.version, &presented.secret))
}

/// Why a replay box does not give its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// It does not open.
    Open(OpenError),
    /// A newer build wrote it.
    Format {
        /// The format found.
        found: u8,
    },
    /// What it holds is no list of key texts.
    Malformed,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("the replay box does not open"),
            Self::Format { found } => write!(f, "the replay box has format {found}, this build reads format {FORMAT}"),
            Self::Malformed => f.write_str("the replay box holds no list of key texts"),
        }
    }
}

impl core::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::Format { .. } | Self::Malformed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Seeded, hex};
    use latchkey_crypto::{Secret, draw_version_id};
    use latchkey_domain::{ClusterId, IdentityName, RingNumber, Slug};
    use proptest::prelude::*;

    fn place(request_id: u8) -> ReplayPlace {
        let identity = IdentityName::new(Slug::parse("acme").unwrap(), Slug::parse("deploy").unwrap());
        ReplayPlace::new(ClusterId([0xC1; 16]), &identity, &[request_id; 16])
    }

    fn texts(count: usize, entropy: &mut Seeded) -> Vec<KeyText> {
        let prefix = Prefix::parse("acme_live").unwrap();
        (0..count).map(|_| compose(&prefix, draw_version_id(entropy), &Secret::draw(entropy))).collect()
    }

    fn shown(texts: &[KeyText]) -> Vec<&str> {
        texts.iter().map(KeyText::expose).collect()
    }

    proptest! {
        #[test]
        fn a_box_gives_back_its_texts_in_order_and_to_nobody_else(seed: u64, count in 0_usize..50) {
            let mut entropy = Seeded(seed);
            let (key, texts) = (DataKey::draw(&mut entropy), texts(count, &mut entropy));
            let sealed = seal(Numbered::new(RingNumber(3), &key), &place(1), &texts, &mut entropy);
            let opened = open(&key, &place(1), &sealed).unwrap();
            prop_assert_eq!(shown(&opened), shown(&texts));
            let denied = ReplayError::Open(OpenError::WrongKey { number: RingNumber(3) });
            prop_assert_eq!(open(&key, &place(2), &sealed).unwrap_err(), denied);
            prop_assert_eq!(open(&DataKey::draw(&mut entropy), &place(1), &sealed).unwrap_err(), denied);
        }

        #[test]
        fn what_is_no_list_of_key_texts_is_refused_without_a_panic(plaintext: Vec<u8>) {
            let key = DataKey::new([1; 32]);
            let sealed = envelope::seal(&key, RingNumber(3), &place(1).context(), [0; 16], &plaintext);
            prop_assert_eq!(open(&key, &place(1), &sealed).is_ok(), plaintext == [FORMAT]);
        }
    }

    #[test]
    fn the_bytes_of_a_box_are_a_contract() {
        let mut entropy = Seeded(7);
        let texts = texts(1, &mut entropy);
        let sealed = seal(Numbered::new(RingNumber(3), &DataKey::new([0x33; 32])), &place(9), &texts, &mut entropy);
        assert_eq!(hex(&sealed), GOLDEN);
    }

    const GOLDEN: &str = concat!(
        "01000000031a82e79b05b5faebf5ba4eb728dd632cda1e6d260ef0905af34a6655c361a1ecfb6f6bd4fb9e7d94c2e7bd",
        "569e2f946b0e17a8b5d1f9c13d99b0f3d6fe19691b858a78e6f4a482d0aef716008a32e3c6901ba08f35306b11b5ce00",
        "d27695ed45d5753d77e5b3c279f769897854c96ad0aa80ffe39813f8b63834255ab24b1e957b6534",
    );
}
