//! The reason that an error carries in `google.rpc.ErrorInfo`.

use crate::pb::v1::ErrorReason;

/// The `domain` of every `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "latchkey";

const PREFIX: &str = "ERROR_REASON_";

impl ErrorReason {
    /// The word for it, as `ErrorInfo.reason` carries it: `ETAG_MISMATCH`.
    #[must_use]
    pub fn word(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix(PREFIX).unwrap_or(name)
    }

    /// The reason with this word; `None` for a word of a newer release.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::from_str_name(&format!("{PREFIX}{word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_that_leads_back_to_it() {
        let all: Vec<ErrorReason> = (0..1_000).filter_map(|number| ErrorReason::try_from(number).ok()).collect();
        assert!(all.len() > 35, "{}", all.len());
        for reason in all {
            assert!(!reason.word().starts_with(PREFIX) && reason.word().len() <= 63, "{}", reason.word());
            assert_eq!(ErrorReason::from_word(reason.word()), Some(reason));
        }
        assert_eq!(ErrorReason::EtagMismatch.word(), "ETAG_MISMATCH");
        assert_eq!(ErrorReason::from_word("NO_SUCH_REASON"), None);
    }
}
