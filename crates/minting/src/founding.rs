//! The first command of a cluster, and the text of the first key of `root`.

use crate::contexts::RingKind;
use crate::mint::{KeyDetails, Mint};
use crate::{DrawnKey, Numbered};
use alloc::boxed::Box;
use latchkey_crypto::{Entropy, KeyText, Pepper};
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Environment, IdentityName, NetworkSet, PermissionSet, Prefix,
    SYSTEM_TENANT, Slug, TenantNumber,
};
use latchkey_state::{Bootstrap, HolderName, KeyspaceSettings, StalenessPolicy, bootstrap_ring};

/// What every management key text begins with.
pub const MANAGEMENT_PREFIX: &str = "lkm";
/// The first identity, in the system tenant.
pub const ROOT_IDENTITY: &str = "root";

/// The number that the first tenant of a cluster gets, which is the system's.
const SYSTEM_TENANT_NUMBER: TenantNumber = TenantNumber(1);
/// How long dead management keys stay readable.
const DEAD_RETENTION: DurationMillis = DurationMillis::from_days(90);
/// Management keys, dead ones included: far more than there are identities.
const MANAGEMENT_KEYS_MAX: u64 = 1_000_000;

/// The keys of a new cluster that the KEK has to wrap.
#[derive(Debug)]
pub struct Founding {
    cluster: ClusterId,
    /// Seals the log.
    pub log: DrawnKey,
    /// Keys the digests.
    pub pepper: DrawnKey,
    /// Seals the replays of the first hour.
    pub replay: DrawnKey,
    /// Wraps the system tenant's keys.
    pub tenant: DrawnKey,
}

/// What the KEK made of the keys of a [`Founding`].
#[derive(Clone, Debug)]
pub struct FoundingWrapped {
    /// Of [`Founding::log`].
    pub log: Box<[u8]>,
    /// Of [`Founding::pepper`].
    pub pepper: Box<[u8]>,
    /// Of [`Founding::replay`].
    pub replay: Box<[u8]>,
    /// Of [`Founding::tenant`].
    pub tenant: Box<[u8]>,
}

impl Founding {
    /// Draws them.
    pub fn draw(entropy: &mut (impl Entropy + ?Sized), cluster: ClusterId) -> Self {
        Self {
            cluster,
            log: DrawnKey::draw(entropy, cluster, RingKind::Log),
            pepper: DrawnKey::draw(entropy, cluster, RingKind::Pepper),
            replay: DrawnKey::draw(entropy, cluster, RingKind::Replay),
            tenant: DrawnKey::draw(entropy, cluster, RingKind::Tenant),
        }
    }

    /// The first command, and the key text to be shown once.
    ///
    /// `staleness_floor` and `staleness_default` come from the profile that the cluster is made with.
    pub fn into_bootstrap(
        self,
        wrapped: FoundingWrapped,
        staleness_floor: DurationMillis,
        staleness_default: DurationMillis,
        entropy: &mut (impl Entropy + ?Sized),
    ) -> (Bootstrap, KeyText) {
        let tenant = Numbered::new(bootstrap_ring::TENANT, self.tenant.key());
        let audit = DrawnKey::draw(entropy, self.cluster, RingKind::Audit);
        let keyspace = DrawnKey::draw(entropy, self.cluster, RingKind::Keyspace);
        let (audit_key, keyspace_key) = (audit.wrapped_under(tenant, entropy), keyspace.wrapped_under(tenant, entropy));

        let (management, pepper) = (management_settings(), Pepper::new(self.pepper.key().expose()));
        let mint = Mint {
            cluster: self.cluster,
            tenant: SYSTEM_TENANT_NUMBER,
            prefix: &management.prefix,
            data_key: Numbered::new(bootstrap_ring::KEYSPACE, keyspace.key()),
            pepper: Numbered::new(bootstrap_ring::PEPPER, &pepper),
        };
        let details = KeyDetails {
            holder: HolderName::Identity(IdentityName::new(slug(SYSTEM_TENANT), slug(ROOT_IDENTITY))),
            display_name: text("The first key of root"),
            ..KeyDetails::default()
        };
        let (root_key, root_text) = mint.key(entropy).into_new_key(details);
        let bootstrap = Bootstrap {
            cluster: self.cluster,
            staleness_floor,
            staleness_default,
            log_key: self.log.wrapped(wrapped.log),
            pepper: self.pepper.wrapped(wrapped.pepper),
            replay_key: self.replay.wrapped(wrapped.replay),
            tenant_key: self.tenant.wrapped(wrapped.tenant),
            audit_key,
            keyspace_key,
            management,
            root_key,
        };
        (bootstrap, root_text)
    }
}

/// Management keys permit nothing by themselves: what they may do is their identity's grants.
fn management_settings() -> KeyspaceSettings {
    KeyspaceSettings {
        display_name: text("Management keys"),
        prefix: Prefix::parse(MANAGEMENT_PREFIX).expect("a built-in prefix is well-formed"),
        environment: Environment::parse(Environment::PRODUCTION).expect("a preset is well-formed"),
        allowed_permissions: PermissionSet::default(),
        default_lifetime: None,
        maximum_lifetime: None,
        networks: NetworkSet::default(),
        staleness_max: None,
        staleness_policy: StalenessPolicy::Refuse,
        dead_retention: DEAD_RETENTION,
        keys_max: MANAGEMENT_KEYS_MAX,
        allowed_roles: Box::default(),
        versions_max: u64::MAX,
        metadata_bytes_max: u64::MAX,
        self_revocation_off: false,
        import_formats: Box::default(),
        rotation_policy: None,
        access_sample_ppm: 0,
        expiry_notices: None,
    }
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("built-in ids are well-formed")
}

fn text(text: &str) -> DisplayName {
    DisplayName::parse(text).expect("built-in names are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contexts::{self, RingKeyPlace};
    use crate::ring::unwrap;
    use crate::test_support::Seeded;
    use latchkey_crypto::{DataKey, Inner, envelope, parse};
    use latchkey_domain::{NodeId, Revision, UnixMillis};
    use latchkey_state::{Actor, Command, Operation, RingPurpose, State};

    const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

    fn founded() -> (State, KeyText, DataKey, DataKey) {
        let mut entropy = Seeded(1);
        let founding = Founding::draw(&mut entropy, CLUSTER);
        let (tenant, pepper) =
            (DataKey::new(*founding.tenant.key().expose()), DataKey::new(*founding.pepper.key().expose()));
        let wrapped = FoundingWrapped { log: [1].into(), pepper: [2].into(), replay: [3].into(), tenant: [4].into() };
        let (floor, default) = (DurationMillis::from_secs(4), DurationMillis::from_secs(5));
        let (bootstrap, text) = founding.into_bootstrap(wrapped, floor, default, &mut entropy);
        let mut state = State::default();
        let operation = Operation::Bootstrap(Box::new(bootstrap));
        let mut command = Command::new(Actor::Replica(NodeId(1)), [0; 32], operation);
        command.at = UnixMillis::new(1_000);
        state.apply(Revision::new(1, 1), &command).answer.unwrap();
        (state, text, tenant, pepper)
    }

    #[test]
    fn the_first_key_is_found_and_proved_in_the_state_that_the_command_makes() {
        let (state, text, tenant_key, pepper) = founded();
        let presented = parse(text.expose()).unwrap();
        let found = state.version(presented.version).expect("the first command makes the key");
        assert_eq!(presented.prefix, MANAGEMENT_PREFIX);
        assert!(state.keyspace_name(found.keyspace).is_management());
        assert_eq!(found.tenant.number, SYSTEM_TENANT_NUMBER);

        let inner = Inner::of(presented.version, &presented.secret);
        assert!(Pepper::new(pepper.expose()).digest(&inner).matches(&found.version.digest));
        assert_eq!(state.ring_key(found.version.pepper).unwrap().purpose, RingPurpose::Pepper);

        let row = state.ring_key(found.keyspace.data_key).unwrap();
        let data_key = unwrap(&tenant_key, &RingKeyPlace::new(CLUSTER, row.purpose, row.id), &row.wrapped).unwrap();
        let place = contexts::inner(CLUSTER, found.tenant.number, &presented.version);
        let opened = envelope::open(&data_key, &place, &found.version.inner).unwrap();
        assert_eq!(opened.as_slice(), inner.expose());
    }

    #[test]
    fn every_ciphertext_of_the_first_command_names_the_ring_key_that_opens_it() {
        let (state, text, ..) = founded();
        let found = state.version(parse(text.expose()).unwrap().version).unwrap();
        assert_eq!(envelope::ring_number(&found.version.inner), Ok(found.keyspace.data_key));
        for number in [found.keyspace.data_key, found.tenant.audit_key] {
            let row = state.ring_key(number).unwrap();
            assert_eq!(envelope::ring_number(&row.wrapped), Ok(row.wrapped_by));
            assert_eq!(row.wrapped_by, found.tenant.tenant_key);
        }
    }

    #[test]
    fn root_s_key_permits_nothing_by_itself() {
        let (state, text, ..) = founded();
        let found = state.version(parse(text.expose()).unwrap().version).unwrap();
        assert!(found.key.terms.permissions.is_empty());
    }
}
