//! Short names: `acme/orders` for `tenants/acme/keyspaces/orders`. Both forms are read everywhere, and people are shown the
//! short one. Only the form is looked at here; whether a name can be is the services' to say.

use crate::cli::error::CliError;

/// Characters of an id that Latchkey drew.
const ID_CHARS: usize = 16;

/// What a name names, and so what stands between the slashes of its full form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tenant,
    Keyspace,
    Owner,
    Role,
    Identity,
    Key,
    Version,
    Rotation,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Tenant,
        Self::Keyspace,
        Self::Owner,
        Self::Role,
        Self::Identity,
        Self::Key,
        Self::Version,
        Self::Rotation,
    ];

    /// The collections on the way, the tenant's first.
    const fn collections(self) -> &'static [&'static str] {
        match self {
            Self::Tenant => &["tenants"],
            Self::Keyspace => &["tenants", "keyspaces"],
            Self::Owner => &["tenants", "owners"],
            Self::Role => &["tenants", "roles"],
            Self::Identity => &["tenants", "identities"],
            Self::Key => &["tenants", "keyspaces", "keys"],
            Self::Version => &["tenants", "keyspaces", "keys", "versions"],
            Self::Rotation => &["tenants", "keyspaces", "keys", "rotations"],
        }
    }

    /// The short form, as help shows it.
    pub(crate) const fn form(self) -> &'static str {
        match self {
            Self::Tenant => "TENANT",
            Self::Keyspace => "TENANT/KEYSPACE",
            Self::Owner => "TENANT/OWNER",
            Self::Role => "TENANT/ROLE",
            Self::Identity => "TENANT/IDENTITY",
            Self::Key => "TENANT/KEYSPACE/KEY",
            Self::Version => "TENANT/KEYSPACE/KEY/VERSION",
            Self::Rotation => "TENANT/KEYSPACE/KEY/ROTATION",
        }
    }

    /// The full form of `name`; `tenant` stands in where the short form leaves the tenant out.
    ///
    /// # Errors
    /// What was expected. A name that is none is not repeated: it may be a key text in the wrong place.
    pub(crate) fn full(self, name: &str, tenant: Option<&str>) -> Result<String, CliError> {
        if let Some(segments) = self.segments(name) {
            check_ids(&segments)?;
            return Ok(name.to_owned());
        }
        let collections = self.collections();
        let mut segments: Vec<&str> = name.split('/').collect();
        if segments.len() + 1 == collections.len()
            && let Some(tenant) = tenant
        {
            segments.insert(0, tenant.strip_prefix("tenants/").unwrap_or(tenant));
        }
        let fits = segments.len() == collections.len() && !segments.iter().any(|segment| segment.is_empty());
        if !fits {
            return Err(self.unfit(tenant.is_some()));
        }
        check_ids(&segments)?;
        let parts = collections.iter().zip(segments).map(|(collection, id)| format!("{collection}/{id}"));
        Ok(parts.collect::<Vec<_>>().join("/"))
    }

    /// The full form of the parent, and the last segment: what creating asks for.
    ///
    /// # Errors
    /// As [`Self::full`].
    pub(crate) fn parent_and_id(self, name: &str, tenant: Option<&str>) -> Result<(String, String), CliError> {
        let full = self.full(name, tenant)?;
        let id = full.rsplit('/').next().unwrap_or_default();
        if latchkey_domain::Slug::parse(id).is_err() {
            let what =
                "expected an id of small letters, digits and hyphens that begins with a letter, such as acme-corp";
            return Err(CliError::usage(what).remedy("give what people read with --display-name"));
        }
        let (rest, id) = full.rsplit_once('/').expect("a full name has a collection before its id");
        let parent = rest.rsplit_once('/').map_or("", |(parent, _)| parent);
        Ok((parent.to_owned(), id.to_owned()))
    }

    /// The ids of a full name of this kind.
    fn segments(self, name: &str) -> Option<Vec<&str>> {
        let parts: Vec<&str> = name.split('/').collect();
        let collections = self.collections();
        if parts.len() != 2 * collections.len() {
            return None;
        }
        let fits =
            parts.chunks(2).zip(collections).all(|(part, collection)| part[0] == *collection && !part[1].is_empty());
        fits.then(|| parts.into_iter().skip(1).step_by(2).collect())
    }

    fn unfit(self, tenant_known: bool) -> CliError {
        let full: Vec<String> =
            self.collections().iter().zip(self.form().split('/')).map(|(a, b)| format!("{a}/{b}")).collect();
        let what = format!("expected a name of the form {} or {}", self.form(), full.join("/"));
        let error = CliError::usage(what);
        if self != Self::Tenant && !tenant_known {
            return error.remedy("give the tenant in the name, or once for all with --tenant or LATCHKEY_TENANT");
        }
        error
    }
}

/// That what Latchkey drew itself, the ids below a keyspace, has the form that it gives them.
fn check_ids(segments: &[&str]) -> Result<(), CliError> {
    let drawn = |id: &&str| id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    for (id, of) in segments.iter().skip(2).zip(["key", "version or a rotation"]) {
        if !drawn(id) {
            let what = format!("expected the id of a {of}, which has {ID_CHARS} letters and digits");
            return Err(CliError::usage(what).remedy("latchkey key list KEYSPACE shows the keys with their ids"));
        }
    }
    Ok(())
}

/// The short form of a full name of any kind; other texts as they are.
pub(crate) fn short(text: &str) -> String {
    if !text.starts_with("tenants/") {
        return text.to_owned();
    }
    // Of kinds with equally many segments only one has these collections.
    let segments = Kind::ALL.iter().find_map(|kind| kind.segments(text));
    segments.map_or_else(|| text.to_owned(), |segments| segments.join("/"))
}

/// A key, or one version of it.
///
/// # Errors
/// What was expected.
pub(crate) fn key_or_version(name: &str, tenant: Option<&str>) -> Result<String, CliError> {
    // Without the tenant a version has as many segments as a key with it: the key is what is meant.
    Kind::Key.full(name, tenant).or_else(|error| Kind::Version.full(name, tenant).map_err(|_| error))
}

/// The tenant of a full name.
pub(crate) fn tenant_of(full: &str) -> Option<&str> {
    full.strip_prefix("tenants/")?.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_refused_and_not_repeated() {
        for text in ["", "/", "a/", "a/b/c/d/e", "tenants/acme/owners/shop", "lkm_secretsecret"] {
            let error = Kind::Keyspace.full(text, None).unwrap_err().to_string();
            assert!(error.contains("TENANT/KEYSPACE") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn both_forms_and_a_tenant_from_elsewhere_are_read() {
        let full = "tenants/acme/keyspaces/orders";
        assert_eq!(Kind::Keyspace.full(full, Some("other")).unwrap(), full);
        assert_eq!(Kind::Keyspace.full("acme/orders", Some("other")).unwrap(), full);
        assert_eq!(Kind::Keyspace.full("orders", Some("acme")).unwrap(), full);
        assert_eq!(Kind::Keyspace.full("orders", Some("tenants/acme")).unwrap(), full);
        assert_eq!(
            Kind::Keyspace.parent_and_id("orders", Some("acme")).unwrap(),
            ("tenants/acme".to_owned(), "orders".to_owned())
        );
        assert_eq!(Kind::Tenant.parent_and_id("acme", None).unwrap(), (String::new(), "acme".to_owned()));
    }

    #[test]
    fn what_is_made_gets_an_id_that_can_be_one() {
        for name in ["Acme Corp", "acme_corp", "9", "acme-"] {
            let error = Kind::Tenant.parent_and_id(name, None).unwrap_err().text();
            assert!(error.contains("acme-corp") && error.contains("--display-name"), "{error}");
        }
    }

    #[test]
    fn a_short_name_leads_back_to_the_full_one() {
        for (kind, full) in [
            (Kind::Tenant, "tenants/a"),
            (Kind::Keyspace, "tenants/a/keyspaces/b"),
            (Kind::Owner, "tenants/a/owners/b"),
            (Kind::Key, "tenants/a/keyspaces/b/keys/cccccccccccccccc"),
            (Kind::Version, "tenants/a/keyspaces/b/keys/cccccccccccccccc/versions/dddddddddddddddd"),
            (Kind::Rotation, "tenants/a/keyspaces/b/keys/cccccccccccccccc/rotations/dddddddddddddddd"),
        ] {
            assert_eq!(kind.full(&short(full), None).unwrap(), full);
        }
        assert_eq!(short("some words"), "some words");
        assert_eq!(short("tenants/a/nothing/b"), "tenants/a/nothing/b");
    }

    #[test]
    fn a_name_may_be_of_a_key_or_of_its_version() {
        assert_eq!(
            key_or_version("a/b/cccccccccccccccc", None).unwrap(),
            "tenants/a/keyspaces/b/keys/cccccccccccccccc"
        );
        assert_eq!(
            key_or_version("a/b/cccccccccccccccc/dddddddddddddddd", None).unwrap(),
            "tenants/a/keyspaces/b/keys/cccccccccccccccc/versions/dddddddddddddddd"
        );
        assert!(key_or_version("a/b/nosuch", None).unwrap_err().to_string().contains("16 letters and digits"));
        assert_eq!(tenant_of("tenants/a/keyspaces/b"), Some("a"));
    }
}
