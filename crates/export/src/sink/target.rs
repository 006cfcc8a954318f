//! What a call asks a server for: a path and a query.

use latchkey_config::Url;
use std::fmt;

/// A path and a query. The query may hold what the server knows us by, so nothing shows it.
#[derive(Clone)]
pub(crate) struct Target {
    path: String,
    query: String,
}

impl Target {
    /// That of a URL.
    pub(crate) fn of(url: &Url) -> Self {
        Self { path: url.path().to_owned(), query: url.query().unwrap_or_default().to_owned() }
    }

    /// What lies below it.
    pub(crate) fn below(mut self, path: &str) -> Self {
        self.path.truncate(self.path.trim_end_matches('/').len());
        self.path.push('/');
        self.path.push_str(path);
        self
    }

    /// With more in its query.
    pub(crate) fn asking(mut self, query: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(query);
        self
    }

    /// As the first line of a call has it.
    pub(crate) fn text(&self) -> String {
        let Self { path, query } = self;
        if query.is_empty() { path.clone() } else { format!("{path}?{query}") }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_settings_ask_for_stands_before_what_we_do_and_is_not_shown() {
        let target = |url: &str| Target::of(&Url::parse(url).unwrap());
        let bulk = |url: &str| target(url).below("index/_bulk").asking("a=b").text();
        assert_eq!(bulk("https://h.example"), "/index/_bulk?a=b");
        assert_eq!(bulk("https://h.example/es/?token=x"), "/es/index/_bulk?token=x&a=b");
        assert_eq!(target("https://h.example/es").text(), "/es");
        assert_eq!(format!("{:?}", target("https://h.example/es?token=x")), "Target(/es)");
    }
}
