//! A SHA-256 as other systems write it: hexadecimal digits, or base64 in either alphabet, padded or not.

/// Bytes of a SHA-256.
const BYTES: usize = 32;

/// Reads one; `None` where it is none.
pub(crate) fn parse(text: &str) -> Option<[u8; BYTES]> {
    if text.len() == 2 * BYTES { hex(text.as_bytes()) } else { base64(text.as_bytes()) }
}

/// In capital or small letters.
pub(crate) fn hex(text: &[u8]) -> Option<[u8; BYTES]> {
    let mut digest = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(digest)
}

/// 43 signs, and one of padding or none (RFC 4648, sections 4 and 5).
pub(crate) fn base64(text: &[u8]) -> Option<[u8; BYTES]> {
    let signs = text.strip_suffix(b"=").unwrap_or(text);
    if signs.len() != 43 {
        return None;
    }
    let (mut digest, mut held, mut bits, mut at) = ([0; BYTES], 0_u32, 0_u32, 0);
    for sign in signs {
        held = held << 6 | value(*sign)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *digest.get_mut(at)? = u8::try_from(held >> bits & 0xff).ok()?;
            at += 1;
        }
    }
    // Bits beyond the last byte are 0: two texts must not be one digest.
    (held & ((1 << bits) - 1) == 0).then_some(digest)
}

fn value(sign: u8) -> Option<u32> {
    Some(u32::from(match sign {
        b'A'..=b'Z' => sign - b'A',
        b'a'..=b'z' => sign - b'a' + 26,
        b'0'..=b'9' => sign - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The SHA-256 of the empty text (FIPS 180-4, test vector of length 0).
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn what_is_no_sha_256_is_none() {
        for text in ["", "47DEQpj8", &HEX[1..], &HEX.replace('e', "g"), &BASE64.replace('4', "!"), &format!("{HEX}00")]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&BASE64.replace("FU=", "FV=")), None, "bits beyond the end");
    }

    #[test]
    fn all_ways_of_writing_are_one_digest() {
        let digest = parse(HEX).unwrap();
        assert_eq!(digest[..3], [0xe3, 0xb0, 0xc4]);
        let others = [HEX.to_uppercase(), BASE64.to_owned(), BASE64.trim_end_matches('=').to_owned()];
        for text in others.into_iter().chain([BASE64.replace('+', "-").replace('/', "_")]) {
            assert_eq!(parse(&text), Some(digest), "{text}");
        }
    }
}
