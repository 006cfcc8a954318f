//! Where something is reached over HTTP.

use std::fmt;

use crate::field::Field;
use crate::host_port::HostPort;

/// What stands where a secret may be.
const HIDDEN: &str = "***";

/// A URL of HTTP: `https://host[:port][/path][?query]`, without user or fragment; `http` is for this machine only.
///
/// Many receivers know their callers by what stands in the query, so neither `Display` nor `Debug` shows it: [`Self::target`] and
/// [`Self::whole`] do.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    tls: bool,
    host: HostPort,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads one. `None` where it has another form, or where it would send something in the clear to another machine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        // An address of IPv6 has colons of its own; a port follows its bracket.
        let named = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let host = if named { HostPort::parse(authority)? } else { HostPort::parse(&format!("{authority}:{port}"))? };
        // RFC 3986, section 3.3 and 3.4: a letter that HTTP does not carry would be found out only by the call.
        let carried = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte));
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query.to_owned())));
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        (carried && (tls || host.is_loopback())).then_some(Self { tls, host, path, query })
    }

    /// Whether it is `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host and the port.
    #[must_use]
    pub const fn host(&self) -> &HostPort {
        &self.host
    }

    /// The path; at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, which may be a secret.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The path and the query, as a call names them. Never to be shown.
    #[must_use]
    pub fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }

    /// All of it, which tells it from every other. Never to be shown.
    #[must_use]
    pub fn whole(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.host, self.target())
    }

    const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.host, self.path)?;
        if self.query.is_some() { write!(f, "?{HIDDEN}") } else { Ok(()) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl Field for Url {
    const EXPECTED: &'static str =
        "a URL such as https://logs.example/intake, without a user and a password (http only to this machine)";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn shown(text: &str) -> String {
        format!("{:?}", without_secrets(text))
    }
}

/// What may be shown of a text that was to be a URL: neither what stands before an `@` nor what follows the path.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, hidden) = rest.split_at(end);
    // Nobody can tell where a password with a question mark in it ends.
    if hidden.contains('@') {
        return format!("{scheme}{HIDDEN}");
    }
    let place = place.rsplit_once('@').map_or_else(|| place.to_owned(), |(_, place)| format!("{HIDDEN}@{place}"));
    let hidden = if hidden.is_empty() { "" } else { HIDDEN };
    let mark = rest.get(end..=end).unwrap_or_default();
    format!("{scheme}{place}{mark}{hidden}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_a_port_and_a_path() {
        for (text, shown) in [
            ("https://logs.example", "https://logs.example:443/"),
            ("HTTPS://Logs.example:9200/a/b?c=d", "https://logs.example:9200/a/b?c=d"),
            ("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/"),
            ("http://127.0.0.1:9200", "http://127.0.0.1:9200/"),
            ("https://h.example?q", "https://h.example:443/?q"),
        ] {
            assert_eq!(Url::parse(text).unwrap().whole(), shown);
        }
    }

    #[test]
    fn what_may_be_a_secret_is_shown_nowhere() {
        let url = Url::parse("https://h.example/a?token=x").unwrap();
        assert_eq!((url.path(), url.query(), url.target().as_str()), ("/a", Some("token=x"), "/a?token=x"));
        assert_eq!(url.to_string(), "https://h.example:443/a?***");
        assert_eq!(format!("{url:?}"), "Url(https://h.example:443/a?***)");
        for (text, shown) in [
            ("https://u:p@host/path?token=x", "https://***@host/path?***"),
            ("https://u:p?x@host/path?token=x", "https://***"),
            ("https://u:p/x@host/#token=x", "https://***@host/#***"),
            ("u:p@host", "***@host"),
            ("https://h.example/?token=x@y", "https://***"),
            ("https://h.example/<x>", "https://h.example/<x>"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }

    #[test]
    fn what_is_no_url_or_goes_in_the_clear_is_refused() {
        for text in [
            "",
            "logs.example",
            "ftp://h.example",
            "https://",
            "https://user@h.example",
            "https://h.example/a b",
            "https://h.example/#x",
            "https://h.example/<x>",
            "https://h.example/?q=<x>",
            "https://h.example/`x`",
            "https://h.example/\"x\"",
            "http://logs.example",
            "http://10.0.0.1/",
            "https://h.example:port",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }
}
