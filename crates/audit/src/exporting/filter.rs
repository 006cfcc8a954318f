//! Which entries a sink gets.

use latchkey_config::{ActionPattern, SinkSettings};
use latchkey_domain::{Slug, TenantName};

/// Which entries a sink gets: of some tenants, of some actions, or all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The names of tenants; empty: all, and the cluster's own entries.
    tenants: Vec<String>,
    actions: Vec<ActionPattern>,
    /// Words that are meant as they are; empty: all.
    words: &'static [&'static str],
}

impl Filter {
    /// As the settings of a sink say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let name = |id: &Slug| TenantName::new(id.clone()).to_string();
        Self { tenants: settings.tenants.iter().map(name).collect(), actions: settings.actions.clone(), words: &[] }
    }

    /// These actions, of all tenants.
    #[must_use]
    pub fn actions(words: &'static [&'static str]) -> Self {
        Self { words, ..Self::default() }
    }

    /// Whether an entry is among them.
    #[must_use]
    pub fn holds(&self, tenant: &str, action: &str) -> bool {
        let tenant = self.tenants.is_empty() || self.tenants.iter().any(|named| named == tenant);
        let word = self.words.is_empty() || self.words.contains(&action);
        tenant && word && (self.actions.is_empty() || self.actions.iter().any(|pattern| pattern.matches(action)))
    }
}
