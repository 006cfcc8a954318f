//! Filters and orders of listings, as far as the edge reads them: whoever answers reads them again.

use crate::violation::Fields;
use latchkey_policy::{Field, Filter, Kind};

/// The fields of keys.
const KEY_FIELDS: &[Field] = &[
    Field { name: "owner", kind: Kind::Text },
    Field { name: "role", kind: Kind::Text },
    Field { name: "parent_key", kind: Kind::Text },
    Field { name: "state", kind: Kind::Word(&["ACTIVE", "SUSPENDED", "REVOKED", "EXPIRED"]) },
    Field { name: "display_name", kind: Kind::TextOrPrefix },
    Field { name: "create_time", kind: Kind::Time },
    Field { name: "update_time", kind: Kind::Time },
    Field { name: "expire_time", kind: Kind::Time },
    Field { name: "age", kind: Kind::Span },
    Field { name: "unchanged", kind: Kind::Span },
];

/// What keys are ordered by, each with ` desc` for the reverse.
const KEY_ORDERS: [&str; 4] = ["name", "create_time", "update_time", "expire_time"];

/// Passes the filter of a listing of keys on, if it reads. What is wrong with it is told by position, never by text.
pub(super) fn key_filter(fields: &mut Fields, text: &str) -> Option<String> {
    fields.take("filter", Filter::parse(text, KEY_FIELDS)).map(|_| text.to_owned())
}

/// Passes the order of a listing of keys on, if it is one.
pub(super) fn key_order(fields: &mut Fields, text: &str) -> Option<String> {
    order(fields, text, &KEY_ORDERS)
}

/// Passes the order of a listing on, if it is empty or one of these, with or without ` desc`.
pub(super) fn order(fields: &mut Fields, text: &str, orders: &[&str]) -> Option<String> {
    let by = text.strip_suffix(" desc").unwrap_or(text);
    if !text.is_empty() && !orders.contains(&by) {
        let orders = orders.iter().map(|order| format!("`{order}`")).collect::<Vec<_>>().join(", ");
        fields.refuse("order_by", format_args!("must be one of {orders}, with ` desc` for the reverse, or empty"));
        return None;
    }
    Some(text.to_owned())
}
