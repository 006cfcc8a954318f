//! What a right answer looks like, read no further than that needs.

/// How an answer begins that says VALID: field 1, a number, 1.
const VALID: [u8; 2] = [0x08, 0x01];

/// Fields with bytes: the only one of a whole, the id of an item, and its answer.
const FIRST: u8 = 0x0A;
const SECOND: u8 = 0x12;

/// Whether a `ValidateKeyResponse` says VALID.
pub(crate) fn is_valid(message: &[u8]) -> bool {
    message.starts_with(&VALID)
}

/// Whether each result of a `BatchValidateKeysResponse` says VALID, of `COUNT` results.
pub(crate) fn are_valid<const COUNT: usize>(message: &[u8]) -> bool {
    let (mut rest, mut count) = (message, 0);
    while let Some((result, behind)) = field(rest, FIRST) {
        if !is_valid_result(result) {
            return false;
        }
        (rest, count) = (behind, count + 1);
    }
    rest.is_empty() && count == COUNT
}

/// Whether a `StreamValidateKeysResponse` says VALID.
pub(crate) fn is_valid_item(message: &[u8]) -> bool {
    field(message, FIRST).is_some_and(|(result, _)| is_valid_result(result))
}

/// Whether it is any answer at all: a refusal has no message.
pub(crate) const fn is_any(_: &[u8]) -> bool {
    true
}

fn is_valid_result(result: &[u8]) -> bool {
    field(result, FIRST).and_then(|(_, rest)| field(rest, SECOND)).is_some_and(|(response, _)| is_valid(response))
}

/// The bytes of the field with `tag` at the beginning, and what follows it.
fn field(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, mut rest) = bytes.split_first()?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        if shift > 28 {
            return None;
        }
    }
    (*found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_wire::pb::v1;
    use latchkey_wire::pb::v1::validate_key_result::Result as Outcome;
    use prost::Message as _;

    fn result(outcome: v1::Outcome) -> v1::ValidateKeyResult {
        let key = "k".repeat(200);
        let response = v1::ValidateKeyResponse { outcome: outcome.into(), key, ..Default::default() };
        v1::ValidateKeyResult { id: "7".to_owned(), result: Some(Outcome::Response(response)) }
    }

    #[test]
    fn one_refusal_among_many_is_seen() {
        let batch = |results| v1::BatchValidateKeysResponse { results }.encode_to_vec();
        let valid = batch(vec![result(v1::Outcome::Valid); 3]);
        assert!(are_valid::<3>(&valid) && !are_valid::<2>(&valid) && !are_valid::<3>(&valid[..valid.len() - 1]));
        let refused = batch(vec![result(v1::Outcome::Valid), result(v1::Outcome::Revoked)]);
        assert!(!are_valid::<2>(&refused));
    }

    #[test]
    fn an_item_and_an_answer_are_seen_as_they_are() {
        let item = |outcome| v1::StreamValidateKeysResponse { result: Some(result(outcome)) }.encode_to_vec();
        assert!(is_valid_item(&item(v1::Outcome::Valid)) && !is_valid_item(&item(v1::Outcome::Expired)));
        let answer = v1::ValidateKeyResponse { outcome: v1::Outcome::Valid.into(), ..Default::default() };
        assert!(is_valid(&answer.encode_to_vec()) && !is_valid(b""));
    }
}
