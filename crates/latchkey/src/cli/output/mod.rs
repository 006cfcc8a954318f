//! What is printed: tables for people, JSON and YAML for programs.

mod colour;
mod details;
pub(crate) mod json;
mod table;
mod view;

use table::Look;
pub(crate) use view::{Column, Shape, View};

use crate::cli::error::CliError;
use clap::ValueEnum;
use latchkey_telemetry::{Clock as _, SystemClock};
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write as _};

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables, for people.
    #[default]
    Table,
    /// Canonical proto JSON, with words such as ACTIVE without their prefix.
    Json,
    /// The same as YAML.
    Yaml,
    /// Resource names in full and nothing else, a line each: for the next command.
    Name,
}

impl Format {
    /// Whether answers are whole, and errors of the same form.
    pub(crate) const fn is_for_programs(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }
}

/// Prints answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    format: Format,
    colour: bool,
    width: Option<u16>,
}

impl Printer {
    pub(crate) const fn new(format: Format, colour: bool, width: Option<u16>) -> Self {
        Self { format, colour, width }
    }

    /// Whether a person reads it.
    pub(crate) fn is_for_people(self) -> bool {
        self.format == Format::Table
    }

    /// For whoever is asked something, whatever the answer will be printed as.
    pub(crate) const fn for_people(self) -> Self {
        Self { format: Format::Table, ..self }
    }

    /// Whether a program reads it.
    pub(crate) fn is_for_programs(self) -> bool {
        self.format.is_for_programs()
    }

    /// How it looks now: an answer that took its time is told as of its end.
    pub(crate) fn look(self) -> Look {
        Look { colour: self.colour, width: self.width, now: SystemClock.unix_millis() }
    }

    /// One thing: all its fields, below each other.
    pub(crate) fn one(self, value: &Value) -> String {
        self.program(value).unwrap_or_else(|| details::text(value, self.look()))
    }

    /// Many things: the whole answer for programs, its `items` as rows for people.
    pub(crate) fn many(self, view: &View, answer: &Value, items: &[Value]) -> String {
        match self.format {
            Format::Name => items.iter().map(|item| format!("{}\n", name(item))).collect(),
            _ => self.program(answer).unwrap_or_else(|| table::text(view, items, self.look())),
        }
    }

    /// A row without its heading, as it is appended while one watches.
    pub(crate) fn row(self, view: &View, item: &Value, first: bool) -> String {
        match self.format {
            // A line each, so that a reader needs no end.
            Format::Json => format!("{item}\n"),
            Format::Yaml => format!("---\n{}", yaml(item)),
            Format::Name => format!("{}\n", name(item)),
            Format::Table => table::line(view, item, first, self.look()),
        }
    }

    /// For programs; nothing where a person reads.
    pub(crate) fn program(self, value: &Value) -> Option<String> {
        match self.format {
            Format::Table => None,
            Format::Name => Some(format!("{}\n", name(value))),
            Format::Json => Some(format!("{value:#}\n")),
            Format::Yaml => Some(yaml(value)),
        }
    }
}

/// The name of a resource, or of the one that an answer is about; what stands for it where there is none: the sequence of
/// an entry, the number of a replica, what a check of `doctor` looks at.
fn name(value: &Value) -> &str {
    let of_this = |value: &Value| value.get("name").is_some();
    // A rotation that waits is what the next command is about; one that is done is not, and its key is.
    let waits =
        value.get("rotation").and_then(|rotation| rotation.get("state")).is_some_and(|state| state == "PREPARED");
    let fields = if waits { ["rotation", "key"] } else { ["key", "rotation"] };
    let about = fields.into_iter().filter_map(|field| value.get(field));
    let named = [value].into_iter().chain(about).find(|value| value.is_string() || of_this(value));
    let name = named.and_then(|named| named.get("name").unwrap_or(named).as_str());
    let instead = || ["sequence", "id", "check"].into_iter().find_map(|field| value.get(field)?.as_str());
    name.or_else(instead).unwrap_or_default()
}

fn yaml(value: &Value) -> String {
    let mut text = serde_saphyr::to_string(value).expect("a tree of maps with text keys is YAML");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Writes to standard output.
///
/// # Errors
/// [`CliError::Output`]. A reader that has seen enough is not an error: it ends the process as others do, quietly.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// A line for whoever watches, on standard error.
#[expect(clippy::print_stderr, reason = "what a person should know, apart from what a program reads")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Whether standard output is a terminal that wants colour: <https://no-color.org>.
pub(crate) fn wants_colour(no_color: Option<&str>) -> bool {
    io::stdout().is_terminal() && no_color.is_none_or(str::is_empty)
}

/// The columns of the terminal that standard output is; `None` where it is none.
pub(crate) fn terminal_width() -> Option<u16> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&out).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

/// The rows of the terminal that standard output is; `None` where it is none.
pub(crate) fn terminal_rows() -> Option<u16> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
    size.map(|size| size.ws_row).filter(|rows| *rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_is_that_of_the_resource_or_of_what_the_answer_is_about() {
        for (value, expected) in [
            (json!({"name": "tenants/acme", "key": {"name": "other"}}), "tenants/acme"),
            (json!({"key": {"name": "a"}, "rotation": {"name": "b"}}), "a"),
            (json!({"outcome": "VALID", "key": "a"}), "a"),
            (json!({"sequence": "7"}), "7"),
            (json!({"id": "2", "region": "local"}), "2"),
            (json!({"check": "leader", "result": "ok"}), "leader"),
            (json!({}), ""),
        ] {
            assert_eq!(name(&value), expected, "{value}");
        }
    }

    #[test]
    fn yaml_keeps_the_order_and_quotes_what_would_be_read_as_something_else() {
        let value = json!({"name": "tenants/acme", "epoch": "1", "yes": "no", "list": ["a: b", "*"], "none": {}});
        let text = yaml(&value);
        assert!(text.starts_with("name: tenants/acme\nepoch: \"1\"\n"), "{text}");
        assert!(text.contains("\"no\"") && text.contains("\"a: b\"") && text.contains("\"*\""), "{text}");
    }
}
