//! Unkey. The digest is the base64 SHA-256 of the whole text.
//!
//! Sources: the schemas `KeyResponseData` and `V2KeysMigrateKeyData` of its OpenAPI document (api.unkey.com/v2); version 1 of
//! its API (`apis.listKeys`: `id`, `ownerId`, `remaining`, `refill`, `ratelimit`); its guide to migrations, where `hash` is
//! also `{value, variant}`; and the names of its table of keys, as a dump has them.

use crate::cli::import::digest;
use crate::cli::import::fields::Fields;
use crate::cli::import::row::{Material, Refused, Row, reason};
use serde_json::Value;
use zeroize::Zeroizing;

/// What Latchkey has no place for yet, and what to say of it.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("remaining", "a budget of uses cannot be kept yet"),
    ("remaining_requests", "a budget of uses cannot be kept yet"),
    ("credits", "a budget of uses cannot be kept yet"),
    ("refill", "a budget of uses cannot be kept yet"),
    ("refill_amount", "a budget of uses cannot be kept yet"),
    ("refill_day", "a budget of uses cannot be kept yet"),
    ("ratelimit", "limits of the rate cannot be kept yet"),
    ("ratelimits", "limits of the rate cannot be kept yet"),
];

/// What says nothing outside Unkey.
const LEFT_BEHIND: [&str; 15] = [
    "apiId",
    "workspaceId",
    "workspace_id",
    "keyAuthId",
    "key_auth_id",
    "forWorkspaceId",
    "for_workspace_id",
    "identityId",
    "identity_id",
    "updatedAt",
    "updated_at",
    "updated_at_m",
    "lastUsedAt",
    "last_used_at",
    "environment",
];

/// Reads one key.
pub(super) fn read(mut fields: Fields<'_>) -> Result<Row, Refused> {
    let id = ["keyId", "id", "key_id"].map(|name| fields.text(name));
    let id = first(id)?;
    fields.identify(&id);
    if fields.take_first(&["deletedAt", "deleted_at", "deleted_at_m"]).is_some() {
        return Err(fields.refused("deletedAt", reason::DELETED, "the key was deleted there"));
    }
    for (name, why) in UNSUPPORTED {
        fields.unsupported(name, why)?;
    }
    LEFT_BEHIND.iter().for_each(|name| fields.leave_behind(name));
    let material = material(&mut fields)?;
    let owner = owner(&mut fields)?;
    fields.metadata("meta")?;
    // The prefix is also how `start` begins; a key without a `start` has it from here.
    let prefix = fields.text("prefix")?;
    let start = fields.text("start")?;
    let start = if start.is_empty() && !prefix.is_empty() { format!("{prefix}_") } else { start };
    let row = Row {
        material,
        start: start.trim_end_matches("...").to_owned(),
        display_name: fields.text("name")?,
        owner: (!owner.is_empty()).then_some(owner),
        permissions: fields.texts("permissions")?,
        roles: fields.texts("roles")?,
        expire_time: first_moment(&mut fields, &["expires", "expires_at"])?,
        source_create_time: first_moment(&mut fields, &["createdAt", "created_at", "created_at_m"])?,
        suspended: fields.flag("enabled")? == Some(false),
        ..Row::default()
    };
    fields.finish(row)
}

/// The digest, or the text of a key that Unkey keeps recoverable.
fn material(fields: &mut Fields<'_>) -> Result<Material, Refused> {
    let text = first(["plaintext", "key"].map(|name| fields.text(name)))?;
    let digest = match fields.take("hash") {
        None => None,
        Some(Value::String(text)) => Some(digest::parse(text.trim())),
        Some(Value::Object(hash)) => {
            let value = hash.get("value").and_then(Value::as_str).unwrap_or_default();
            match hash.get("variant").and_then(Value::as_str) {
                Some("sha256_base64") => Some(digest::base64(value.as_bytes())),
                Some("sha256_hex") => Some(digest::hex(value.as_bytes())),
                _ => Some(None),
            }
        }
        Some(_) => Some(None),
    };
    match digest {
        Some(Some(digest)) => Ok(Material::Digest(digest)),
        Some(None) => {
            let expected =
                "expected a SHA-256 of the whole text, in base64 or with the variant sha256_base64 or sha256_hex";
            Err(fields.refused("hash", reason::DIGEST_INVALID, expected))
        }
        None if !text.is_empty() => Ok(Material::Text(Zeroizing::new(text))),
        None => Err(fields.refused("hash", reason::MATERIAL_MISSING, "expected the hash, or the plaintext")),
    }
}

/// Version 2 has the owner in an identity, which has limits and metadata of its own.
fn owner(fields: &mut Fields<'_>) -> Result<String, Refused> {
    let direct = first(["externalId", "external_id", "ownerId", "owner_id"].map(|name| fields.text(name)))?;
    let Some(identity) = fields.take("identity") else { return Ok(direct) };
    for (name, value) in identity.as_object().into_iter().flatten() {
        let why = match name.as_str() {
            "id" | "externalId" => continue,
            "ratelimits" => "limits of the rate of an identity cannot be kept yet",
            _ => "what an identity has besides its name cannot be kept yet",
        };
        fields.set_aside(&format!("identity.{name}"), value, reason::UNSUPPORTED, why)?;
    }
    let of_identity = identity.get("externalId").and_then(Value::as_str).unwrap_or_default();
    Ok(if of_identity.is_empty() { direct } else { of_identity.to_owned() })
}

/// The first that says something, unless one of them is wrong.
fn first<const N: usize>(texts: [Result<String, Refused>; N]) -> Result<String, Refused> {
    let mut found = String::new();
    for text in texts {
        let text = text?;
        if found.is_empty() {
            found = text;
        }
    }
    Ok(found)
}

/// Zero is how a dump writes that there is none.
fn first_moment(fields: &mut Fields<'_>, names: &[&str]) -> Result<Option<prost_types::Timestamp>, Refused> {
    let mut found = None;
    for name in names {
        found = found.or(fields.moment(name)?.filter(|moment| moment.seconds != 0));
    }
    Ok(found)
}
