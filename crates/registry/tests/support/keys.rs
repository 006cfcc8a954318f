//! A tenant with a keyspace, and keys in it.

use super::three::carry_out;
use super::{Ground, Replica, WITHIN};
use latchkey_domain::{
    DisplayName, DurationMillis, Environment, KeyspaceName, Metadata, NetworkSet, PermissionSet, Prefix, Purpose,
    RingNumber, Terms,
};
use latchkey_kms::OsEntropy;
use latchkey_link::Material;
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, KeyDetails, Mint, Numbered};
use latchkey_state::{
    CreateKeys, CreateKeyspace, CreateTenant, Expiry, HolderName, KeyspaceSettings, Operation, StalenessPolicy,
};
use tokio::time::Instant;

pub fn by() -> Instant {
    Instant::now() + WITHIN
}

pub fn keyspace_name() -> KeyspaceName {
    KeyspaceName::parse("tenants/acme/keyspaces/live").expect("a name")
}

/// Makes the tenant alone.
pub async fn make_tenant(ground: &Ground, replicas: &[&Replica]) {
    let (material, registry) = (Material::new(ground.kms.clone()), &replicas[0].registry);
    let of = material.cluster(registry, by()).await.expect("a replica answers");
    let drawn = DrawnKey::draw(&mut OsEntropy, ground.cluster, RingKind::Tenant);
    let audit = DrawnKey::draw(&mut OsEntropy, ground.cluster, RingKind::Audit);
    let operation = CreateTenant {
        contacts: Vec::new(),
        tenant: keyspace_name().parent().tenant,
        display_name: DisplayName::default(),
        tenant_key: material.wrap(&of, &drawn, by()).await.expect("the KEK is here"),
        audit_key: audit.wrapped_under(Numbered::new(RingNumber(0), drawn.key()), &mut OsEntropy),
    };
    let made = carry_out(replicas, Operation::CreateTenant(operation)).await;
    replicas[0].until("it knows the tenant", |registry| registry.core().state().revision() >= made.revision).await;
}

/// Makes a tenant with a keyspace that keeps dead keys for one second.
pub async fn make_keyspace(ground: &Ground, replicas: &[&Replica]) {
    make_tenant(ground, replicas).await;
    let (material, registry) = (Material::new(ground.kms.clone()), &replicas[0].registry);
    let tenant = material.tenant(registry, &keyspace_name().parent(), by()).await.expect("a replica answers");
    let tenant_key = material.tenant_key(&tenant, by()).await.expect("the KEK is here");
    let drawn = DrawnKey::draw(&mut OsEntropy, ground.cluster, RingKind::Keyspace);
    let data_key = drawn.wrapped_under(Numbered::new(tenant_key.number, &*tenant_key.key), &mut OsEntropy);
    let settings = KeyspaceSettings {
        display_name: DisplayName::default(),
        prefix: Prefix::parse("live").expect("a prefix"),
        environment: Environment::parse("staging").expect("an environment"),
        allowed_permissions: PermissionSet::default(),
        default_lifetime: None,
        maximum_lifetime: None,
        networks: NetworkSet::default(),
        staleness_max: None,
        staleness_policy: StalenessPolicy::Refuse,
        dead_retention: DurationMillis::from_secs(1),
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
    let operation = CreateKeyspace { name: keyspace_name(), settings, data_key };
    let made = carry_out(replicas, Operation::CreateKeyspace(Box::new(operation))).await;
    replicas[0].until("it knows the keyspace", |registry| registry.core().state().revision() >= made.revision).await;
}

/// Makes keys that live for so long, in records of 500.
pub async fn make_keys(ground: &Ground, replicas: &[&Replica], count: usize, expiry: Expiry) {
    for _ in 0..count / 500 {
        carry_out(replicas, new_keys(ground, replicas[0], expiry).await).await;
    }
}

/// 500 keys to be made, that live for so long.
pub async fn new_keys(ground: &Ground, replica: &Replica, expiry: Expiry) -> Operation {
    new_keys_with_texts(ground, replica, 500, expiry).await.0
}

/// Some keys to be made, that live for so long, and their texts.
pub async fn new_keys_with_texts(
    ground: &Ground,
    replica: &Replica,
    count: usize,
    expiry: Expiry,
) -> (Operation, Vec<String>) {
    let (material, registry) = (Material::new(ground.kms.clone()), &replica.registry);
    let of = material.keyspace(registry, &keyspace_name(), by()).await.expect("a replica answers");
    let data_key = material.data_key(&of, by()).await.expect("the KEK is here");
    let pepper = material.pepper(&of.tenant.cluster, by()).await.expect("the KEK is here");
    let mint = Mint {
        cluster: ground.cluster,
        tenant: of.tenant.tenant.number,
        prefix: &of.keyspace.settings.prefix,
        data_key: Numbered::new(data_key.number, &*data_key.key),
        pepper: Numbered::new(pepper.number, &pepper.key),
    };
    let details = KeyDetails {
        holder: HolderName::None,
        display_name: DisplayName::default(),
        purpose: Purpose::default(),
        terms: Terms::default(),
        roles: Vec::new(),
        parent: None,
        metadata: Metadata::default(),
        not_before: None,
        expiry,
        rotation_policy: None,
    };
    let minted = (0..count).map(|_| mint.key(&mut OsEntropy).into_new_key(details.clone()));
    let (keys, texts) = minted.map(|(key, text)| (key, text.expose().to_owned())).unzip();
    (Operation::CreateKeys(CreateKeys { keyspace: keyspace_name(), keys, replay: None }), texts)
}
