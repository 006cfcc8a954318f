//! Any CSV: which column is what comes from whoever knows the file.

use crate::cli::import::fields::{Fields, metadata_key};
use crate::cli::import::row::{Material, Refused, Row, reason};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What a column can be; `metadata.NAME` besides.
pub(crate) const FIELDS: [&str; 17] = [
    "key_text",
    "digest",
    "start",
    "source_id",
    "display_name",
    "owner",
    "purpose",
    "permissions",
    "roles",
    "networks",
    "methods",
    "resources",
    "not_before",
    "expire_time",
    "source_create_time",
    "suspended",
    "enabled",
];

/// What begins a field that becomes metadata.
const METADATA: &str = "metadata.";

/// Which column is which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping(BTreeMap<String, String>);

impl Mapping {
    /// Of pairs `field=column`.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut columns = BTreeMap::new();
        for (field, column) in pairs {
            let known =
                FIELDS.contains(&field.as_str()) || field.strip_prefix(METADATA).is_some_and(|key| !key.is_empty());
            if !known {
                return Err(format!("expected one of {} or metadata.NAME before the =", FIELDS.join(", ")));
            }
            if columns.insert(field.clone(), column).is_some() {
                return Err(format!("{field} is mapped twice"));
            }
        }
        Ok(Self(columns))
    }

    /// Pairs of a file: a line each, `#` before what is no pair.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pair = |line: &str| {
            let (field, column) = line.split_once('=').ok_or("expected FIELD=COLUMN on each line")?;
            Ok((field.trim().to_owned(), column.trim().to_owned()))
        };
        lines.map(pair).collect()
    }

    /// Whether it says what keys are known by, and names only columns that the heading has.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn fits(&self, heading: &[String]) -> Result<(), String> {
        let by_text = self.0.contains_key("key_text");
        if by_text == self.0.contains_key("digest") {
            return Err("expected either digest=COLUMN or key_text=COLUMN in the mapping".to_owned());
        }
        // The heading may be the first key of a file without one: its words are not repeated, the mapping's are.
        match self.0.values().find(|column| !heading.contains(column)) {
            Some(column) => Err(format!("the file has no column {column}")),
            None => Ok(()),
        }
    }

    fn column(&self, field: &str) -> &str {
        // A column without a name is taken out by nobody else, and is nothing.
        self.0.get(field).map_or("", String::as_str)
    }
}

/// Reads one key.
pub(super) fn read(mut fields: Fields<'_>, mapping: &Mapping) -> Result<Row, Refused> {
    let id = fields.text(mapping.column("source_id"))?;
    fields.identify(&id);
    let text = Zeroizing::new(fields.text(mapping.column("key_text"))?);
    let digest = fields.digest(mapping.column("digest"))?;
    let material = match digest {
        Some(digest) => Material::Digest(digest),
        None if !text.is_empty() => Material::Text(text),
        None => return Err(fields.refused("", reason::MATERIAL_MISSING, "expected a digest or a text")),
    };
    for (field, column) in &mapping.0 {
        if let Some(key) = field.strip_prefix(METADATA) {
            let value = fields.text(column)?;
            if !value.is_empty() {
                fields.pair(&metadata_key(key), value)?;
            }
        }
    }
    let owner = fields.text(mapping.column("owner"))?;
    let suspended = fields.flag(mapping.column("suspended"))? == Some(true);
    let row = Row {
        material,
        start: fields.text(mapping.column("start"))?,
        display_name: fields.text(mapping.column("display_name"))?,
        owner: (!owner.is_empty()).then_some(owner),
        purpose: fields.text(mapping.column("purpose"))?,
        permissions: fields.texts(mapping.column("permissions"))?,
        roles: fields.texts(mapping.column("roles"))?,
        networks: fields.texts(mapping.column("networks"))?,
        methods: fields.texts(mapping.column("methods"))?,
        resources: fields.texts(mapping.column("resources"))?,
        not_before: fields.moment(mapping.column("not_before"))?,
        expire_time: fields.moment(mapping.column("expire_time"))?,
        source_create_time: fields.moment(mapping.column("source_create_time"))?,
        suspended: suspended || fields.flag(mapping.column("enabled"))? == Some(false),
        ..Row::default()
    };
    fields.finish(row)
}
