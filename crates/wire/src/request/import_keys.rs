//! `ImportKeys`: one batch. What is wrong with the batch fails it; what is wrong with a row is told of that row.

use super::{key_details, mark};
use crate::pb::v1;
use crate::time::read_time;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{
    ImportFormatId, ImportRefusal, ImportStart, KeyId, KeyspaceName, SourceId, UnixMillis, VersionId,
};
use latchkey_minting::{ImportMaterial, KeyDetails};
use latchkey_state::{KEYS_PER_COMMAND_MAX, RequestMark};
use std::mem;

/// One batch of keys to be imported.
#[derive(Debug)]
pub struct ImportKeys {
    /// Where.
    pub keyspace: KeyspaceName,
    /// The rows, by index: at least one, at most [`KEYS_PER_COMMAND_MAX`].
    pub rows: Vec<Result<RowToImport, v1::RefusedRow>>,
    /// Set where a repeat has to get the first answer.
    pub request: Option<RequestMark>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// A row whose fields are what they must be. Whether its text fits its format is for whoever knows the keyspace.
#[derive(Debug)]
pub struct RowToImport {
    /// Which format its text has.
    pub format: ImportFormatId,
    /// What its text is known by.
    pub material: ImportMaterial,
    /// The first characters of its text; may be empty.
    pub start: ImportStart,
    /// Its id in the other system; may be empty.
    pub source_id: SourceId,
    /// When the other system made it.
    pub source_created_at: Option<UnixMillis>,
    /// Whether it comes in suspended.
    pub suspended: bool,
    /// What is said about the key.
    pub details: KeyDetails,
}

/// Reads one batch of `ImportKeys`.
///
/// # Errors
/// All violations of the batch; those of a row are among the rows.
pub fn read_import_keys(mut request: v1::ImportKeysRequest) -> Result<ImportKeys, FieldViolations> {
    let mut fields = Fields::default();
    let request_id = mem::take(&mut request.request_id);
    let mark = mark::read(&mut fields, &request_id, "ImportKeys", &request);
    let keyspace = fields.take("parent", KeyspaceName::parse(&request.parent));
    let count = request.keys.len();
    if count == 0 || count > KEYS_PER_COMMAND_MAX {
        fields.refuse("keys", format_args!("{count} rows, 1 to {KEYS_PER_COMMAND_MAX} are allowed"));
        return fields.finish(None);
    }
    let read = |(index, row)| read_row(index, row, keyspace.as_ref());
    let rows = (0..).zip(request.keys).map(read).collect();
    let read = || Some(ImportKeys { keyspace: keyspace?, rows, request: mark?, validate_only: request.validate_only });
    fields.finish(read())
}

fn read_row(index: u32, row: v1::ImportedKey, keyspace: Option<&KeyspaceName>) -> Result<RowToImport, v1::RefusedRow> {
    let material = match row.material {
        None => return Err(refused_row(index, ImportRefusal::MaterialMissing)),
        Some(v1::imported_key::Material::KeyText(text)) => ImportMaterial::text(text),
        Some(v1::imported_key::Material::Digest(digest)) => match digest.try_into() {
            Ok(digest) => ImportMaterial::Digest(digest),
            Err(_) => return Err(refused_row(index, ImportRefusal::DigestInvalid)),
        },
    };
    let format = ImportFormatId::parse(&row.format).map_err(|_| refused_row(index, ImportRefusal::FormatUnknown))?;
    let start = ImportStart::parse(&row.start).ok_or_else(|| refused_row(index, ImportRefusal::StartInvalid))?;
    let mut fields = Fields::default();
    let source_id = fields.take("source_id", SourceId::parse(&row.source_id));
    let source_created_at = fields.take_optional("source_create_time", row.source_create_time.as_ref().map(read_time));
    let asked = v1::CreateKeyRequest {
        display_name: row.display_name,
        owner: row.owner,
        purpose: row.purpose,
        permissions: row.permissions,
        roles: row.roles,
        networks: row.networks,
        methods: row.methods,
        resources: row.resources,
        metadata: row.metadata,
        not_before: row.not_before,
        expiry: row.expire_time.map(v1::create_key_request::Expiry::ExpireTime),
        ..Default::default()
    };
    let details = key_details::read(&mut fields, &asked, keyspace);
    let read = || {
        Some(RowToImport {
            format,
            material,
            start,
            source_id: source_id?,
            source_created_at: source_created_at?,
            suspended: row.suspended,
            details: details?,
        })
    };
    fields.finish(read()).map_err(|violations| {
        let first = violations.list().first().expect("there is at least one violation");
        v1::RefusedRow {
            field: first.field.clone(),
            message: first.description.clone(),
            ..refused_row(index, ImportRefusal::FieldInvalid)
        }
    })
}

/// A row that was refused by itself.
#[must_use]
pub fn refused_row(index: u32, word: ImportRefusal) -> v1::RefusedRow {
    v1::RefusedRow {
        index,
        reason: v1::ImportRefusal::from(word).into(),
        field: word.field().to_owned(),
        message: word.message().to_owned(),
    }
}

/// A row that is in.
#[must_use]
pub fn imported_row(
    index: u32,
    keyspace: &KeyspaceName,
    key: KeyId,
    version: VersionId,
    existing: bool,
) -> v1::ImportedRow {
    let key = format!("{keyspace}/keys/{key}");
    v1::ImportedRow { index, version: format!("{key}/versions/{version}"), key, existing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::v1::imported_key::Material;
    use prost_types::Timestamp;

    fn row() -> v1::ImportedKey {
        v1::ImportedKey {
            format: "unkey".to_owned(),
            material: Some(Material::Digest(vec![7; 32])),
            source_id: "key_1".to_owned(),
            owner: "tenants/acme/owners/shop".to_owned(),
            permissions: vec!["orders:*".to_owned()],
            ..Default::default()
        }
    }

    fn batch(keys: Vec<v1::ImportedKey>) -> v1::ImportKeysRequest {
        v1::ImportKeysRequest {
            parent: "tenants/acme/keyspaces/live".to_owned(),
            keys,
            request_id: "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51".to_owned(),
            validate_only: false,
        }
    }

    fn refused(row: v1::ImportedKey) -> (String, String) {
        let read = read_import_keys(batch(vec![self::row(), row])).unwrap();
        let refused = read.rows.into_iter().nth(1).unwrap().unwrap_err();
        assert_eq!(refused.index, 1);
        (refused.reason().as_str_name().to_owned(), refused.field)
    }

    #[test]
    fn a_row_that_is_wrong_is_told_and_holds_up_no_other() {
        let time = |nanos| Some(Timestamp { seconds: 1, nanos });
        for (row, reason, field) in [
            (v1::ImportedKey { material: None, ..row() }, "MATERIAL_MISSING", "material"),
            (v1::ImportedKey { material: Some(Material::Digest(vec![7; 31])), ..row() }, "DIGEST_INVALID", "digest"),
            (v1::ImportedKey { format: "Unkey".to_owned(), ..row() }, "FORMAT_UNKNOWN", "format"),
            (v1::ImportedKey { start: "a b".to_owned(), ..row() }, "START_INVALID", "start"),
            (v1::ImportedKey { source_id: "x".repeat(129), ..row() }, "FIELD_INVALID", "source_id"),
            (v1::ImportedKey { owner: "shop".to_owned(), ..row() }, "FIELD_INVALID", "owner"),
            (v1::ImportedKey { display_name: "a\nb".to_owned(), ..row() }, "FIELD_INVALID", "display_name"),
            (v1::ImportedKey { purpose: "x".repeat(257), ..row() }, "FIELD_INVALID", "purpose"),
            (v1::ImportedKey { permissions: vec!["a b".to_owned()], ..row() }, "FIELD_INVALID", "permissions[0]"),
            (v1::ImportedKey { roles: vec!["admin".to_owned()], ..row() }, "FIELD_INVALID", "roles[0]"),
            (v1::ImportedKey { networks: vec!["10.0.0.1/8".to_owned()], ..row() }, "FIELD_INVALID", "networks[0]"),
            (v1::ImportedKey { methods: vec!["G T".to_owned()], ..row() }, "FIELD_INVALID", "methods[0]"),
            (v1::ImportedKey { resources: vec!["a".to_owned()], ..row() }, "FIELD_INVALID", "resources[0]"),
            (
                v1::ImportedKey { metadata: [("U".to_owned(), String::new())].into(), ..row() },
                "FIELD_INVALID",
                "metadata",
            ),
            (v1::ImportedKey { not_before: time(1), ..row() }, "FIELD_INVALID", "not_before"),
            (v1::ImportedKey { expire_time: time(1), ..row() }, "FIELD_INVALID", "expire_time"),
            (v1::ImportedKey { source_create_time: time(1), ..row() }, "FIELD_INVALID", "source_create_time"),
        ] {
            let told = refused(row);
            assert_eq!((told.0.as_str(), told.1.as_str()), (&*format!("IMPORT_REFUSAL_{reason}"), field));
        }
    }

    #[test]
    fn what_is_wrong_with_the_batch_fails_it() {
        let named = |request| {
            let violations = read_import_keys(request).unwrap_err();
            violations.list().iter().map(|one| one.field.clone()).collect::<Vec<_>>()
        };
        let wrong =
            v1::ImportKeysRequest { parent: "acme".to_owned(), request_id: "1".to_owned(), ..batch(vec![row()]) };
        assert_eq!(named(wrong), ["request_id", "parent"]);
        assert_eq!(named(batch(Vec::new())), ["keys"]);
        assert_eq!(named(batch(vec![row(); 1_001])), ["keys"]);
    }

    #[test]
    fn a_repeat_is_known_by_its_rows() {
        let mark = |request| read_import_keys(request).unwrap().request.unwrap();
        let first = mark(batch(vec![row()]));
        assert_eq!(mark(batch(vec![row()])), first);
        assert_ne!(mark(batch(vec![v1::ImportedKey { suspended: true, ..row() }])).hash, first.hash);
    }

    #[test]
    fn neither_a_text_nor_its_digest_is_printed() {
        let text = "unkey_live_3ZZ7aaaaaaaaaaaaaaaaaa";
        let by_text = v1::ImportedKey { material: Some(Material::KeyText(text.to_owned())), ..row() };
        let printed = format!("{:?}", batch(vec![by_text.clone(), row()]));
        assert!(!printed.contains(text) && !printed.contains("7, 7, 7, 7"), "{printed}");
        let printed = format!("{:?}", read_import_keys(batch(vec![by_text, row()])).unwrap());
        assert!(!printed.contains(text) && !printed.contains("7, 7, 7, 7"), "{printed}");
    }
}
