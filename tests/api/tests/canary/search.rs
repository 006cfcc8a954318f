//! Looking for secrets in bytes, in whatever form somebody may have written them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The bytes by which a form is looked up before it is compared.
const STEM_BYTES: usize = 8;

/// Secrets, and the bytes to look into. Nothing is looked for until [`Search::hits`].
#[derive(Default)]
pub(crate) struct Search {
    /// What is looked for, by name.
    needles: BTreeMap<String, Vec<Vec<u8>>>,
    /// What is looked into.
    places: Vec<(String, Vec<u8>)>,
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The digits of `secret` in base64 that do not depend on what is around it, for each place at which it may begin.
fn base64_forms(secret: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..3).map(|before| {
        let text = base64(&[&[0; 2][..before], secret].concat());
        let (first, end) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
        text.as_bytes()[first..end].to_vec()
    })
}

/// The first two bytes as a number.
fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl Search {
    /// Looks for a secret: as it is, in hexadecimal digits, in base64, and as the digits of its bytes.
    pub(crate) fn secret(&mut self, name: &str, secret: &[u8]) {
        let digits = hexadecimal(secret);
        let listed = format!("{secret:?}");
        let mut forms = vec![secret.to_vec(), digits.to_uppercase().into_bytes(), digits.into_bytes()];
        forms.push(listed.trim_matches(['[', ']']).as_bytes().to_vec());
        forms.extend(base64_forms(secret));
        // 64 URL-safe digits differ where these two occur.
        let url_safe = forms[4..].iter().map(|form| {
            form.iter()
                .map(|digit| {
                    if *digit == b'+' {
                        b'-'
                    } else if *digit == b'/' {
                        b'_'
                    } else {
                        *digit
                    }
                })
                .collect()
        });
        forms.extend(url_safe.collect::<Vec<Vec<u8>>>());
        forms.sort_unstable();
        forms.dedup();
        self.needles.insert(name.to_owned(), forms);
    }

    /// Looks for a secret that is kept as hexadecimal digits: for its bytes, and for its digits as a secret of their own.
    pub(crate) fn hexadecimal(&mut self, name: &str, digits: &str) {
        let bytes: Vec<u8> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        self.secret(name, &bytes);
        self.secret(&format!("{name}, its digits"), digits.as_bytes());
    }

    /// Looks into these.
    pub(crate) fn bytes(&mut self, place: &str, bytes: Vec<u8>) {
        self.places.push((place.to_owned(), bytes));
    }

    /// Looks into every file below, and at its name.
    pub(crate) fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            self.places.push(("a file's name".to_owned(), path.display().to_string().into_bytes()));
            if path.is_dir() {
                self.folder(&path);
            } else {
                self.places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }

    /// How much is looked into.
    pub(crate) fn bytes_searched(&self) -> usize {
        self.places.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Which secret is where. In one pass over the bytes, however many secrets there are.
    pub(crate) fn hits(&self) -> Vec<String> {
        let mut stems: HashMap<[u8; STEM_BYTES], Vec<(&str, &[u8])>> = HashMap::new();
        // Most places are ruled out by their first two bytes, at the cost of one look into a table.
        let mut begins = vec![false; 1 << 16];
        for (name, forms) in &self.needles {
            for form in forms {
                let stem = *form.first_chunk().expect("no form is shorter than a stem");
                begins[pair(form)] = true;
                stems.entry(stem).or_default().push((name, form));
            }
        }
        let mut hits = Vec::new();
        for (place, bytes) in &self.places {
            for at in 0..bytes.len().saturating_sub(STEM_BYTES - 1) {
                if !begins[pair(&bytes[at..])] {
                    continue;
                }
                let stem = bytes[at..].first_chunk::<STEM_BYTES>().expect("there are as many");
                let Some(forms) = stems.get(stem) else { continue };
                let found = forms.iter().filter(|(_, form)| bytes[at..].starts_with(form));
                hits.extend(found.map(|(name, _)| format!("{name} is in {place} at {at}")));
            }
        }
        hits
    }
}
