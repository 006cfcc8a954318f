//! The shape of a foreign key text as people write it: `sk_live_{base58:17-24}`, `mycompany_{base58:8}_{base58:24}`. What
//! stands in braces is a part; everything before the first is there literally, and parts are joined by `_`.

use latchkey_wire::pb::v1 as pb;
use std::fmt;

/// The alphabets, as words and as the API has them.
const ALPHABETS: [(&str, pb::ImportAlphabet); 4] = [
    ("alphanumeric", pb::ImportAlphabet::Alphanumeric),
    ("base58", pb::ImportAlphabet::Base58),
    ("hex", pb::ImportAlphabet::Hex),
    ("base64url", pb::ImportAlphabet::Base64Url),
];

/// Whoever looks at texts looks at so many.
pub(crate) const TEXTS_LOOKED_AT: usize = 1_000;

/// A shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The literal beginning.
    pub(crate) prefix: String,
    parts: Vec<pb::ImportPart>,
}

impl Shape {
    /// Reads one.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            let words: Vec<&str> = ALPHABETS.iter().map(|(word, _)| *word).collect();
            format!("expected a shape such as sk_live_{{base58:17-24}}, of {}", words.join(", "))
        };
        let at = text.find('{').ok_or_else(expected)?;
        let (prefix, parts) = text.split_at(at);
        let parts = parts.split('_').map(|part| {
            let inner = part.strip_prefix('{')?.strip_suffix('}')?;
            let (word, lengths) = inner.split_once(':')?;
            let (_, alphabet) = ALPHABETS.iter().find(|(name, _)| *name == word)?;
            let (least, most) = lengths.split_once('-').unwrap_or((lengths, lengths));
            let (least, most) = (least.parse::<u32>().ok()?, most.parse::<u32>().ok()?);
            (0 < least && least <= most).then(|| part_of(*alphabet, least, most))
        });
        let parts: Option<Vec<_>> = parts.collect();
        Ok(Self { prefix: prefix.to_owned(), parts: parts.filter(|parts| !parts.is_empty()).ok_or_else(expected)? })
    }

    /// What Unkey makes: base58 of 16 bytes with or without two before them; fewer than 17 signs come of luck that nobody has.
    pub(crate) fn of_unkey(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), parts: vec![part_of(pb::ImportAlphabet::Base58, 17, 24)] }
    }

    /// What prefixed-api-key makes, with a short part as long as this one.
    pub(crate) fn of_prefixed(prefix: &str, short: &str) -> Self {
        let length = u32::try_from(short.len()).unwrap_or(u32::MAX);
        let parts = vec![part_of(alphabet_of(short), length, length), part_of(pb::ImportAlphabet::Base58, 24, 24)];
        Self { prefix: prefix.to_owned(), parts }
    }

    /// What all these texts have: one part, behind what all begin with up to a `_`. `None` where no alphabet fits.
    pub(crate) fn of_texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let first = texts.clone().next()?;
        let common = texts.clone().fold(first.len(), |length, text| {
            length.min(first.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count())
        });
        let prefix = first.get(..common)?.rfind('_').map_or("", |at| &first[..=at]);
        let tails = texts.map(|text| &text[prefix.len()..]);
        let least = tails.clone().map(str::len).min()?;
        let most = tails.clone().map(str::len).max()?;
        let all = tails.clone().flat_map(str::chars);
        let fits = |alphabet: &pb::ImportAlphabet| all.clone().all(|sign| holds(*alphabet, sign));
        // The widest but one: what more texts may bring is not to be refused for a sign that these have not.
        let alphabet = [pb::ImportAlphabet::Alphanumeric, pb::ImportAlphabet::Base64Url].into_iter().find(fits)?;
        let (least, most) = (u32::try_from(least).ok()?, u32::try_from(most).ok()?);
        Some(Self { prefix: prefix.to_owned(), parts: vec![part_of(alphabet, least, most)] })
    }

    /// The format of a keyspace with this shape.
    pub(crate) fn format(&self, id: &str, digest: pb::ImportDigest) -> pb::ImportFormat {
        let (prefix, parts) = (self.prefix.clone(), self.parts.clone());
        pb::ImportFormat { id: id.to_owned(), digest: digest.into(), prefix, parts }
    }

    /// Of a format that a keyspace has.
    pub(crate) fn of_format(format: &pb::ImportFormat) -> Self {
        Self { prefix: format.prefix.clone(), parts: format.parts.clone() }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)?;
        for (index, part) in self.parts.iter().enumerate() {
            let word =
                ALPHABETS.iter().find(|(_, alphabet)| *alphabet == part.alphabet()).map_or("?", |(word, _)| word);
            let (least, most) = (part.length_min, part.length_max);
            let joint = if index > 0 { "_" } else { "" };
            match least == most {
                true => write!(f, "{joint}{{{word}:{least}}}")?,
                false => write!(f, "{joint}{{{word}:{least}-{most}}}")?,
            }
        }
        Ok(())
    }
}

fn part_of(alphabet: pb::ImportAlphabet, length_min: u32, length_max: u32) -> pb::ImportPart {
    pb::ImportPart { alphabet: alphabet.into(), length_min, length_max }
}

/// The narrower of the two that short parts are made of.
fn alphabet_of(text: &str) -> pb::ImportAlphabet {
    let base58 = text.chars().all(|sign| holds(pb::ImportAlphabet::Base58, sign));
    if base58 { pb::ImportAlphabet::Base58 } else { pb::ImportAlphabet::Alphanumeric }
}

fn holds(alphabet: pb::ImportAlphabet, sign: char) -> bool {
    match alphabet {
        pb::ImportAlphabet::Base58 => sign.is_ascii_alphanumeric() && !matches!(sign, '0' | 'O' | 'I' | 'l'),
        pb::ImportAlphabet::Hex => matches!(sign, '0'..='9' | 'a'..='f'),
        pb::ImportAlphabet::Base64Url => sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_'),
        pb::ImportAlphabet::Alphanumeric | pb::ImportAlphabet::Unspecified => sign.is_ascii_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_shape_is_refused() {
        for text in [
            "",
            "sk_live_",
            "{}",
            "{base58}",
            "{base58:}",
            "{base59:8}",
            "{hex:9-8}",
            "{hex:0}",
            "{hex:8}x",
            "{hex:8}{hex:8}",
        ] {
            assert!(Shape::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_shape_is_written_as_it_is_read() {
        for text in
            ["sk_live_{base58:17-24}", "mycompany_{base58:8}_{base58:24}", "{alphanumeric:20-128}", "a{base64url:43}"]
        {
            let shape = Shape::parse(text).unwrap();
            assert_eq!(shape.to_string(), text);
            assert_eq!(Shape::of_format(&shape.format("x", pb::ImportDigest::Sha256OfText)), shape);
        }
        assert_eq!(Shape::of_prefixed("my_", "BRTRKFs0").to_string(), "my_{alphanumeric:8}_{base58:24}");
    }

    #[test]
    fn the_shape_of_texts_is_what_they_share() {
        let of = |texts: &[&str]| Shape::of_texts(texts.iter().copied()).map(|shape| shape.to_string());
        assert_eq!(of(&["sk_live_abc", "sk_live_abde"]).unwrap(), "sk_live_{alphanumeric:3-4}");
        assert_eq!(of(&["sk_a-c", "sk_abd"]).unwrap(), "sk_{base64url:3}");
        assert_eq!(of(&["abc", "abd"]).unwrap(), "{alphanumeric:3}");
        assert_eq!(of(&["a b"]), None);
        assert_eq!(of(&[]), None);
    }
}
