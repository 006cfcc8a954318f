//! The reference of all settings, from their declarations.

use crate::audit::AuditSettings;
use crate::declare::Group;
use crate::issuance::IssuanceSettings;
use crate::reader::variable;
use crate::rotation::RotationSettings;
use crate::validation::ValidationSettings;

/// One setting in the reference.
#[derive(Debug)]
pub(crate) struct Row {
    setting: String,
    meaning: String,
}

impl Row {
    pub(crate) fn new(setting: String, meaning: &str) -> Self {
        Self { setting, meaning: meaning.trim().to_owned() }
    }
}

/// Markdown tables of every setting of every service: name, variable, meaning (with unit, default, since).
#[must_use]
pub fn documentation() -> String {
    format!(
        "## validation\n\n{}\n## issuance\n\n{}\n## rotation\n\n{}\n## audit\n\n{}",
        table(&rows::<ValidationSettings>()),
        table(&rows::<IssuanceSettings>()),
        table(&rows::<RotationSettings>()),
        table(&rows::<AuditSettings>())
    )
}

fn rows<T: Group>() -> Vec<Row> {
    let mut rows = Vec::new();
    T::document("", &mut rows);
    rows
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from("| setting | variable | meaning |\n|---|---|---|\n");
    for Row { setting, meaning } in rows {
        let variable = if setting.contains("[]") { "file only".to_owned() } else { format!("`{}`", variable(setting)) };
        table.push_str(&format!("| `{setting}` | {variable} | {meaning} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_its_default_and_since_when_it_is() {
        let (validation, issuance) = (rows::<ValidationSettings>(), rows::<IssuanceSettings>());
        let (rotation, audit) = (rows::<RotationSettings>(), rows::<AuditSettings>());
        for row in validation.iter().chain(&issuance).chain(&rotation).chain(&audit) {
            let said = row.meaning.contains("Required.") || row.meaning.contains("Default ");
            assert!(said && row.meaning.contains("Since 0."), "{}: {}", row.setting, row.meaning);
            let since = row.meaning.rsplit("Since ").next().unwrap().trim_end_matches('.');
            assert!(version(since) <= version(env!("CARGO_PKG_VERSION")), "{}: since {since}", row.setting);
        }
    }

    /// The first two numbers of a version.
    fn version(text: &str) -> (u32, u32) {
        let mut numbers = text.split('.').map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    #[test]
    fn the_reference_names_the_variable_of_each_setting() {
        let text = documentation();
        assert!(text.contains("| `raft.heartbeat_ms` | `LATCHKEY_RAFT__HEARTBEAT_MS` | "), "{text}");
        assert!(text.contains("| `members[].id` | file only | "), "{text}");
    }
}
