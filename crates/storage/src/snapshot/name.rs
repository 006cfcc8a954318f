//! The name of a snapshot file.

use core::fmt;

/// At most 128 of `[A-Za-z0-9_.-]`, the first no dot: safe as a file name, never a path. Ordered as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName(String);

/// Why a text is no [`SnapshotName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no snapshot name: 1 to 128 of [A-Za-z0-9_.-], not starting with a dot")]
pub struct SnapshotNameError {
    text: String,
}

const NAME_BYTES_MAX: usize = 128;

impl SnapshotName {
    /// The only way to make one.
    /// # Errors
    /// [`SnapshotNameError`] if the text has another shape.
    pub fn parse(text: &str) -> Result<Self, SnapshotNameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.starts_with('.') || !text.bytes().all(fits) {
            return Err(SnapshotNameError { text: text.into() });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_leaves_the_folder_is_a_name() {
        for text in ["", ".", "..", "../a", "a/b", ".hidden", "a b", "ä", &"a".repeat(129)] {
            assert!(SnapshotName::parse(text).is_err(), "{text}");
        }
        assert_eq!(SnapshotName::parse("3-1042.lk").map(|name| name.to_string()), Ok("3-1042.lk".into()));
    }
}
