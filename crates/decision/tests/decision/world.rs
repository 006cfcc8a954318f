//! A small cluster, built by rows: two tenants, and keys with real digests.

use latchkey_crypto::{Inner, KeyText, Pepper, Secret, compose};
use latchkey_decision::{Access, Decision, Denials, Ground, Peppers, Question, Undecided, Verdict, decide};
use latchkey_domain::{
    ClusterId, DurationMillis, Duty, Environment, Grant, IdentityNumber, KeyId, KeyspaceName, KeyspaceNumber, Method,
    MethodSet, Outcome, OwnerNumber, PermissionPattern, PermissionSet, Prefix, ReasonText, Revision, RevocationReason,
    RingNumber, RoleNumber, RoleSet, Scope, Slug, TenantNumber, Terms, UnixMillis, VersionId,
};
use latchkey_policy::AccessContext;
use latchkey_state::{
    Cluster, Holder, Identity, Key, Keyspace, KeyspaceSettings, Owner, Rare, Restriction, Revocation, Role, Row,
    SEALED_INNER_BYTES, ScopeCut, StalenessPolicy, State, Suspension, Tenant, TenantQuotas, Version,
};
use std::sync::Arc;

/// The time at which everything is decided.
pub(crate) const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// The pepper of all digests.
pub(crate) const PEPPER: RingNumber = RingNumber(2);
/// The staleness bound of `acme/live`, of `acme/test` and of all others. The floor is lower still.
pub(crate) const LIVE_BOUND: DurationMillis = DurationMillis::from_secs(60);
pub(crate) const TEST_BOUND: DurationMillis = DurationMillis::from_secs(20);
pub(crate) const OTHER_BOUND: DurationMillis = DurationMillis::from_secs(10);
pub(crate) const FLOOR: DurationMillis = DurationMillis::from_secs(5);

const SYSTEM: TenantNumber = TenantNumber(1);
const ACME: TenantNumber = TenantNumber(2);
const RIVAL: TenantNumber = TenantNumber(3);
pub(crate) const MANAGEMENT: KeyspaceNumber = KeyspaceNumber(1);
pub(crate) const LIVE: KeyspaceNumber = KeyspaceNumber(2);
pub(crate) const TEST: KeyspaceNumber = KeyspaceNumber(3);
pub(crate) const RIVALS: KeyspaceNumber = KeyspaceNumber(4);
/// A role of `acme`: `billing:*` by `GET` and `PUT`.
pub(crate) const BILLING: RoleNumber = RoleNumber(16);

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) peppers: Peppers,
    pub(crate) age: DurationMillis,
    pub(crate) denials: Option<Denials>,
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub(crate) fn keyspace_name(text: &str) -> KeyspaceName {
    KeyspaceName::parse(text).unwrap()
}

pub(crate) fn validator(scope: &str) -> Vec<Grant> {
    vec![Grant { duty: Duty::Validator, scope: Scope::parse(scope).unwrap() }]
}

pub(crate) fn permissions(patterns: &[&str]) -> PermissionSet {
    PermissionSet::from_values(patterns.iter().map(|text| PermissionPattern::parse(text).unwrap())).unwrap()
}

pub(crate) fn secret(number: u8) -> Secret {
    Secret::from_chars(&[b'a' + number % 26; 32]).unwrap()
}

pub(crate) fn version_id(number: u8) -> VersionId {
    VersionId::from_random([number; 12])
}

pub(crate) fn text(prefix: &str, number: u8) -> KeyText {
    compose(&Prefix::parse(prefix).unwrap(), version_id(number), &secret(number))
}

pub(crate) fn revocation(effective_at: UnixMillis) -> Option<Box<Revocation>> {
    let (reason, text) = (RevocationReason::Compromised, ReasonText::default());
    Some(Box::new(Revocation { effective_at, asked_at: NOW, reason, text }))
}

/// A cut of what belonged to something at this log index or earlier.
pub(crate) fn cut(index: u64) -> Option<Box<ScopeCut>> {
    let (reason, text) = (RevocationReason::OwnerLeft, ReasonText::default());
    Some(Box::new(ScopeCut { revision: Revision::new(1, index), at: NOW, reason, text, marked: false }))
}

pub(crate) fn suspension() -> Option<Box<Suspension>> {
    Some(Box::new(Suspension { at: before(5), text: ReasonText::default() }))
}

/// To these permissions, where any are given, until `ends_at`.
pub(crate) fn restriction(permitted: Option<&[&str]>, ends_at: UnixMillis) -> Option<Box<Restriction>> {
    Some(Box::new(Restriction {
        permissions: permitted.map(permissions),
        networks: Default::default(),
        ends_at,
        at: before(5),
        text: ReasonText::default(),
    }))
}

pub(crate) fn roles(numbers: &[RoleNumber]) -> RoleSet {
    RoleSet::from_values(numbers.iter().copied()).unwrap()
}

pub(crate) fn key_id(number: u8) -> KeyId {
    KeyId::from_random([number; 12])
}

pub(crate) fn before(millis: u64) -> UnixMillis {
    UnixMillis::new(NOW.millis() - millis)
}

pub(crate) fn after(millis: u64) -> UnixMillis {
    NOW.plus(DurationMillis::new(millis))
}

fn tenant(number: TenantNumber, id: &str) -> Row {
    Row::Tenant(Arc::new(Tenant {
        contacts: Vec::new(),
        number,
        id: slug(id),
        display_name: Default::default(),
        quotas: TenantQuotas::default(),
        created_at: NOW,
        changed: None,
        cut: None,
        tenant_key: RingNumber(4),
        audit_key: RingNumber(5),
    }))
}

fn keyspace(
    number: KeyspaceNumber,
    tenant: TenantNumber,
    id: &str,
    prefix: &str,
    staleness_max: DurationMillis,
) -> Row {
    let settings = KeyspaceSettings {
        display_name: Default::default(),
        prefix: Prefix::parse(prefix).unwrap(),
        environment: Environment::parse(Environment::PRODUCTION).unwrap(),
        allowed_permissions: PermissionSet::default(),
        default_lifetime: None,
        maximum_lifetime: None,
        networks: Default::default(),
        staleness_max: Some(staleness_max),
        staleness_policy: StalenessPolicy::Refuse,
        dead_retention: DurationMillis::from_days(90),
        keys_max: u64::MAX,
        allowed_roles: Box::default(),
        versions_max: u64::MAX,
        metadata_bytes_max: u64::MAX,
        self_revocation_off: false,
        import_formats: Box::default(),
        rotation_policy: None,
        access_sample_ppm: 0,
        expiry_notices: None,
    };
    Row::Keyspace(Arc::new(Keyspace {
        number,
        tenant,
        id: slug(id),
        settings,
        staleness_max,
        staleness_before: None,
        created_at: NOW,
        changed: None,
        cut: None,
        data_key: RingNumber(6),
        keys: 1,
    }))
}

/// A key of that number, whose version has that number too.
pub(crate) fn key(pepper: &Pepper, keyspace: KeyspaceNumber, number: u8, holder: Holder) -> Key {
    let version = Version {
        id: version_id(number),
        pepper: PEPPER,
        digest: pepper.digest(&Inner::of(version_id(number), &secret(number))),
        inner: [0; SEALED_INNER_BYTES],
        created_at: NOW,
        details: Rare::default(),
    };
    Key {
        id: key_id(number),
        keyspace,
        holder,
        display_name: Default::default(),
        terms: Arc::new(Terms { permissions: permissions(&["orders:*"]), ..Terms::default() }),
        created: Revision::new(1, 10),
        created_at: NOW,
        expires_at: None,
        details: Default::default(),
        versions: version.into(),
    }
}

impl World {
    /// `acme/live` has keys 1 and 2, `acme/test` key 3, `rival/live` key 4; the identity `acme/gateway` has key 9.
    pub(crate) fn new() -> Self {
        let pepper = Pepper::new(&[7; 32]);
        let cluster =
            Cluster { id: ClusterId([1; 16]), staleness_floor: FLOOR, staleness_default: OTHER_BOUND, created_at: NOW };
        let owner = Owner {
            number: OwnerNumber(1),
            tenant: ACME,
            id: slug("shop"),
            display_name: Default::default(),
            contacts: Vec::new(),
            created_at: NOW,
            changed: None,
            cut: None,
        };
        let identity = Identity {
            number: IdentityNumber(1),
            tenant: ACME,
            id: slug("gateway"),
            display_name: Default::default(),
            grants: validator("tenants/acme"),
            created_at: NOW,
            changed: None,
        };
        let role = Role {
            number: BILLING,
            tenant: ACME,
            id: slug("billing"),
            display_name: Default::default(),
            permissions: permissions(&["billing:*"]),
            methods: MethodSet::from_values(["GET", "PUT"].map(|method| Method::parse(method).unwrap())).unwrap(),
            created_at: NOW,
            created: Revision::new(1, 3),
            changed: None,
            cut: None,
        };
        let rows = [
            Row::Cluster(Arc::new(cluster)),
            tenant(SYSTEM, "system"),
            tenant(ACME, "acme"),
            tenant(RIVAL, "rival"),
            keyspace(MANAGEMENT, SYSTEM, "management", "lkm", OTHER_BOUND),
            keyspace(LIVE, ACME, "live", "acme_live", LIVE_BOUND),
            keyspace(TEST, ACME, "test", "acme_test", TEST_BOUND),
            keyspace(RIVALS, RIVAL, "live", "rival", OTHER_BOUND),
            Row::Owner(Arc::new(owner)),
            Row::Identity(Arc::new(identity)),
            Row::Role(Arc::new(role)),
            Row::Key(Arc::new(key(&pepper, LIVE, 1, Holder::Owner(OwnerNumber(1))))),
            Row::Key(Arc::new(key(&pepper, LIVE, 2, Holder::None))),
            Row::Key(Arc::new(key(&pepper, TEST, 3, Holder::None))),
            Row::Key(Arc::new(key(&pepper, RIVALS, 4, Holder::None))),
            Row::Key(Arc::new(key(&pepper, MANAGEMENT, 9, Holder::Identity(IdentityNumber(1))))),
        ];
        let state = State::load(rows.into_iter()).unwrap();
        let peppers = Peppers::from([(PEPPER, Arc::new(pepper))]);
        Self { state, peppers, age: DurationMillis::ZERO, denials: None }
    }

    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground { state: &self.state, peppers: &self.peppers, now: NOW, denials: self.denials.as_ref() }
    }

    pub(crate) fn change_key(&mut self, keyspace: KeyspaceNumber, number: u8, change: impl FnOnce(&mut Key)) {
        let mut key = (**self.state.key_at(keyspace, key_id(number)).unwrap()).clone();
        change(&mut key);
        self.state.install(Row::Key(Arc::new(key)));
    }

    pub(crate) fn change_role(&mut self, change: impl FnOnce(&mut Role)) {
        let mut role = (**self.state.roles().by_number(BILLING).unwrap()).clone();
        change(&mut role);
        self.state.install(Row::Role(Arc::new(role)));
    }

    pub(crate) fn change_keyspace(&mut self, number: KeyspaceNumber, change: impl FnOnce(&mut Keyspace)) {
        let mut keyspace = (**self.state.keyspaces().by_number(number).unwrap()).clone();
        change(&mut keyspace);
        self.state.install(Row::Keyspace(Arc::new(keyspace)));
    }

    pub(crate) fn change_tenant(&mut self, change: impl FnOnce(&mut Tenant)) {
        let mut tenant = (**self.state.tenants().by_number(ACME).unwrap()).clone();
        change(&mut tenant);
        self.state.install(Row::Tenant(Arc::new(tenant)));
    }

    pub(crate) fn change_owner(&mut self, change: impl FnOnce(&mut Owner)) {
        let mut owner = (**self.state.owners().by_number(OwnerNumber(1)).unwrap()).clone();
        change(&mut owner);
        self.state.install(Row::Owner(Arc::new(owner)));
    }

    pub(crate) fn decide<'a>(
        &'a self,
        key_text: &str,
        question: Question<'a>,
        access: Access<'_>,
    ) -> Result<Decision<'a>, Undecided> {
        decide(key_text, self.ground(), question, access, || Ok(self.age))
    }

    /// What a caller with these grants is answered who asks for nothing in particular.
    pub(crate) fn verdict<'a>(&'a self, key_text: &str, grants: &'a [Grant]) -> Result<Verdict<'a>, Undecided> {
        let context = AccessContext::default();
        let access = Access { query: None, context: &context };
        Ok(self.decide(key_text, Question::new(grants, None), access)?.verdict(self.age)?)
    }

    pub(crate) fn outcome(&self, key_text: &str, grants: &[Grant]) -> Outcome {
        self.verdict(key_text, grants).unwrap().outcome()
    }
}
