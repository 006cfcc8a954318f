//! What is wrong with a request: all of it at once, each with the path of its field and the rule that it breaks.

use std::fmt::{self, Display};

/// Violations that one answer tells. A batch of 1,000 keys that are all wrong is told by its first mistakes.
pub const VIOLATIONS_MAX: usize = 64;

/// One field that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Its path, for instance `requests[3].permissions[0]`.
    pub field: String,
    /// The rule that it breaks, as a sentence without full stop.
    pub description: String,
}

/// At least one, at most [`VIOLATIONS_MAX`], in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FieldViolations {
    list: Vec<FieldViolation>,
    /// How many there were, those that are not listed included.
    count: usize,
}

impl FieldViolations {
    /// A single one.
    #[must_use]
    pub fn one(field: &str, description: impl Display) -> Self {
        Self { list: vec![FieldViolation { field: field.to_owned(), description: description.to_string() }], count: 1 }
    }

    /// Those that are told.
    #[must_use]
    pub fn list(&self) -> &[FieldViolation] {
        &self.list
    }

    /// How many there were in all.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }
}

impl Display for FieldViolations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.list.first().expect("there is at least one violation");
        write!(f, "{}: {}", first.field, first.description)?;
        match self.count {
            1 => Ok(()),
            count => write!(f, " (and {} more)", count - 1),
        }
    }
}

/// Collects violations while a message is read.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    path: String,
    list: Vec<FieldViolation>,
    count: usize,
}

impl Fields {
    /// Notes that `field` breaks a rule.
    pub(crate) fn refuse(&mut self, field: &str, rule: impl Display) {
        self.count += 1;
        if self.list.len() < VIOLATIONS_MAX {
            let field = format!("{}{field}", self.path);
            self.list.push(FieldViolation { field, description: rule.to_string() });
        }
    }

    /// Passes a value on, or notes why there is none.
    pub(crate) fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|rule| self.refuse(field, rule)).ok()
    }

    /// As [`Self::take`] for a field that may be absent: the outer `None` says that it is there and wrong.
    #[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
    pub(crate) fn take_optional<T, E: Display>(
        &mut self,
        field: &str,
        result: Option<Result<T, E>>,
    ) -> Option<Option<T>> {
        match result {
            None => Some(None),
            Some(result) => self.take(field, result).map(Some),
        }
    }

    /// Passes each value on, or notes which of them are wrong.
    pub(crate) fn take_each<T, E: Display>(
        &mut self,
        field: &str,
        results: impl Iterator<Item = Result<T, E>>,
    ) -> Option<Vec<T>> {
        let before = self.count;
        let mut values = Vec::new();
        for (at, result) in results.enumerate() {
            values.extend(self.take(&format!("{field}[{at}]"), result));
        }
        (self.count == before).then_some(values)
    }

    /// Reads what lies under `part`, so that the paths of its fields begin with it.
    pub(crate) fn within<T>(&mut self, part: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.path.len();
        self.path.push_str(part);
        self.path.push('.');
        let value = read(self);
        self.path.truncate(outer);
        value
    }

    /// The message read, or all that is wrong with it. `value` is `None` only where something was noted.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, FieldViolations> {
        if self.count > 0 {
            return Err(FieldViolations { list: self.list, count: self.count });
        }
        Ok(value.expect("a field that could not be read was noted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_told_with_its_path() {
        let mut fields = Fields::default();
        fields.within("requests[3]", |fields| fields.take::<(), _>("owner", Err("no such form")));
        fields.take_each::<(), _>("permissions", [Ok(()), Err("too long")].into_iter());
        let violations = fields.finish(None::<()>).unwrap_err();
        let told: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(told, ["requests[3].owner", "permissions[1]"]);
        assert_eq!(violations.to_string(), "requests[3].owner: no such form (and 1 more)");
    }

    #[test]
    fn a_flood_of_violations_is_counted_and_not_listed() {
        let mut fields = Fields::default();
        fields.take_each::<(), _>("networks", (0..10_000).map(|_| Err("wrong")));
        let violations = fields.finish(None::<()>).unwrap_err();
        assert_eq!((violations.list().len(), violations.count()), (VIOLATIONS_MAX, 10_000));
    }
}
