//! Rows in batches, as the service takes them.

use super::row::{Material, Refused, Row};
use latchkey_wire::pb::v1 as pb;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Rows of a batch at most: what the service takes.
pub(crate) const ROWS_MAX: usize = 1_000;

/// Bytes of a batch at most: the service takes 1 MiB with what is around the rows.
const BYTES_MAX: usize = 960 << 10;

/// Refusals that are found here, in a batch without good rows, before the batch ends all the same.
pub(super) const REFUSED_MAX: usize = 10_000;

/// Domain of the request ids, so that no other SHA-256 is taken for one.
const DOMAIN: &[u8] = b"latchkey import batch 2";

/// A stretch of the file: rows that go to the service, and rows that do not.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// What goes out.
    pub(crate) keys: Vec<pb::ImportedKey>,
    /// Where each of them stands in the file, and its id there.
    pub(crate) places: Vec<(u64, String)>,
    /// What was refused here.
    pub(crate) refused: Vec<Refused>,
    /// The owners and the roles that its rows name, by their names here, with those that the other system has.
    pub(crate) owners: BTreeMap<String, String>,
    pub(crate) roles: BTreeMap<String, String>,
    /// How much of the file has been read by its end. Bytes.
    pub(crate) read_bytes: u64,
    /// How large the request is with its rows. Bytes.
    pub(super) bytes: usize,
}

impl Batch {
    /// How many rows of the file it is.
    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.keys.len() + self.refused.len()).expect("a batch is small")
    }

    /// Whether it goes out before a row with so many more bytes.
    pub(crate) fn is_full_for(&self, key: &pb::ImportedKey) -> bool {
        self.keys.len() >= ROWS_MAX || self.bytes + framed(key) > BYTES_MAX
    }

    /// Whether nothing more is to be added.
    pub(crate) fn is_full(&self) -> bool {
        self.keys.len() >= ROWS_MAX || self.refused.len() >= REFUSED_MAX
    }

    pub(crate) fn push(&mut self, line: u64, key: pb::ImportedKey) {
        self.bytes += framed(&key);
        self.places.push((line, key.source_id.clone()));
        self.keys.push(key);
    }

    /// The request of a run. Its id is drawn from the run and from what it says: a run that lost an answer asks under the
    /// same id again. Another run does not, since by now the service may say otherwise: an owner is there that was missing.
    pub(crate) fn request(&self, keyspace: &str, run: &str, validate_only: bool) -> pb::ImportKeysRequest {
        let mut hash = Sha256::new_with_prefix(DOMAIN);
        for name in [run, keyspace] {
            hash.update(u64::try_from(name.len()).expect("a name is short").to_be_bytes());
            hash.update(name);
        }
        for key in &self.keys {
            hash.update(key.encode_length_delimited_to_vec());
        }
        let request_id = if validate_only { String::new() } else { uuid(&hash.finalize()) };
        pb::ImportKeysRequest { parent: keyspace.to_owned(), keys: self.keys.clone(), request_id, validate_only }
    }
}

/// Whether the service takes a row at all, be it the only one of its batch.
pub(crate) fn fits(key: &pb::ImportedKey) -> bool {
    framed(key) <= BYTES_MAX
}

/// A row as the service takes it: under a format, with names in full.
pub(crate) fn key_of(row: Row, format: &str, owner: String, roles: Vec<String>) -> pb::ImportedKey {
    pb::ImportedKey {
        format: format.to_owned(),
        material: Some(match row.material {
            Material::Digest(digest) => pb::imported_key::Material::Digest(digest.to_vec()),
            Material::Text(text) => pb::imported_key::Material::KeyText(text.to_string()),
        }),
        start: row.start,
        source_id: row.source_id,
        display_name: row.display_name,
        owner,
        purpose: row.purpose,
        permissions: row.permissions,
        roles,
        networks: row.networks,
        methods: row.methods,
        resources: row.resources,
        metadata: row.metadata,
        not_before: row.not_before,
        expire_time: row.expire_time,
        source_create_time: row.source_create_time,
        suspended: row.suspended,
    }
}

fn framed(key: &pb::ImportedKey) -> usize {
    // The tag and the length of a field of a message that is longer than 127 bytes and shorter than 2 MiB.
    key.encoded_len() + 4
}

/// A UUID of version 8 (RFC 9562, section 5.8) from the first bytes of a hash.
fn uuid(hash: &[u8]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(names: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for (name, line) in names.iter().zip(1..) {
            let row = Row { display_name: (*name).to_owned(), ..Row::default() };
            batch.push(line, key_of(row, "x", String::new(), Vec::new()));
        }
        batch
    }

    #[test]
    fn the_same_rows_of_the_same_run_have_the_same_id_and_no_others() {
        let id = |names: &[&str], keyspace: &str| batch(names).request(keyspace, "r", false).request_id;
        let first = id(&["a", "b"], "k");
        assert_eq!(first, id(&["a", "b"], "k"));
        assert_ne!(first, batch(&["a", "b"]).request("k", "s", false).request_id);
        assert!(first.len() == 36 && &first[14..15] == "8" && "89ab".contains(&first[19..20]), "{first}");
        for other in [id(&["b", "a"], "k"), id(&["a", "b"], "l"), id(&["a"], "k"), id(&["ab"], "k")] {
            assert_ne!(first, other);
        }
        assert_eq!(batch(&["a"]).request("k", "r", true).request_id, "", "what changes nothing needs none");
    }

    #[test]
    fn a_batch_is_full_by_rows_or_by_bytes() {
        let mut long = batch(&["a"]);
        let row = Row { purpose: "x".repeat(BYTES_MAX / 2), ..Row::default() };
        let key = key_of(row, "x", String::new(), Vec::new());
        assert!(!long.is_full_for(&key));
        long.push(2, key.clone());
        assert!(long.is_full_for(&key) && !long.is_full());
        assert!(long.request("tenants/a/keyspaces/b", "r", false).encoded_len() < 1 << 20);
        let many: Vec<&str> = vec!["a"; ROWS_MAX];
        assert!(batch(&many).is_full());
    }
}
