//! Where settings come from, flattened to dotted names with the last word winning.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::mistake::Mistake;

/// The prefix of our variables in the environment.
pub(crate) const ENVIRONMENT_PREFIX: &str = "LATCHKEY_";

/// The variable that names the file; it is no setting.
const FILE_VARIABLE: &str = "LATCHKEY_CONFIG";

/// What is given to a load.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if there is one. A file that was asked for and is not there is a mistake.
    pub file: Option<PathBuf>,
    /// Variables of the environment. Those without `LATCHKEY_` are left alone.
    pub environment: Vec<(String, String)>,
    /// Flags, `(name, value)`, with names as in the file.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// `file` (else the one that `LATCHKEY_CONFIG` names), this process's environment, and `flags`.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        Self {
            file: file.or_else(|| std::env::var_os(FILE_VARIABLE).map(PathBuf::from)),
            environment: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            flags,
        }
    }

    /// All values by dotted name.
    pub(crate) fn flatten(&self, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        if let Some(path) = &self.file {
            match read(path) {
                Ok(table) => flatten_table(&mut values, "", table, &path.display().to_string()),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        for (variable, text) in &self.environment {
            if let Some(name) = setting_of(variable) {
                values.insert(name, Value::new(text.clone(), variable.clone()));
            }
        }
        for (name, text) in &self.flags {
            values.insert(name.clone(), Value::new(text.clone(), "flag".to_owned()));
        }
        values
    }
}

/// One value as text, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) origin: String,
}

impl Value {
    fn new(text: String, origin: String) -> Self {
        Self { text, origin }
    }
}

fn read(path: &PathBuf) -> Result<toml::Table, Mistake> {
    let mistake = |expected: String, remedy: &str| Mistake {
        setting: path.display().to_string(),
        found: None,
        expected,
        remedy: remedy.to_owned(),
    };
    let text = fs::read_to_string(path).map_err(|error| {
        mistake(format!("cannot be read: {error}"), "give the path of a TOML file that this user may read")
    })?;
    // The message alone, without the line's text: a secret that somebody put there by mistake is not repeated.
    text.parse::<toml::Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        mistake(format!("is no TOML at line {line}: {}", error.message()), "correct that line")
    })
}

fn flatten_table(values: &mut BTreeMap<String, Value>, prefix: &str, table: toml::Table, origin: &str) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        flatten_value(values, name, value, origin);
    }
}

fn flatten_value(values: &mut BTreeMap<String, Value>, name: String, value: toml::Value, origin: &str) {
    let text = match value {
        toml::Value::Table(table) => return flatten_table(values, &name, table, origin),
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for (index, item) in items.into_iter().enumerate() {
                flatten_value(values, format!("{name}[{index}]"), item, origin);
            }
            return;
        }
        other => scalar(other),
    };
    values.insert(name, Value::new(text, origin.to_owned()));
}

fn scalar(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
        toml::Value::Array(items) => items.into_iter().map(scalar).collect::<Vec<_>>().join(","),
        // A table in a list of values: no setting has that shape, so this text is refused where it is read.
        toml::Value::Table(_) => "{}".to_owned(),
    }
}

/// What the command line reads: no setting of a service, which may be started from the same shell.
const COMMAND_LINE: [&str; 11] = [
    "AUDIT_ADDRESS",
    "ISSUANCE_ADDRESS",
    "KEY",
    "KEY_FILE",
    "PROFILE",
    "ROTATION_ADDRESS",
    "TENANT",
    "TLS_CERTIFICATE",
    "TLS_KEY",
    "TLS_TRUST",
    "VALIDATION_ADDRESS",
];

/// `LATCHKEY_RAFT__HEARTBEAT_MS` is `raft.heartbeat_ms`.
fn setting_of(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(ENVIRONMENT_PREFIX)?;
    if variable == FILE_VARIABLE || COMMAND_LINE.contains(&name) || is_service_link(name) {
        return None;
    }
    Some(name.to_ascii_lowercase().replace("__", "."))
}

/// Kubernetes puts variables for every service of the namespace into each container: `LATCHKEY_ISSUANCE_SERVICE_HOST`,
/// `LATCHKEY_ISSUANCE_PORT_7710_TCP`. Nobody gave us those.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || (name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_the_setting_with_two_underscores_for_a_point() {
        assert_eq!(setting_of("LATCHKEY_RAFT__HEARTBEAT_MS").as_deref(), Some("raft.heartbeat_ms"));
        assert_eq!(setting_of("LATCHKEY_METRICS_LISTEN").as_deref(), Some("metrics_listen"));
    }

    #[test]
    fn what_nobody_gave_us_is_left_alone() {
        for variable in [
            "PATH",
            "LATCHKEY_CONFIG",
            "LATCHKEY_KEY_FILE",
            "LATCHKEY_VALIDATION_ADDRESS",
            "LATCHKEY_ISSUANCE_SERVICE_HOST",
            "LATCHKEY_ISSUANCE_SERVICE_PORT_GRPC",
            "LATCHKEY_ISSUANCE_PORT",
            "LATCHKEY_ISSUANCE_PORT_7710_TCP_ADDR",
        ] {
            assert_eq!(setting_of(variable), None, "{variable}");
        }
    }
}
