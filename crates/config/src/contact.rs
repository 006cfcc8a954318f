//! Where people are told something.

use crate::field::Field;
use crate::url::Url;

/// Where somebody is told something: what people write as a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// An e-mail address.
    Mail(String),
    /// A URL that takes webhooks.
    Webhook(Url),
}

impl Contact {
    /// Reads one: `keys@example.com`, `mailto:keys@example.com` or `https://...`. `None`: it is neither, such as a name or a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(url) = Url::parse(text) {
            // In the clear it would be this machine, which no contact means.
            return url.is_tls().then_some(Self::Webhook(url));
        }
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        is_address(address).then(|| Self::Mail(address.to_owned()))
    }

    /// What tells it from every other. Never to be shown: a URL may hold a secret.
    #[must_use]
    pub fn whole(&self) -> String {
        match self {
            Self::Mail(address) => address.clone(),
            Self::Webhook(url) => url.whole(),
        }
    }
}

/// Whether a text can stand as an e-mail address: printable ASCII with one `@` and no letter that ends it.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte));
    let parts = text.split_once('@');
    plain
        && text.len() <= 254
        && parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

impl Field for Contact {
    const EXPECTED: &'static str = "e-mail addresses and URLs of https, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn shown(_: &str) -> String {
        "not shown: it may hold a secret".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_an_address_or_a_url_and_nothing_else_is_one() {
        assert_eq!(Contact::parse(" mailto:a@b.example"), Some(Contact::Mail("a@b.example".to_owned())));
        assert!(matches!(Contact::parse("https://h.example/x"), Some(Contact::Webhook(_))));
        for text in
            ["", "the keys team", "+49 30 1234", "http://127.0.0.1/", "ftp://h.example", "a@b>\r\nRCPT TO:<c@d>"]
        {
            assert_eq!(Contact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        assert!(is_address("keys@example.com") && is_address("a.b+c@sub.example.com"));
        for text in ["", "@", "a@", "@b", "a b@c", "a@b>\r\nDATA", "a@b@c", "é@example.com", "a@b, c@d"] {
            assert!(!is_address(text), "{text}");
        }
    }
}
