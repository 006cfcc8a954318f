//! Seam's prefixed-api-key: `mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG`, known by the hexadecimal SHA-256 of its last part.
//!
//! Source: github.com/seamapi/prefixed-api-key, `src/index.ts`: `shortToken`, `longTokenHash`, `keyPrefix`. It says how keys are
//! made and checked, and leaves what lies beside them in a table to its user: usual names are read.

use crate::cli::import::fields::Fields;
use crate::cli::import::row::{Material, Refused, Row, reason};

/// Reads one key.
pub(super) fn read(mut fields: Fields<'_>) -> Result<Row, Refused> {
    let short = either(&mut fields, "shortToken", "short_token")?;
    let id = either(&mut fields, "id", "key_id")?;
    // The short part is its public id where it has no other.
    let id = if id.is_empty() { short.clone() } else { id };
    fields.identify(&id);
    let prefix = either(&mut fields, "prefix", "keyPrefix")?;
    let (hash, other) = (fields.digest("longTokenHash")?, fields.digest("long_token_hash")?);
    let Some(digest) = hash.or(other) else {
        let missing = "expected the SHA-256 of the last part";
        return Err(fields.refused("longTokenHash", reason::MATERIAL_MISSING, missing));
    };
    if short.is_empty() {
        return Err(fields.refused("shortToken", reason::FIELD_INVALID, "expected the short part of the text"));
    }
    let (name, owner) = (either(&mut fields, "name", "display_name")?, either(&mut fields, "owner", "ownerId")?);
    let expires = [fields.moment("expires_at")?, fields.moment("expiresAt")?];
    let created = [fields.moment("created_at")?, fields.moment("createdAt")?];
    let start = if prefix.is_empty() { short } else { format!("{}_{short}", prefix.trim_end_matches('_')) };
    let row = Row {
        material: Material::Digest(digest),
        start,
        display_name: name,
        owner: (!owner.is_empty()).then_some(owner),
        permissions: fields.texts("permissions")?,
        roles: fields.texts("roles")?,
        expire_time: expires.into_iter().flatten().next(),
        source_create_time: created.into_iter().flatten().next(),
        suspended: fields.flag("enabled")? == Some(false),
        ..Row::default()
    };
    fields.metadata("metadata")?;
    fields.finish(row)
}

fn either(fields: &mut Fields<'_>, name: &str, other: &str) -> Result<String, Refused> {
    let (first, second) = (fields.text(name)?, fields.text(other)?);
    Ok(if first.is_empty() { second } else { first })
}
