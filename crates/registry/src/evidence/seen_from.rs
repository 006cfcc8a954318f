//! Where a request came from, as far as whoever asked told, in a form that is safe to keep and to show.

use latchkey_domain::Network;
use std::net::IpAddr;

/// Bytes of a user agent, or of a tag, that are kept.
pub(super) const TEXT_BYTES_MAX: usize = 64;

/// Tags that are kept.
pub(super) const TAGS_MAX: usize = 4;

/// Where a request came from: of one key, hosts of a network change, and networks do not.
const V4_BITS: u8 = 24;
const V6_BITS: u8 = 48;

/// Where a request came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeenFrom<'a> {
    /// The address of the end client.
    pub client: Option<IpAddr>,
    /// Its user agent; empty: not told.
    pub user_agent: &'a str,
    /// The caller's own words.
    pub tags: &'a [(&'a str, &'a str)],
}

impl SeenFrom<'_> {
    /// The network that the client is in.
    pub(super) fn network(&self) -> Option<Network> {
        match self.client?.to_canonical() {
            IpAddr::V4(address) => {
                let bits = address.to_bits() & (u32::MAX << (32 - u32::from(V4_BITS)));
                Network::new(IpAddr::V4(bits.into()), V4_BITS).ok()
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits() & (u128::MAX << (128 - u32::from(V6_BITS)));
                Network::new(IpAddr::V6(bits.into()), V6_BITS).ok()
            }
        }
    }

    /// The tags as they are kept.
    pub(super) fn kept_tags(&self) -> Vec<Box<str>> {
        let kept = self.tags.iter().take(TAGS_MAX).map(|(word, value)| {
            let text = word.chars().chain(['=']).chain(value.chars());
            cut(text.map(clean), TEXT_BYTES_MAX).into_boxed_str()
        });
        kept.collect()
    }
}

/// The beginning of a text as it is kept. Whoever uses a key chooses its user agent, and others read it in a terminal.
pub(super) fn kept(text: &str) -> Box<str> {
    cut(text.chars().map(clean), TEXT_BYTES_MAX).into_boxed_str()
}

/// Whether a text is kept as this one. Allocates nothing.
pub(super) fn is_kept_as(text: &str, kept: &str) -> bool {
    if text.len() <= TEXT_BYTES_MAX && text == kept {
        return true;
    }
    let mut left = kept.chars();
    let mut bytes = 0;
    for char in text.chars().map(clean) {
        bytes += char.len_utf8();
        if bytes > TEXT_BYTES_MAX {
            break;
        }
        if left.next() != Some(char) {
            return false;
        }
    }
    left.next().is_none()
}

/// The beginning of a text.
pub(crate) fn cut(chars: impl Iterator<Item = char>, bytes_max: usize) -> String {
    let mut text = String::new();
    for char in chars {
        if text.len() + char.len_utf8() > bytes_max {
            break;
        }
        text.push(char);
    }
    text
}

/// Neither control characters nor what turns the direction of a line around.
pub(crate) fn clean(char: char) -> char {
    if char == ' ' || char.is_ascii_graphic() || char.is_alphanumeric() { char } else { '?' }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        let from = SeenFrom { client: Some(address.parse().unwrap()), ..SeenFrom::default() };
        from.network().unwrap().to_string()
    }

    #[test]
    fn an_address_is_kept_as_its_network() {
        assert_eq!(network("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:7:1::9"), "2001:db8:7::/48");
        assert_eq!(SeenFrom::default().network(), None);
    }

    #[test]
    fn what_is_kept_is_short_and_harmless_and_known_again() {
        let long = "ä".repeat(40);
        let texts = ["", "curl/8.5", "a\x1b[31mred\u{202e}", &long, &"x".repeat(64), &"x".repeat(65), "\u{1F600} hi"];
        for text in texts {
            let kept = kept(text);
            assert!(kept.len() <= TEXT_BYTES_MAX && !kept.chars().any(char::is_control), "{kept:?}");
            assert!(is_kept_as(text, &kept), "{text:?}");
            assert!(!is_kept_as(text, &format!("{kept}!")) && !is_kept_as(&format!("~{text}"), &kept), "{text:?}");
        }
        assert_eq!(&*kept("a\x1b[31mred\u{202e}"), "a?[31mred?");
        let tags = [("job", "nightly"), ("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")];
        let from = SeenFrom { tags: &tags, ..SeenFrom::default() };
        let kept: Vec<_> = from.kept_tags();
        assert_eq!((kept.len(), &*kept[0]), (TAGS_MAX, "job=nightly"));
    }
}
