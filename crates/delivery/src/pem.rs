//! Keys in text, as everybody's tools read and write them: PEM (RFC 7468) around DER.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

/// Characters of a line of PEM.
const LINE_CHARS: usize = 64;

/// Writes DER under a label.
pub(crate) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    // Room for all of it: growing would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(der.len() * 2 + 2 * label.len() + 64));
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE_CHARS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The DER of the first block under a label.
pub(crate) fn read(label: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let mut digits = Zeroizing::new(String::with_capacity(body.len()));
    digits.extend(body.chars().filter(|letter| !letter.is_ascii_whitespace()));
    BASE64_STANDARD.decode(digits.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_not() {
        let der = (0..=255).collect::<Vec<u8>>();
        let text = write("PUBLIC KEY", &der);
        assert!(text.lines().all(|line| line.len() <= LINE_CHARS));
        assert_eq!(**read("PUBLIC KEY", &text).unwrap(), der);
        assert_eq!(**read("PUBLIC KEY", &text.replace('\n', "\r\n")).unwrap(), der);
        for broken in [text.replace("END PUBLIC", "END PRIVATE"), text.replace("AAEC", "A*EC"), String::new()] {
            assert!(read("PUBLIC KEY", &broken).is_none());
        }
    }
}
