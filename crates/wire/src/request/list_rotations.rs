//! `ListRotations` and `ListDueRotations`.

use super::filter::rotation_filter;
use super::page::{ReadListError, mark, page_size, read_token, write_token};
use crate::pb::v1;
use crate::time::read_span;
use crate::violation::Fields;
use latchkey_domain::{DurationMillis, KeyName, KeyspaceName, NameError, Scope, TenantName};
use std::fmt::{self, Display};

/// How far ahead keys that will be due are looked for.
pub const DUE_WITHIN_MAX: DurationMillis = DurationMillis::from_days(3_650);

/// One page of the rotations of a key, or of those in progress of a keyspace or a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRotations {
    /// Of what.
    pub parent: RotationParent,
    /// How many at most, 1 to [`PAGE_SIZE_MAX`](super::PAGE_SIZE_MAX).
    pub page_size: u32,
    /// Which; it reads. Empty: all.
    pub filter: String,
    /// Where the page before ended, as the answer to it said; absent: from the beginning.
    pub position: Option<Vec<u8>>,
}

/// One page of the keys of a keyspace or a tenant that are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListDueRotations {
    /// Of what.
    pub parent: DueParent,
    /// How many at most, 1 to [`PAGE_SIZE_MAX`](super::PAGE_SIZE_MAX).
    pub page_size: u32,
    /// Those as well that will be due within so long.
    pub within: DurationMillis,
    /// Where the page before ended, as the answer to it said; absent: from the beginning.
    pub position: Option<Vec<u8>>,
}

/// Whose rotations are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationParent {
    /// All of a key.
    Key(KeyName),
    /// Those in progress of a keyspace or a tenant.
    InProgress(DueParent),
}

/// Whose keys are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueParent {
    /// Those of a keyspace.
    Keyspace(KeyspaceName),
    /// Those of all keyspaces of a tenant.
    Tenant(TenantName),
}

impl DueParent {
    /// What a caller needs a duty on.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Keyspace(keyspace) => Scope::Keyspace(keyspace.clone()),
            Self::Tenant(tenant) => Scope::Tenant(tenant.clone()),
        }
    }

    /// Reads a keyspace or a tenant.
    ///
    /// # Errors
    /// [`NameError`] where it is neither.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if let Ok(tenant) = TenantName::parse(text) {
            return Ok(Self::Tenant(tenant));
        }
        KeyspaceName::parse(text)
            .map(Self::Keyspace)
            .map_err(|error| NameError { expected: "tenants/{tenant}, with or without /keyspaces/{keyspace}", ..error })
    }
}

impl RotationParent {
    /// Reads a key, a keyspace or a tenant.
    ///
    /// # Errors
    /// [`NameError`] where it is none of these.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if let Ok(key) = KeyName::parse(text) {
            return Ok(Self::Key(key));
        }
        DueParent::parse(text).map(Self::InProgress).map_err(|error| NameError {
            expected: "tenants/{tenant}, with or without /keyspaces/{keyspace}, with or without /keys/{key}",
            ..error
        })
    }
}

impl Display for DueParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyspace(keyspace) => keyspace.fmt(f),
            Self::Tenant(tenant) => tenant.fmt(f),
        }
    }
}

impl Display for RotationParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::InProgress(parent) => parent.fmt(f),
        }
    }
}

impl ListRotations {
    /// The token of the page that begins at `position`, as the answer to this one said.
    #[must_use]
    pub fn next_page_token(&self, position: &[u8]) -> String {
        write_token(self.mark(), position)
    }

    fn mark(&self) -> [u8; 8] {
        mark(&["rotations", &self.parent.to_string(), &self.filter])
    }
}

impl ListDueRotations {
    /// The token of the page that begins at `position`, as the answer to this one said.
    #[must_use]
    pub fn next_page_token(&self, position: &[u8]) -> String {
        write_token(self.mark(), position)
    }

    fn mark(&self) -> [u8; 8] {
        mark(&["due rotations", &self.parent.to_string(), &self.within.to_string()])
    }
}

/// Reads `ListRotations`.
///
/// # Errors
/// [`ReadListError`].
pub fn read_list_rotations(request: &v1::ListRotationsRequest) -> Result<ListRotations, ReadListError> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", RotationParent::parse(&request.parent));
    let page_size = page_size(&mut fields, request.page_size);
    let filter = rotation_filter(&mut fields, &request.filter);
    let list = || Some(ListRotations { parent: parent?, page_size: page_size?, filter: filter?, position: None });
    let list = fields.finish(list())?;
    let position = read_token(list.mark(), &request.page_token)?;
    Ok(ListRotations { position, ..list })
}

/// Reads `ListDueRotations`.
///
/// # Errors
/// [`ReadListError`].
pub fn read_list_due_rotations(request: &v1::ListDueRotationsRequest) -> Result<ListDueRotations, ReadListError> {
    let mut fields = Fields::default();
    let parent = fields.take("parent", DueParent::parse(&request.parent));
    let page_size = page_size(&mut fields, request.page_size);
    let within = fields.take_optional("within", request.within.as_ref().map(read_span));
    if within.flatten().is_some_and(|within| within > DUE_WITHIN_MAX) {
        fields.refuse("within", format_args!("must be at most {DUE_WITHIN_MAX}"));
    }
    let list = || {
        let within = within?.unwrap_or_default();
        Some(ListDueRotations { parent: parent?, page_size: page_size?, within, position: None })
    };
    let list = fields.finish(list())?;
    let position = read_token(list.mark(), &request.page_token)?;
    Ok(ListDueRotations { position, ..list })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{PageTokenInvalid, RotationFilter};
    use latchkey_domain::RotationState;
    use prost_types::Duration;

    const KEYSPACE: &str = "tenants/acme/keyspaces/live";

    fn named(error: ReadListError) -> Vec<String> {
        let ReadListError::Fields(violations) = error else { panic!("{error}") };
        violations.list().iter().map(|one| one.field.clone()).collect()
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let wrong = v1::ListRotationsRequest {
            parent: "acme".to_owned(),
            page_size: -1,
            filter: "state > HELD".to_owned(),
            ..Default::default()
        };
        assert_eq!(named(read_list_rotations(&wrong).unwrap_err()), ["parent", "page_size", "filter"]);
        let wrong = v1::ListDueRotationsRequest {
            parent: format!("{KEYSPACE}/keys/0000000000000001"),
            page_size: -1,
            within: Some(Duration { seconds: 3_651 * 86_400, nanos: 0 }),
            ..Default::default()
        };
        assert_eq!(named(read_list_due_rotations(&wrong).unwrap_err()), ["parent", "page_size", "within"]);
    }

    #[test]
    fn rotations_are_listed_of_a_key_a_keyspace_or_a_tenant_and_a_token_belongs_to_its_listing() {
        let ask = |parent: &str| v1::ListRotationsRequest { parent: parent.to_owned(), ..Default::default() };
        let key = format!("{KEYSPACE}/keys/0000000000000001");
        for parent in ["tenants/acme", KEYSPACE, &key] {
            assert_eq!(read_list_rotations(&ask(parent)).unwrap().parent.to_string(), parent);
        }
        let page_token = read_list_rotations(&ask(&key)).unwrap().next_page_token(&[1]);
        let next = v1::ListRotationsRequest { page_token: page_token.clone(), ..ask(&key) };
        assert_eq!(read_list_rotations(&next).unwrap().position, Some(vec![1]));
        let other = v1::ListRotationsRequest { page_token: page_token.clone(), ..ask(KEYSPACE) };
        assert_eq!(read_list_rotations(&other), Err(PageTokenInvalid.into()));
        let filtered = v1::ListRotationsRequest { page_token, filter: "state = HELD".to_owned(), ..ask(&key) };
        assert_eq!(read_list_rotations(&filtered), Err(PageTokenInvalid.into()));
    }

    #[test]
    fn a_filter_shows_the_states_that_it_names_and_none_shows_all() {
        let shown = |text: &str| {
            let filter = RotationFilter::parse(text).unwrap();
            RotationState::ALL.into_iter().filter(|state| filter.shows(*state)).count()
        };
        assert_eq!(shown(""), RotationState::ALL.len());
        assert_eq!(shown("state = HELD"), 1);
        assert_eq!(shown("state != HELD AND state != OVERLAP"), RotationState::ALL.len() - 2);
        for wrong in ["state = held", "state", "key = x", "state = HELD OR state = OVERLAP"] {
            assert!(RotationFilter::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_due_is_asked_of_now_or_of_a_while_ahead() {
        let ask = |seconds: Option<i64>| v1::ListDueRotationsRequest {
            parent: "tenants/acme".to_owned(),
            within: seconds.map(|seconds| Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        let now = read_list_due_rotations(&ask(None)).unwrap();
        assert_eq!((now.within, now.parent.to_string()), (DurationMillis::ZERO, "tenants/acme".to_owned()));
        let page_token = now.next_page_token(&[7]);
        let later = v1::ListDueRotationsRequest { page_token, ..ask(Some(60)) };
        assert_eq!(read_list_due_rotations(&later), Err(PageTokenInvalid.into()));
        assert_eq!(read_list_due_rotations(&ask(Some(60))).unwrap().within, DurationMillis::from_secs(60));
    }
}
