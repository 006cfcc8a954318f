//! Which of a keyspace's formats a row has, and which formats a file would need.

use super::from::Source;
use super::row::{Material, Refused, Row, reason};
use super::shape::{Shape, TEXTS_LOOKED_AT};
use latchkey_wire::pb::v1 as pb;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Formats that a keyspace can have at most.
const FORMATS_MAX: usize = 8;

/// The formats that rows of this import may have.
#[derive(Clone, Debug)]
pub(crate) struct Formats(Vec<pb::ImportFormat>);

impl Formats {
    /// Those of a keyspace whose digest is that of the source; with `only`, the one of that id.
    ///
    /// # Errors
    /// What was expected: there is none.
    pub(crate) fn of(keyspace: &pb::Keyspace, source: Source, only: Option<&str>) -> Result<Self, String> {
        let all = keyspace.import_formats.iter();
        let fitting = all.filter(|format| match only {
            Some(id) => format.id == id,
            None => digest_of(source).is_none_or(|digest| format.digest() == digest),
        });
        let fitting: Vec<_> = fitting.cloned().collect();
        match (fitting.is_empty(), only) {
            (false, _) => Ok(Self(fitting)),
            (true, Some(id)) => Err(format!("the keyspace declares no import format {id}")),
            (true, None) => Err(format!("the keyspace declares no import format for keys of {}", source.word())),
        }
    }

    /// The format of a row: the only one, or the one whose literal beginning is the longest that the row begins with.
    ///
    /// # Errors
    /// [`Refused`]: under that format its text would never be found.
    pub(crate) fn choose(&self, row: &Row) -> Result<&str, Refused> {
        let begins: &str = match &row.material {
            Material::Text(text) => text,
            Material::Digest(_) => &row.start,
        };
        let fits = |format: &&pb::ImportFormat| begins.starts_with(&format.prefix);
        let found = self.0.iter().filter(fits).max_by_key(|format| format.prefix.len());
        match (found, self.0.as_slice()) {
            (Some(format), _) => Ok(&format.id),
            // Nobody says how it begins; there is but one way that it can.
            (None, [only]) if begins.is_empty() => Ok(&only.id),
            _ => Err(Refused {
                line: row.line,
                source_id: row.source_id.clone(),
                field: "start".to_owned(),
                reason: reason::FORMAT_UNKNOWN.to_owned(),
                message: "no import format of the keyspace begins as this key does".to_owned(),
            }),
        }
    }
}

/// What the digests of a source are of; nothing where a mapping says what they are.
pub(crate) const fn digest_of(source: Source) -> Option<pb::ImportDigest> {
    match source {
        Source::Unkey | Source::Aws => Some(pb::ImportDigest::Sha256OfText),
        Source::Prefixed => Some(pb::ImportDigest::Sha256OfLastPart),
        Source::Csv => None,
    }
}

/// What the rows of a file show of their shapes.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The beginnings of rows that come by digest, up to the last `_`, with one `start` that begins so.
    beginnings: BTreeMap<String, String>,
    texts: Vec<Zeroizing<String>>,
}

impl Survey {
    /// Looks at one more row.
    pub(crate) fn look(&mut self, row: &Row) {
        match &row.material {
            Material::Text(text) if self.texts.len() < TEXTS_LOOKED_AT => self.texts.push(text.clone()),
            Material::Digest(_) if self.beginnings.len() <= FORMATS_MAX && !row.start.is_empty() => {
                let prefix = row.start.rfind('_').map_or("", |at| &row.start[..=at]);
                self.beginnings.entry(prefix.to_owned()).or_insert_with(|| row.start.clone());
            }
            _ => {}
        }
    }

    /// The formats to declare, the first with the id `id`, more with a number behind it.
    ///
    /// # Errors
    /// What was expected: the rows do not show it.
    pub(crate) fn formats(&self, source: Source, id: &str) -> Result<Vec<pb::ImportFormat>, String> {
        let unclear = || "the rows do not show what their key texts look like".to_owned();
        let digest = digest_of(source).unwrap_or(pb::ImportDigest::Sha256OfText);
        let by_digest = |(prefix, start): (&String, &String)| match source {
            Source::Unkey => Some(Shape::of_unkey(prefix)),
            Source::Prefixed => Some(Shape::of_prefixed(prefix, &start[prefix.len()..])),
            Source::Aws | Source::Csv => None,
        };
        let texts = self.texts.iter().map(|text| text.as_str());
        let shapes: Vec<Shape> = if self.texts.is_empty() {
            self.beginnings.iter().map(by_digest).collect::<Option<_>>().ok_or_else(unclear)?
        } else {
            vec![Shape::of_texts(texts).ok_or_else(unclear)?]
        };
        match shapes.len() {
            0 => Err(unclear()),
            1..=FORMATS_MAX => {
                Ok(shapes.iter().zip(1..).map(|(shape, number)| shape.format(&numbered(id, number), digest)).collect())
            }
            _ => Err(format!("the keys of this file begin in more than {FORMATS_MAX} ways")),
        }
    }
}

fn numbered(id: &str, number: u32) -> String {
    if number == 1 { id.to_owned() } else { format!("{id}-{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_digest(start: &str) -> Row {
        Row { start: start.to_owned(), ..Row::default() }
    }

    fn by_text(text: &str) -> Row {
        Row { material: Material::Text(text.to_owned().into()), ..Row::default() }
    }

    fn shapes(source: Source, rows: &[Row]) -> Result<Vec<String>, String> {
        let mut survey = Survey::default();
        rows.iter().for_each(|row| survey.look(row));
        let formats = survey.formats(source, "x")?;
        Ok(formats.iter().map(|format| format!("{} {}", format.id, Shape::of_format(format))).collect())
    }

    #[test]
    fn a_row_that_begins_otherwise_is_refused() {
        let format = |id: &str, prefix: &str| Shape::of_unkey(prefix).format(id, pb::ImportDigest::Sha256OfText);
        let keyspace = pb::Keyspace {
            import_formats: vec![format("a", "sk_"), format("b", "sk_live_")],
            ..pb::Keyspace::default()
        };
        let both = Formats::of(&keyspace, Source::Unkey, None).unwrap();
        assert_eq!(both.choose(&by_digest("sk_live_3ZcK")).unwrap(), "b");
        assert_eq!(both.choose(&by_digest("sk_3ZcK")).unwrap(), "a");
        assert_eq!(both.choose(&by_text("sk_live_text")).unwrap(), "b");
        let refused = both.choose(&by_digest("pk_3ZcK")).unwrap_err();
        assert_eq!(refused.reason, "FORMAT_UNKNOWN");
        assert!(both.choose(&by_digest("")).is_err(), "which of the two is it?");
        let one = Formats::of(&keyspace, Source::Unkey, Some("b")).unwrap();
        assert_eq!(one.choose(&by_digest("")).unwrap(), "b");
        assert!(one.choose(&by_digest("sk_3ZcK")).is_err());
        assert!(Formats::of(&keyspace, Source::Unkey, Some("c")).is_err());
        assert!(Formats::of(&keyspace, Source::Prefixed, None).is_err(), "a digest of another thing");
    }

    #[test]
    fn the_formats_of_a_file_are_read_off_its_rows() {
        let rows = [by_digest("sk_live_abcd"), by_digest("sk_test_abcd"), by_digest("sk_live_efgh"), by_digest("")];
        let told = shapes(Source::Unkey, &rows).unwrap();
        assert_eq!(told, ["x sk_live_{base58:17-24}", "x-2 sk_test_{base58:17-24}"]);
        assert_eq!(shapes(Source::Prefixed, &[by_digest("my_BRTRKFsL")]).unwrap(), ["x my_{base58:8}_{base58:24}"]);
        assert_eq!(shapes(Source::Aws, &[by_text("abc"), by_text("abcd")]).unwrap(), ["x {alphanumeric:3-4}"]);
        assert!(shapes(Source::Csv, &[by_digest("a_b")]).is_err());
        assert!(shapes(Source::Unkey, &[]).is_err());
        let many: Vec<Row> = (0..9).map(|number| by_digest(&format!("p{number}_x"))).collect();
        assert!(shapes(Source::Unkey, &many).unwrap_err().contains("more than 8"));
    }
}
