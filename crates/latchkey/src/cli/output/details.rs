//! One thing with all its fields: a label and a value each, what lies deeper below it. Whatever a later release adds to a
//! message is shown without anybody thinking of it.

use super::colour;
use super::table::{Look, finished};
use super::view::{plain, revision, span};
use crate::cli::{moment, names};
use comfy_table::Cell;
use serde_json::Value;

/// Items of a list that are longer stand on a line each.
const ITEM_CHARS_MAX: usize = 20;

/// All fields.
pub(super) fn text(value: &Value, look: Look) -> String {
    let mut lines = Vec::new();
    write(&mut lines, value, 0, look);
    let mut table = look.table();
    for (label, text) in lines {
        let colour = colour::of(&text);
        let cell = Cell::new(text);
        table.add_row(vec![Cell::new(label), colour.map_or(cell.clone(), |colour| cell.fg(colour))]);
    }
    finished(&mut table)
}

fn write(lines: &mut Vec<(String, String)>, value: &Value, depth: usize, look: Look) {
    let Value::Object(fields) = value else {
        lines.push((indent(depth, ""), shown(value, look)));
        return;
    };
    for (name, value) in fields {
        let label = indent(depth, &words(name));
        match value {
            Value::Object(_) if revision(value).is_none() => {
                lines.push((label, String::new()));
                write(lines, value, depth + 1, look);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    lines.push((format!("{label} {}", index + 1), String::new()));
                    write(lines, item, depth + 1, look);
                }
            }
            _ => lines.push((label, shown(value, look))),
        }
    }
}

fn indent(depth: usize, label: &str) -> String {
    // A space at the beginning of a cell is kept; the first level has none.
    format!("{}{label}", "  ".repeat(depth))
}

/// `expireTime` reads `expire time`. Keys of maps are somebody's own words and stay, since they have no capitals.
fn words(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn shown(value: &Value, look: Look) -> String {
    if let Value::Array(items) = value {
        let items: Vec<String> = items.iter().map(|item| names::short(&plain(item))).collect();
        // Long ones read better below each other.
        let long = items.iter().any(|item| item.len() > ITEM_CHARS_MAX);
        return items.join(if long { "\n" } else { ", " });
    }
    let text = plain(value);
    if let Some(span) = span(&text) {
        return span;
    }
    match moment::of_json(&text) {
        Some(at) => format!("{text} ({})", moment::age(at, look.now)),
        None => names::short(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::table::tests::look;
    use serde_json::json;

    #[test]
    fn every_field_is_shown_with_what_lies_below_it() {
        let value = json!({
            "name": "tenants/acme/keyspaces/orders/keys/0000000000000001",
            "displayName": "shop",
            "permissions": ["orders:read", "orders:write"],
            "sample": ["tenants/acme/keyspaces/b/keys/0000000000000001", "tenants/acme/keyspaces/b/keys/0000000000000002"],
            "createTime": "2023-11-14T22:13:20Z",
            "revocation": {"reason": "COMPROMISED"},
            "versions": [{"name": "tenants/acme/keyspaces/orders/keys/0000000000000001/versions/0000000000000002", "state": "ACTIVE"}],
            "revision": {"epoch": "1", "index": "42"},
        });
        let golden = "\
name          acme/orders/0000000000000001
display name  shop
permissions   orders:read, orders:write
sample        acme/b/0000000000000001
              acme/b/0000000000000002
create time   2023-11-14T22:13:20Z (2m ago)
revocation
  reason      COMPROMISED
versions 1
  name        acme/orders/0000000000000001/0000000000000002
  state       ACTIVE
revision      1:42
";
        assert_eq!(text(&value, look(None, false)), golden);
    }
}
