//! Amazon API Gateway's file of keys: `name,key,description,enabled,usageplanIds` in any case and order, by value.
//!
//! Source: "API Gateway API key file format" of its developer guide. Columns that it does not know it ignores; we tell them.

use crate::cli::import::fields::Fields;
use crate::cli::import::row::{Material, Refused, Row, reason};
use zeroize::Zeroizing;

/// Reads one key. The names of the columns come in small letters.
pub(super) fn read(mut fields: Fields<'_>) -> Result<Row, Refused> {
    let id = fields.text("id")?;
    fields.identify(&id);
    let text = Zeroizing::new(fields.text("key")?);
    if text.is_empty() {
        return Err(fields.refused("key", reason::MATERIAL_MISSING, "expected the value of the key"));
    }
    fields.unsupported("usageplanids", "the quotas and rates of usage plans cannot be kept yet")?;
    let row = Row {
        material: Material::Text(text),
        display_name: fields.text("name")?,
        purpose: fields.text("description")?,
        suspended: fields.flag("enabled")? == Some(false),
        ..Row::default()
    };
    fields.finish(row)
}
