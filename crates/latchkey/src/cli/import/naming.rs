//! Owners and roles of another system under names that Latchkey can have: `[a-z]([a-z0-9-]{0,61}[a-z0-9])?`.

use super::row::Row;
use latchkey_domain::Slug;
use sha2::{Digest as _, Sha256};

/// What is left of a name that has to change, so that what is added to tell it from others still fits.
const KEPT_CHARS_MAX: usize = 48;

/// Key of metadata for an owner that is not one here.
const OWNER_KEY: &str = "source.owner";

/// How names become names.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    /// The tenant, as an id.
    pub(crate) tenant: String,
    /// Owners become metadata.
    pub(crate) owners_as_metadata: bool,
}

/// A name here, in full, and the name that the other system has.
pub(crate) type Pair = (String, String);

impl Naming {
    /// The row without its owner and its roles, and both.
    pub(crate) fn apply(&self, mut row: Row) -> (Row, Option<Pair>, Vec<Pair>) {
        let full =
            |collection: &str, name: String| (format!("tenants/{}/{collection}/{}", self.tenant, id(&name)), name);
        let roles = std::mem::take(&mut row.roles).into_iter().map(|role| full("roles", role)).collect();
        let owner = row.owner.take();
        if let (true, Some(owner)) = (self.owners_as_metadata, &owner) {
            row.metadata.insert(OWNER_KEY.to_owned(), owner.clone());
            return (row, None, roles);
        }
        (row, owner.map(|owner| full("owners", owner)), roles)
    }
}

/// The name itself where it can be one; else what it looks like, and digits of its SHA-256, so that two names stay two.
pub(crate) fn id(name: &str) -> String {
    if Slug::parse(name).is_ok() {
        return name.to_owned();
    }
    let mut slug = String::with_capacity(name.len());
    for sign in name.chars().map(|sign| sign.to_ascii_lowercase()) {
        let plain = sign.is_ascii_lowercase() || sign.is_ascii_digit();
        if plain || !slug.ends_with('-') {
            slug.push(if plain { sign } else { '-' });
        }
    }
    let slug = slug.trim_matches('-');
    let begin = if slug.starts_with(|first: char| first.is_ascii_lowercase()) { "" } else { "x" };
    let kept = &slug[..slug.len().min(KEPT_CHARS_MAX)];
    let tail: String = Sha256::digest(name).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{begin}{}-{tail}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_one_that_can_be_and_two_stay_two() {
        for name in ["shop", "user_1234abcd", "USER_1234abcd", "", "-", "9", "é", "a b", "a_b", &"x".repeat(200)] {
            let id = id(name);
            assert!(Slug::parse(&id).is_ok(), "{name} becomes {id}");
        }
        assert_eq!(id("shop"), "shop");
        assert!(id("user_1234abcd").starts_with("user-1234abcd-"));
        assert_ne!(id("user_1"), id("USER_1"));
        assert_ne!(id("a b"), id("a_b"));
    }

    #[test]
    fn an_owner_that_shall_be_none_is_kept_as_metadata() {
        let row = || Row { owner: Some("user_7".to_owned()), roles: vec!["reader".to_owned()], ..Row::default() };
        let naming = Naming { tenant: "acme".to_owned(), owners_as_metadata: true };
        let (kept, owner, roles) = naming.apply(row());
        assert_eq!((kept.metadata["source.owner"].as_str(), owner), ("user_7", None));
        assert_eq!(roles, [("tenants/acme/roles/reader".to_owned(), "reader".to_owned())]);
        let naming = Naming { owners_as_metadata: false, ..naming };
        let (full, name) = naming.apply(row()).1.unwrap();
        assert!(full.starts_with("tenants/acme/owners/user-7-") && name == "user_7");
    }
}
