//! `update_mask`: which fields of a resource change.

use crate::violation::Fields;
use prost_types::FieldMask;

/// The path that stands for every field that can change.
const EVERY_FIELD: &str = "*";

/// The fields that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    named: Vec<&'static str>,
}

/// Reads a mask over `fields_of`, the fields that can change. What is wrong with it is noted; those of its paths that are
/// right count all the same, so that the mistakes in their values are told too.
pub(super) fn read(fields: &mut Fields, mask: Option<&FieldMask>, fields_of: &[&'static str]) -> Mask {
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    if paths.is_empty() {
        fields.refuse("update_mask", format_args!("must name what changes: {}, or `*` for all", list(fields_of)));
    }
    let mut named = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        if path == EVERY_FIELD {
            named.extend_from_slice(fields_of);
            if paths.len() > 1 {
                fields.refuse(&format!("update_mask.paths[{at}]"), "`*` must stand alone");
            }
        } else if let Some(field) = fields_of.iter().find(|field| *field == path) {
            named.push(field);
        } else {
            let rule = format_args!("must be a field that can change: {}", list(fields_of));
            fields.refuse(&format!("update_mask.paths[{at}]"), rule);
        }
    }
    Mask { named }
}

impl Mask {
    /// Whether it names the field.
    pub(super) fn names(&self, field: &str) -> bool {
        self.named.contains(&field)
    }

    /// What the field changes to, where the mask names it. The outer `None` says that the value is wrong and was noted.
    #[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
    pub(super) fn change<T>(&self, field: &str, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
        if self.names(field) { read().map(Some) } else { Some(None) }
    }
}

fn list(fields: &[&str]) -> String {
    fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["display_name", "owner"];

    fn mask(paths: &[&str]) -> FieldMask {
        FieldMask { paths: paths.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn a_mask_that_names_nothing_or_something_else_is_refused_without_an_echo() {
        for (paths, field) in [
            (&[][..], "update_mask"),
            (&[""], "update_mask.paths[0]"),
            (&["owner", "state"], "update_mask.paths[1]"),
            (&["owner.name"], "update_mask.paths[0]"),
            (&["*", "owner"], "update_mask.paths[0]"),
        ] {
            let mut fields = Fields::default();
            read(&mut fields, Some(&mask(paths)), FIELDS);
            let violations = fields.finish(None::<()>).unwrap_err();
            assert_eq!(violations.list()[0].field, field, "{paths:?}");
            assert!(!violations.to_string().contains("state"), "{violations}");
        }
        let mut fields = Fields::default();
        read(&mut fields, None, FIELDS);
        assert!(fields.finish(Some(())).is_err());
    }

    #[test]
    fn a_star_names_every_field_and_a_path_names_one() {
        let mut fields = Fields::default();
        let every = read(&mut fields, Some(&mask(&["*"])), FIELDS);
        let one = read(&mut fields, Some(&mask(&["owner", "owner"])), FIELDS);
        assert!(every.names("display_name") && every.names("owner"));
        assert!(one.names("owner") && !one.names("display_name"));
        assert_eq!(fields.finish(Some(())), Ok(()));
    }
}
