//! Reading one setting after the other, and writing down what is wrong instead of stopping.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::field::Field;
use crate::mistake::{Mistake, Mistakes};
use crate::nearest::nearest;
use crate::sources::{ENVIRONMENT_PREFIX, Sources, Value};

/// What a setting is when nobody says.
pub(crate) enum Default {
    /// It must be said.
    Required,
    /// This, as it would be written.
    Text(String),
}

/// A default as it would be written.
pub(crate) fn text(default: impl Display) -> Default {
    Default::Text(default.to_string())
}

/// The values that are not read yet, and what was wrong with those that are.
pub(crate) struct Reader {
    values: BTreeMap<String, Value>,
    prefix: String,
    known: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(crate) fn new(sources: &Sources) -> Self {
        let mut mistakes = Vec::new();
        let values = sources.flatten(&mut mistakes);
        Self { values, prefix: String::new(), known: Vec::new(), mistakes }
    }

    /// Reads within a group: names inside are relative to `name`.
    pub(crate) fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.prefix.len();
        self.prefix.push_str(name);
        self.prefix.push('.');
        let result = read(self);
        self.prefix.truncate(outer);
        result
    }

    /// Whether any value of the group `name` was given.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        let path = format!("{}{name}.", self.prefix);
        self.values.keys().any(|key| key.starts_with(&path))
    }

    /// Reads one value. After a mistake the default goes on in its place, so that the next mistakes are found as well.
    pub(crate) fn value<T: Field>(&mut self, name: &str, default: Default) -> Option<T> {
        let setting = self.path(name);
        self.known.push(setting.clone());
        if let Some(Value { text, origin }) = self.values.remove(&setting) {
            match T::parse(&text) {
                Some(value) => return Some(value),
                None => self.mistake(
                    &setting,
                    Some(format!("{}, {origin}", T::shown(&text))),
                    format!("must be {}", T::EXPECTED),
                    T::REMEDY,
                ),
            }
        } else if matches!(default, Default::Required) {
            let remedy = format!("set it in the file, or as {}", variable(&setting));
            self.mistake(&setting, None, format!("is not set, expected {}", T::EXPECTED), &remedy);
        }
        match default {
            Default::Required => None,
            Default::Text(text) => Some(T::parse(&text).expect("a default is written as its setting is read")),
        }
    }

    /// A rule about a setting of this group. What was wrong by itself is not judged again.
    pub(crate) fn require(&mut self, holds: bool, name: &str, found: impl Display, expected: String, remedy: &str) {
        let setting = self.path(name);
        if !holds && !self.mistakes.iter().any(|mistake| mistake.setting == setting) {
            self.mistake(&setting, Some(found.to_string()), expected, remedy);
        }
    }

    /// `first` must be at least `factor x second`, both of this group.
    pub(crate) fn at_least(&mut self, first: (&str, u64), factor: u64, second: (&str, u64)) {
        let other = self.path(second.0);
        if self.mistakes.iter().any(|mistake| mistake.setting == other) {
            return;
        }
        let times = if factor == 1 { String::new() } else { format!("{factor} x ") };
        let expected = format!("must be at least {times}{other} ({})", second.1);
        let holds = first.1 >= factor.saturating_mul(second.1);
        self.require(holds, first.0, first.1, expected, "raise the first or lower the second");
    }

    /// A number of this group must lie in `range`.
    pub(crate) fn in_range(&mut self, name: &str, value: u64, range: RangeInclusive<u64>) {
        let expected = format!("must be {} to {}", range.start(), range.end());
        self.require(range.contains(&value), name, value, expected, "choose a value in between");
    }

    /// Ends the reading: what nobody asked for is unknown.
    pub(crate) fn finish<T>(mut self, settings: Option<T>) -> Result<T, Mistakes> {
        for (name, value) in std::mem::take(&mut self.values) {
            let remedy = match nearest(&name, self.known.iter().map(String::as_str)) {
                Some(known) => format!("did you mean {known}?"),
                None => "remove it".to_owned(),
            };
            // The value is not shown: it may be a secret that was put here instead of into a file.
            self.mistake(&name, Some(value.origin), "is no setting".to_owned(), &remedy);
        }
        match settings {
            Some(settings) if self.mistakes.is_empty() => Ok(settings),
            _ => Err(Mistakes(self.mistakes)),
        }
    }

    fn mistake(&mut self, setting: &str, found: Option<String>, expected: String, remedy: &str) {
        self.mistakes.push(Mistake { setting: setting.to_owned(), found, expected, remedy: remedy.to_owned() });
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// The variable of a setting.
pub(crate) fn variable(setting: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", setting.replace('.', "__").to_ascii_uppercase())
}
