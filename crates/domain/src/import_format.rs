//! The forms of key texts that other systems made.

use crate::environment::{EnvironmentError, check_word};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::iter;

/// Formats of one keyspace.
pub const IMPORT_FORMATS_MAX: usize = 8;

/// Parts of one format.
pub const IMPORT_PARTS_MAX: usize = 4;

/// Characters of one part.
pub const IMPORT_PART_CHARS_MAX: u8 = 128;

/// Characters of the prefix of a format.
pub const IMPORT_PREFIX_CHARS_MAX: usize = 32;

/// What the hashed part of a text holds at least, in bits: the digest of something that can be guessed is a way in.
pub const IMPORT_BITS_MIN: u32 = 96;

/// What is shown of a text leaves at least so many bits of it hidden.
pub const IMPORT_HIDDEN_BITS_MIN: u32 = 64;

/// What stands between two parts.
const SEPARATOR: u8 = b'_';

/// What a keyspace calls a format: `[a-z][a-z0-9-]{0,31}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportFormatId(Box<str>);

impl ImportFormatId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`EnvironmentError`], whose grammar it shares, tells the first byte that breaks it.
    pub fn parse(text: &str) -> Result<Self, EnvironmentError> {
        check_word(text)?;
        Ok(Self(text.into()))
    }

    /// The text, as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImportFormatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ImportFormatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImportFormatId({})", self.0)
    }
}

/// Which digest of its key texts another system keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImportDigest {
    /// SHA-256 of the whole text.
    Sha256OfText,
    /// SHA-256 of the last part.
    Sha256OfLastPart,
}

impl ImportDigest {
    /// Every digest.
    pub const ALL: [Self; 2] = [Self::Sha256OfText, Self::Sha256OfLastPart];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256OfText => "SHA256_OF_TEXT",
            Self::Sha256OfLastPart => "SHA256_OF_LAST_PART",
        }
    }
}

/// The characters of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImportAlphabet {
    /// Digits and letters.
    Alphanumeric,
    /// Digits and letters without `0`, `O`, `I` and `l`, as Bitcoin has it.
    Base58,
    /// `0-9a-f`.
    Hex,
    /// Digits, letters, `_` and `-`. It holds the separator, so it is the last part's alone.
    Base64Url,
}

impl ImportAlphabet {
    /// Every alphabet.
    pub const ALL: [Self; 4] = [Self::Alphanumeric, Self::Base58, Self::Hex, Self::Base64Url];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alphanumeric => "ALPHANUMERIC",
            Self::Base58 => "BASE58",
            Self::Hex => "HEX",
            Self::Base64Url => "BASE64_URL",
        }
    }

    /// Whether the byte is one of its characters.
    #[must_use]
    pub const fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Base58 => byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l'),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
        }
    }

    /// What one character holds, in hundredths of a bit, rounded down: the logarithm of 62, 58, 16 and 64.
    const fn centibits(self) -> u32 {
        match self {
            Self::Alphanumeric => 595,
            Self::Base58 => 585,
            Self::Hex => 400,
            Self::Base64Url => 600,
        }
    }
}

/// One part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImportPart {
    /// Which characters it has.
    pub alphabet: ImportAlphabet,
    /// How many at least; not 0.
    pub length_min: u8,
    /// How many at most.
    pub length_max: u8,
}

impl ImportPart {
    fn fits(&self, bytes: &[u8]) -> bool {
        (usize::from(self.length_min)..=usize::from(self.length_max)).contains(&bytes.len())
            && bytes.iter().all(|byte| self.alphabet.has(*byte))
    }

    const fn centibits_min(&self) -> u32 {
        self.length_min as u32 * self.alphabet.centibits()
    }
}

/// The form of the key texts of another system: a prefix, then parts with `_` between.
///
/// A text has it in one way only: no part but the last holds a `_`, so it is cut from the left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImportFormat {
    id: ImportFormatId,
    digest: ImportDigest,
    prefix: Box<str>,
    parts: Box<[ImportPart]>,
}

/// Why a format is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormatError {
    /// The prefix is too long or has another character than `0-9A-Za-z_-`.
    Prefix,
    /// There are no parts, or too many.
    Parts,
    /// The lengths of this part are not 1 to 128, the smaller first.
    Lengths(usize),
    /// This part holds the separator and is not the last.
    Separator(usize),
    /// The part that is hashed holds so many bits at its shortest.
    Bits(u32),
    /// What stands before the last part, and is kept to be compared, is too long.
    Head,
}

/// A text that has the form of a format.
#[derive(Clone, Copy)]
pub struct Shaped<'a> {
    text: &'a str,
    last: usize,
}

impl<'a> Shaped<'a> {
    /// What the other system hashed.
    #[must_use]
    pub fn hashed(&self, digest: ImportDigest) -> &'a str {
        match digest {
            ImportDigest::Sha256OfText => self.text,
            ImportDigest::Sha256OfLastPart => &self.text[self.last..],
        }
    }

    /// All before the last part, without the separator between.
    #[must_use]
    pub fn head(&self) -> &'a str {
        let head = &self.text[..self.last];
        head.strip_suffix(char::from(SEPARATOR)).unwrap_or(head)
    }
}

/// A text is never printed.
impl fmt::Debug for Shaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shaped({} characters)", self.text.len())
    }
}

impl ImportFormat {
    /// A format.
    ///
    /// # Errors
    /// [`ImportFormatError`]: the first thing that is wrong with it.
    pub fn new(
        id: ImportFormatId,
        digest: ImportDigest,
        prefix: &str,
        parts: Vec<ImportPart>,
    ) -> Result<Self, ImportFormatError> {
        let of_prefix = |byte| ImportAlphabet::Base64Url.has(byte);
        if prefix.len() > IMPORT_PREFIX_CHARS_MAX || !prefix.bytes().all(of_prefix) {
            return Err(ImportFormatError::Prefix);
        }
        let Some(last) = parts.len().checked_sub(1).filter(|last| *last < IMPORT_PARTS_MAX) else {
            return Err(ImportFormatError::Parts);
        };
        for (at, part) in parts.iter().enumerate() {
            if part.length_min == 0 || part.length_min > part.length_max || part.length_max > IMPORT_PART_CHARS_MAX {
                return Err(ImportFormatError::Lengths(at));
            }
            if at != last && part.alphabet.has(SEPARATOR) {
                return Err(ImportFormatError::Separator(at));
            }
        }
        let format = Self { id, digest, prefix: prefix.into(), parts: parts.into() };
        let bits = format.centibits_hashed() / 100;
        if bits < IMPORT_BITS_MIN {
            return Err(ImportFormatError::Bits(bits));
        }
        let heads = format.parts[..last].iter().map(|part| usize::from(part.length_max) + 1);
        if format.compares_start() && format.prefix.len() + heads.sum::<usize>() - 1 > ImportStart::CHARS_MAX {
            return Err(ImportFormatError::Head);
        }
        Ok(format)
    }

    /// What the keyspace calls it.
    #[must_use]
    pub const fn id(&self) -> &ImportFormatId {
        &self.id
    }

    /// Which digest of a text is kept.
    #[must_use]
    pub const fn digest(&self) -> ImportDigest {
        self.digest
    }

    /// What each text begins with; may be empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Its parts; at least one.
    #[must_use]
    pub fn parts(&self) -> &[ImportPart] {
        &self.parts
    }

    /// Whether the digest says nothing of what stands before the last part, and part of that differs from key to key: then
    /// it is kept and compared at each validation.
    #[must_use]
    pub fn compares_start(&self) -> bool {
        self.digest == ImportDigest::Sha256OfLastPart && self.parts.len() > 1
    }

    /// The text, where it has exactly this form.
    #[must_use]
    pub fn shape<'a>(&self, text: &'a str) -> Option<Shaped<'a>> {
        let (last_part, before) = self.parts.split_last()?;
        let rest = text.strip_prefix(&*self.prefix)?.as_bytes();
        let rest = self.skip(before, rest)?;
        last_part.fits(rest).then_some(Shaped { text, last: text.len() - rest.len() })
    }

    /// Whether texts of this format can begin so, and enough of them stays hidden.
    #[must_use]
    pub fn may_begin_with(&self, start: &ImportStart) -> bool {
        let start = start.as_str();
        if self.compares_start() {
            return self.is_head(start);
        }
        if start.len() <= self.prefix.len() {
            return self.prefix.starts_with(start);
        }
        let shown = u32::try_from(start.len() - self.prefix.len()).unwrap_or(u32::MAX);
        let shown = shown.saturating_mul(ImportAlphabet::Base64Url.centibits());
        start.starts_with(&*self.prefix)
            && self.centibits_hashed().saturating_sub(shown) >= IMPORT_HIDDEN_BITS_MIN * 100
    }

    /// Whether this is all that a text has before its last part.
    fn is_head(&self, start: &str) -> bool {
        let Some((_, before)) = self.parts.split_last() else { return false };
        let Some(rest) = start.strip_prefix(&*self.prefix) else { return false };
        let mut parts = rest.as_bytes().split(|byte| *byte == SEPARATOR);
        before.iter().all(|part| parts.next().is_some_and(|bytes| part.fits(bytes))) && parts.next().is_none()
    }

    /// What is left of `rest` behind these parts and the separators after each.
    fn skip<'a>(&self, parts: &[ImportPart], mut rest: &'a [u8]) -> Option<&'a [u8]> {
        for part in parts {
            let end = rest.iter().position(|byte| *byte == SEPARATOR)?;
            if !part.fits(&rest[..end]) {
                return None;
            }
            rest = &rest[end + 1..];
        }
        Some(rest)
    }

    fn centibits_hashed(&self) -> u32 {
        let (last, before) = self.parts.split_last().expect("a format has at least one part");
        let before = match self.digest {
            ImportDigest::Sha256OfText => before,
            ImportDigest::Sha256OfLastPart => &[],
        };
        before.iter().chain(iter::once(last)).map(ImportPart::centibits_min).sum()
    }
}

/// Its id, its digest and the form of a text, for people: `unkey SHA256_OF_TEXT unkey_BASE58[22-24]`.
impl fmt::Display for ImportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id, self.digest.as_str(), self.prefix)?;
        for (at, part) in self.parts.iter().enumerate() {
            let separator = if at > 0 { "_" } else { "" };
            write!(f, "{separator}{}[{}-{}]", part.alphabet.as_str(), part.length_min, part.length_max)?;
        }
        Ok(())
    }
}

impl fmt::Display for ImportFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => write!(f, "the prefix has at most {IMPORT_PREFIX_CHARS_MAX} characters of `0-9A-Za-z_-`"),
            Self::Parts => write!(f, "1 to {IMPORT_PARTS_MAX} parts are allowed"),
            Self::Lengths(at) => {
                write!(f, "part {at} has 1 to {IMPORT_PART_CHARS_MAX} characters, and `length_min` is not the larger")
            }
            Self::Separator(at) => write!(f, "part {at} may hold a `_`, which only the last part may"),
            Self::Bits(bits) => {
                write!(f, "what is hashed holds {bits} bits at its shortest, and at least {IMPORT_BITS_MIN} are needed")
            }
            Self::Head => {
                write!(f, "what stands before the last part has at most {} characters", ImportStart::CHARS_MAX)
            }
        }
    }
}

impl core::error::Error for ImportFormatError {}

/// The first characters of a key text, as another system shows them: up to 32 printable ASCII characters.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ImportStart(Box<str>);

impl ImportStart {
    /// Longest start.
    pub const CHARS_MAX: usize = 32;

    /// Reads a start; nothing where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= Self::CHARS_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.into()))
    }

    /// The text, as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ImportStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImportStart({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ImportAlphabet::{Alphanumeric, Base58, Base64Url, Hex};
    use ImportDigest::{Sha256OfLastPart, Sha256OfText};

    fn part(alphabet: ImportAlphabet, length_min: u8, length_max: u8) -> ImportPart {
        ImportPart { alphabet, length_min, length_max }
    }

    fn format(digest: ImportDigest, prefix: &str, parts: &[ImportPart]) -> Result<ImportFormat, ImportFormatError> {
        ImportFormat::new(ImportFormatId::parse("f").unwrap(), digest, prefix, parts.to_vec())
    }

    fn prefixed() -> ImportFormat {
        format(Sha256OfLastPart, "mycompany_", &[part(Base58, 8, 8), part(Base58, 20, 24)]).unwrap()
    }

    #[test]
    fn a_text_is_cut_in_one_way_only() {
        let format = prefixed();
        let shaped = format.shape("mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG").unwrap();
        assert_eq!(shaped.hashed(Sha256OfLastPart), "51FwqftsmMDHHbJAMEXXHCgG");
        assert_eq!(shaped.head(), "mycompany_BRTRKFsL");
        assert_eq!(shaped.hashed(Sha256OfText).len(), 43);
        for other in [
            "mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgGx",
            "mycompany_BRTRKFsL_51FwqftsmMDHHbJAM0XXHCgG",
            "mycompany_BRTRKFs_51FwqftsmMDHHbJAMEXXHCgG",
            "mycompany_BRTRKFsL51FwqftsmMDHHbJAMEXXHCgG",
            "mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG_",
            "yourcompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCg",
            " mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG",
            "mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgé",
            "",
        ] {
            assert!(format.shape(other).is_none(), "{other}");
        }
        let last = self::format(Sha256OfLastPart, "", &[part(Hex, 4, 4), part(Base64Url, 20, 40)]).unwrap();
        assert_eq!(last.shape("00ff_a_b_c_d_e_f-g_h_i_j_k").unwrap().hashed(Sha256OfLastPart), "a_b_c_d_e_f-g_h_i_j_k");
    }

    #[test]
    fn a_format_whose_hashed_part_can_be_guessed_is_none() {
        for (alphabet, enough) in [(Alphanumeric, 17), (Base58, 17), (Hex, 24), (Base64Url, 16)] {
            assert!(format(Sha256OfText, "", &[part(alphabet, enough, 64)]).is_ok(), "{alphabet:?}");
            let short = format(Sha256OfText, "", &[part(alphabet, enough - 1, 64)]);
            assert!(matches!(short, Err(ImportFormatError::Bits(90..96))), "{alphabet:?} {short:?}");
        }
        let halves = [part(Base58, 9, 9), part(Base58, 9, 9)];
        assert!(format(Sha256OfText, "x_", &halves).is_ok());
        assert_eq!(format(Sha256OfLastPart, "x_", &halves), Err(ImportFormatError::Bits(52)));
    }

    #[test]
    fn each_bound_of_a_format_is_told() {
        let good = part(Base58, 22, 22);
        for (prefix, parts, error) in [
            ("a b", vec![good], ImportFormatError::Prefix),
            (&"x".repeat(33), vec![good], ImportFormatError::Prefix),
            ("", vec![], ImportFormatError::Parts),
            ("", vec![good; 5], ImportFormatError::Parts),
            ("", vec![good, part(Hex, 0, 9)], ImportFormatError::Lengths(1)),
            ("", vec![part(Hex, 9, 8)], ImportFormatError::Lengths(0)),
            ("", vec![part(Hex, 9, 129)], ImportFormatError::Lengths(0)),
            ("", vec![part(Base64Url, 9, 9), good], ImportFormatError::Separator(0)),
            ("", vec![part(Hex, 33, 33), good], ImportFormatError::Head),
        ] {
            assert_eq!(format(Sha256OfLastPart, prefix, &parts).unwrap_err(), error);
        }
        assert!(format(Sha256OfLastPart, "", &[part(Hex, 32, 32), good]).is_ok());
    }

    #[test]
    fn what_is_shown_of_a_text_fits_it_and_leaves_enough_hidden() {
        let unkey = format(Sha256OfText, "unkey_live_", &[part(Base58, 22, 24)]).unwrap();
        let may = |format: &ImportFormat, text: &str| format.may_begin_with(&ImportStart::parse(text).unwrap());
        for fits in ["", "unkey", "unkey_live_", "unkey_live_3ZZ7", "unkey_live_3ZZ7aaaaaa"] {
            assert!(may(&unkey, fits), "{fits}");
        }
        for other in ["3ZZ7", "unkey_dead_", "unkey_live_3ZZ7aaaaaaa"] {
            assert!(!may(&unkey, other), "{other}");
        }
        assert!(may(&prefixed(), "mycompany_BRTRKFsL"));
        for other in ["", "mycompany_", "mycompany_BRTRKFs", "mycompany_BRTRKFsL_", "mycompany_BRTRKFsL_5"] {
            assert!(!may(&prefixed(), other), "{other}");
        }
        assert!(ImportStart::parse("a b").is_none() && ImportStart::parse(&"x".repeat(33)).is_none());
    }

    #[test]
    fn a_format_is_printed_with_all_that_it_says() {
        assert_eq!(prefixed().to_string(), "f SHA256_OF_LAST_PART mycompany_BASE58[8-8]_BASE58[20-24]");
    }

    #[test]
    fn a_text_is_never_printed() {
        let text = "mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG";
        assert_eq!(format!("{:?}", prefixed().shape(text).unwrap()), "Shaped(43 characters)");
    }
}
