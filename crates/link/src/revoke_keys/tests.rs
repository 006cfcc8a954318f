//! Revoking by filter in several records, and what a repeat of it finds.

use super::*;
use crate::Material;
use crate::testing::{MemoryRegistry, Seeded};
use latchkey_domain::{
    DisplayName, Environment, Grant, IdentityName, Metadata, NetworkSet, PermissionSet, Prefix, Purpose, ReasonText,
    RevocationReason, RingNumber, Slug, Terms,
};
use latchkey_kms::testing::SwitchableKms;
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, KeyDetails, Mint, Numbered};
use latchkey_state::{CreateKeys, CreateKeyspace, CreateTenant, Expiry, HolderName, KeyspaceSettings, StalenessPolicy};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

struct House {
    registry: MemoryRegistry,
    material: Material,
    entropy: Seeded,
    keyspace: KeyspaceName,
    root: ProvenIdentity,
}

fn by() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

impl House {
    async fn new(keys: usize) -> Self {
        let (kms, mut entropy) = (Arc::new(SwitchableKms::new([1; 32])), Seeded(1));
        let (registry, text) = MemoryRegistry::found(&*kms, &mut entropy).await;
        let root = registry.authenticate(text.expose(), None, by()).await.unwrap();
        let keyspace = KeyspaceName::parse("tenants/acme/keyspaces/live").unwrap();
        let mut house = Self { registry, material: Material::new(kms), entropy, keyspace, root };
        house.make_keyspace().await;
        house.make_keys(keys).await;
        house
    }

    async fn carry_out(&mut self, operation: Operation) {
        let command = Command::new(self.root.actor(), draw(&mut self.entropy), operation);
        self.registry.propose(&command, by()).await.unwrap().answer.unwrap();
    }

    async fn make_keyspace(&mut self) {
        let of = self.material.cluster(&self.registry, by()).await.unwrap();
        let drawn = DrawnKey::draw(&mut self.entropy, of.cluster, RingKind::Tenant);
        let audit = DrawnKey::draw(&mut self.entropy, of.cluster, RingKind::Audit);
        let tenant = CreateTenant {
            contacts: Vec::new(),
            tenant: Slug::parse("acme").unwrap(),
            display_name: DisplayName::default(),
            tenant_key: self.material.wrap(&of, &drawn, by()).await.unwrap(),
            audit_key: audit.wrapped_under(Numbered::new(RingNumber(0), drawn.key()), &mut self.entropy),
        };
        self.carry_out(Operation::CreateTenant(tenant)).await;
        let of = self.material.tenant(&self.registry, &self.keyspace.parent(), by()).await.unwrap();
        let data_key = DrawnKey::draw(&mut self.entropy, of.cluster.cluster, RingKind::Keyspace);
        let settings = KeyspaceSettings {
            display_name: DisplayName::default(),
            prefix: Prefix::parse("live").unwrap(),
            environment: Environment::parse("staging").unwrap(),
            allowed_permissions: PermissionSet::default(),
            default_lifetime: None,
            maximum_lifetime: None,
            networks: NetworkSet::default(),
            staleness_max: None,
            staleness_policy: StalenessPolicy::Refuse,
            dead_retention: DurationMillis::from_days(1),
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
        let parent = Numbered::new(of.tenant_key.number, drawn.key());
        let data_key = data_key.wrapped_under(parent, &mut self.entropy);
        let name = self.keyspace.clone();
        self.carry_out(Operation::CreateKeyspace(Box::new(CreateKeyspace { name, settings, data_key }))).await;
    }

    async fn make_keys(&mut self, count: usize) {
        let of = self.material.keyspace(&self.registry, &self.keyspace, by()).await.unwrap();
        let data_key = self.material.data_key(&of, by()).await.unwrap();
        let pepper = self.material.pepper(&of.tenant.cluster, by()).await.unwrap();
        let mint = Mint {
            cluster: of.tenant.cluster.cluster,
            tenant: of.tenant.tenant.number,
            prefix: &of.keyspace.settings.prefix,
            data_key: Numbered::new(data_key.number, &*data_key.key),
            pepper: Numbered::new(pepper.number, &pepper.key),
        };
        let details = || KeyDetails {
            holder: HolderName::None,
            display_name: DisplayName::default(),
            purpose: Purpose::default(),
            terms: Terms::default(),
            roles: Vec::new(),
            parent: None,
            metadata: Metadata::default(),
            not_before: None,
            expiry: Expiry::Default,
            rotation_policy: None,
        };
        let keys: Vec<_> = (0..count).map(|_| mint.key(&mut self.entropy).into_new_key(details()).0).collect();
        for keys in keys.chunks(KEYS_PER_COMMAND_MAX) {
            let operation = CreateKeys { keyspace: self.keyspace.clone(), keys: keys.to_vec(), replay: None };
            self.carry_out(Operation::CreateKeys(operation)).await;
        }
    }

    async fn select(&self) -> Selected {
        self.registry.select(&self.keyspace, "", by()).await.unwrap()
    }

    /// One try of one call: what it selected, and the set that the caller means.
    async fn revoke(&mut self, selected: Selected, named: Option<String>) -> Result<(u64, bool), Code> {
        let (mark, operation) = self.operation();
        let set = Set { keyspace: self.keyspace.clone(), selected, named };
        let done = set.revoke(&self.registry, &self.root, mark, operation, &mut self.entropy, by()).await;
        done.map(|(answer, ..)| (answer.key_count, answer.replayed)).map_err(|status| status.code())
    }

    /// The records of a try that died after these, none of which was to be its last.
    async fn revoke_in_part(&mut self, keys: &[KeyId]) {
        let (mark, operation) = self.operation();
        for (part, keys) in (0..).zip(keys.chunks(KEYS_PER_COMMAND_MAX)) {
            let operation = latchkey_state::RevokeKeys { keys: keys.to_vec(), ..operation.clone() };
            let command = Command::new(self.root.actor(), draw(&mut self.entropy), Operation::RevokeKeys(operation));
            let command = Command { request: Some(mark_of_part(mark, part, false)), ..command };
            self.registry.propose(&command, by()).await.unwrap().answer.unwrap();
        }
    }

    fn operation(&self) -> (RequestMark, latchkey_state::RevokeKeys) {
        let mark = RequestMark { id: [7; 16], hash: [8; 32] };
        let operation = latchkey_state::RevokeKeys {
            keyspace: self.keyspace.clone(),
            keys: Vec::new(),
            reason: RevocationReason::Compromised,
            text: ReasonText::default(),
            operation: mark.id,
        };
        (mark, operation)
    }
}

#[test]
fn a_uuid_is_written_as_everybody_expects_it() {
    let bytes = [0x55, 0x0e, 0x84, 0, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0, 0];
    assert_eq!(written(bytes), "550e8400-e29b-41d4-a716-446655440000");
    assert_eq!(uuid(bytes), bytes);
}

#[test]
fn each_record_of_an_operation_is_remembered_under_an_id_of_its_own() {
    let mark = |id, part, last| mark_of_part(RequestMark { id: [id; 16], hash: [9; 32] }, part, last);
    let ids: BTreeSet<_> = (0..100).map(|part| mark(7, part, false).id).collect();
    assert_eq!(ids.len(), 100);
    assert!(!ids.contains(&mark(8, 0, false).id));
    assert_eq!(mark(7, 0, true).id, mark(7, 0, false).id);
    assert_ne!(mark(7, 0, true).hash, mark(7, 0, false).hash);
}

#[tokio::test]
async fn a_repeat_goes_on_where_the_first_try_ended_and_counts_both() {
    let mut house = House::new(2_500).await;
    let all = house.select().await;
    assert_eq!(all.keys.len(), 2_500);
    // The first try died after two of its records.
    let first = Selected { keys: all.keys[..1_500].to_vec(), ..all.clone() };
    assert_eq!(house.revoke(first, Some(all.name())).await, Err(Code::Aborted), "another set is another set");
    house.revoke_in_part(&all.keys[..1_500]).await;

    // By now other keys match than those that the caller named, and that is the doing of the first try.
    let left = house.select().await;
    assert_eq!(left.keys, all.keys[1_500..]);
    assert_eq!(house.revoke(left, Some(all.name())).await, Ok((2_500, true)));
    for _ in 0..3 {
        let none = house.select().await;
        assert_eq!(none.keys, []);
        assert_eq!(house.revoke(none, Some(all.name())).await, Ok((2_500, true)), "the first answer, again");
    }
}

#[tokio::test]
async fn a_repeat_of_what_was_done_to_the_end_touches_no_key_that_was_made_since() {
    for count in [0, 3, 1_000, 1_001, 2_500] {
        let mut house = House::new(count).await;
        let (all, told) = (house.select().await, u64::try_from(count).unwrap());
        assert_eq!(house.revoke(all.clone(), Some(all.name())).await, Ok((told, false)));
        for made in [5, 1_500] {
            house.make_keys(made).await;
            let living = house.select().await;
            assert!(!living.keys.is_empty());
            assert_eq!(house.revoke(living.clone(), Some(all.name())).await, Ok((told, true)));
            assert_eq!(house.revoke(living.clone(), None).await, Ok((told, true)));
            assert_eq!(house.select().await.keys, living.keys, "after {count} keys, with {made} more");
        }
    }
}

#[tokio::test]
async fn a_scope_tells_what_it_holds_before_it_is_cut() {
    let mut house = House::new(150).await;
    let scope = || CutScope::Tenant(house.keyspace.parent());
    let (before, _) = reach(&house.registry, &scope(), Consistency::default(), by()).await.unwrap();
    assert_eq!((before.key_count, before.sample.len(), before.bound_ms), (150, SAMPLE_MAX, 5_000));
    assert!(before.sample.is_sorted());
    let operation = Cut { scope: scope(), reason: RevocationReason::OwnerLeft, text: ReasonText::default() };
    let mark = RequestMark { id: [9; 16], hash: [0; 32] };
    let (registry, root) = (&house.registry, &house.root);
    let (answer, _, bound) = cut(registry, root, mark, [1; 32], operation.clone(), by()).await.unwrap();
    assert_eq!((answer.key_count, answer.replayed, bound), (150, false, DurationMillis::from_secs(5)));
    let (again, ..) = cut(registry, root, mark, [2; 32], operation, by()).await.unwrap();
    assert_eq!((again.key_count, again.replayed), (0, true));
    assert_eq!(house.select().await.keys, []);
    let grants: Vec<Grant> = Vec::new();
    let stranger = ProvenIdentity {
        identity: IdentityName::parse("tenants/system/identities/stranger").unwrap(),
        grants,
        ..house.root.clone()
    };
    house.root = stranger;
    assert_eq!(house.revoke(Selected::default(), None).await, Err(Code::PermissionDenied));
}
