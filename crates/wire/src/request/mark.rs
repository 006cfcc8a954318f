//! `request_id`: what makes a repeat get the first answer.

use crate::violation::Fields;
use latchkey_state::RequestMark;
use prost::Message;
use sha2::{Digest as _, Sha256};

const UUID_CHARS: usize = 36;
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];

/// Reads a `request_id`. `Some(None)`: there is none.
///
/// `asked` is the request without what a caller may change between two tries: its `request_id`, and how long it waits.
/// Its bytes are deterministic since maps are ordered; `method` keeps two methods apart.
#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn read(
    fields: &mut Fields,
    request_id: &str,
    method: &str,
    asked: &impl Message,
) -> Option<Option<RequestMark>> {
    if request_id.is_empty() {
        return Some(None);
    }
    let Some(id) = uuid(request_id) else {
        fields.refuse("request_id", "must be a UUID, for instance 6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51");
        return None;
    };
    let hash = Sha256::new().chain_update(method).chain_update([0]).chain_update(asked.encode_to_vec()).finalize();
    Some(Some(RequestMark { id, hash: hash.into() }))
}

/// The 16 bytes of a UUID of the form 8-4-4-4-12; the one that is all zero is none.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let chars = text.as_bytes();
    if chars.len() != UUID_CHARS || UUID_DASHES.iter().any(|at| chars[*at] != b'-') {
        return None;
    }
    let mut digits = chars.iter().enumerate().filter(|(at, _)| !UUID_DASHES.contains(at)).map(|(_, digit)| *digit);
    let mut digit = || char::from(digits.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut id = [0; 16];
    for byte in &mut id {
        *byte = digit()? << 4 | digit()?;
    }
    (id != [0; 16]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "1",
            "00000000-0000-0000-0000-000000000000",
            "6f1c6f0e8a534c559c7b9b2b2f0f3a51",
            "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a5g",
            "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a5",
            "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a511",
            "6f1c6f0e-8a53-4c55-9c7b_9b2b2f0f3a51",
            "éf1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a5",
        ] {
            assert_eq!(uuid(text), None, "{text}");
        }
    }

    #[test]
    fn case_does_not_make_another_uuid() {
        let id = uuid("6F1C6F0E-8A53-4C55-9C7B-9B2B2F0F3A51");
        assert_eq!(id, uuid("6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51"));
        assert_eq!(id.unwrap()[..4], [0x6F, 0x1C, 0x6F, 0x0E]);
    }
}
