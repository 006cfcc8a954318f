//! Requests, encoded before anything is measured, one behind the other.

use prost::Message;

/// A message on the wire begins with a byte for its compression and four for its length.
pub(super) const MESSAGE_HEAD: usize = 5;

/// Requests, and whether each may be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    once: bool,
}

impl Bodies {
    /// gRPC messages that are sent in turn, again and again.
    pub(crate) fn messages<M: Message>(messages: impl IntoIterator<Item = M>) -> Self {
        Self::collect(messages.into_iter().map(|message| with_head(&message)), false)
    }

    /// gRPC messages that are sent once each.
    pub(crate) fn messages_once<M: Message>(messages: impl IntoIterator<Item = M>) -> Self {
        Self::collect(messages.into_iter().map(|message| with_head(&message)), true)
    }

    /// Bytes as they are, that are sent in turn, again and again.
    pub(crate) fn plain(all: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::collect(all.into_iter(), false)
    }

    fn collect(all: impl Iterator<Item = Vec<u8>>, once: bool) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for body in all {
            bytes.extend_from_slice(&body);
            ends.push(bytes.len());
        }
        assert!(!ends.is_empty(), "there is something to ask");
        Self { bytes, ends, once }
    }

    /// Whether each is sent once only.
    pub(crate) const fn are_sent_once(&self) -> bool {
        self.once
    }

    /// The one to send as the `number`th; none where all were sent.
    pub(super) fn at(&self, number: usize) -> Option<&[u8]> {
        if self.once && number >= self.ends.len() {
            return None;
        }
        let number = number % self.ends.len();
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..self.ends[number]])
    }
}

fn with_head<M: Message>(message: &M) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).expect("a request is short");
    let mut body = vec![0];
    body.extend_from_slice(&length.to_be_bytes());
    message.encode(&mut body).expect("a vector takes everything");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_once_ends_and_the_rest_begins_again() {
        let words = || ["a".to_owned(), "bc".to_owned()];
        let (again, once) = (Bodies::messages(words()), Bodies::messages_once(words()));
        assert_eq!(again.at(3), Some(&b"\0\0\0\0\x04\x0a\x02bc"[..]));
        assert_eq!(again.at(2), once.at(0));
        assert_eq!(once.at(2), None);
    }
}
