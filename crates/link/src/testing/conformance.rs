//! What every [`Registry`] must do. Each implementer runs [`suite`] against a fresh cluster.

use crate::answers;
use crate::{Barrier, Material, Query, Registry};
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{
    DisplayName, DurationMillis, Duty, Grant, IdentityName, KeyName, Refusal, Revision, Scope, Slug, TenantName,
};
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, Numbered};
use latchkey_state::{Actor, Command, CreateIdentity, CreateTenant, Operation, RequestMark};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::v1::replica_status::State as Known;
use latchkey_wire::request::Consistency;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;

/// Longer than an election.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Runs all of it. `root_text` is the text of the first key of `root`, `material` has the cluster's KEK.
///
/// # Panics
/// Where the registry does what it must not.
pub async fn suite(registry: &impl Registry, material: &Material, root_text: &str, entropy: &mut impl Entropy) {
    who_calls_is_told_by_the_key_text_only(registry, root_text).await;
    what_is_not_there_is_a_refusal(registry).await;
    a_write_is_read_and_a_repeat_gets_the_first_answer(registry, material, entropy).await;
    who_holds_no_grant_changes_nothing(registry, material, entropy).await;
    pages_neither_repeat_nor_hide(registry, material, entropy).await;
    every_replica_knows_a_write_in_the_end(registry).await;
}

fn by() -> Instant {
    Instant::now() + CALL_MAX
}

fn root() -> Actor {
    Actor::Identity(IdentityName::parse("tenants/system/identities/root").expect("a name"))
}

async fn who_calls_is_told_by_the_key_text_only(registry: &impl Registry, root_text: &str) {
    let root = registry.authenticate(root_text, None, by()).await.expect("the first key proves root");
    assert_eq!(Actor::Identity(root.identity.clone()), self::root());
    assert_eq!(root.grants, [Grant { duty: Duty::Root, scope: Scope::System }]);
    let (head, _) = root_text.split_at(root_text.len() - 1);
    for text in ["", "lkm", head, &format!("{head}!"), &root_text.to_uppercase()] {
        let refused = registry.authenticate(text, None, by()).await.expect_err("no such key");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
}

async fn what_is_not_there_is_a_refusal(registry: &impl Registry) {
    let key = KeyName::parse("tenants/system/keyspaces/management/keys/0000000000000000").expect("a name");
    let absent = [
        Query::Tenant("tenants/nobody".to_owned()),
        Query::Keyspace("tenants/system/keyspaces/none".to_owned()),
        Query::Owner("tenants/system/owners/nobody".to_owned()),
        Query::Identity("tenants/system/identities/nobody".to_owned()),
        Query::Key(key.to_string()),
    ];
    for query in absent {
        let refused = answers::read(registry, query, by()).await.expect_err("it is not there");
        assert_eq!(refused.code(), Code::NotFound);
    }
}

async fn a_write_is_read_and_a_repeat_gets_the_first_answer(
    registry: &impl Registry,
    material: &Material,
    entropy: &mut impl Entropy,
) {
    let mark = RequestMark { id: draw(entropy), hash: [1; 32] };
    let first = Command { request: Some(mark), ..create_tenant(registry, material, "first", entropy).await };
    let made = registry.propose(&first, by()).await.expect("there is a leader");
    assert!(matches!(made.answer, Ok(Told::Tenant(_))) && !made.replayed, "{made:?}");

    let fresh = Consistency::AtLeastAsFresh(made.revision);
    let read = registry.query(Query::Tenant("tenants/first".to_owned()), fresh, by()).await.expect("it is known");
    assert!(matches!(read.answer, Some(pb::query_response::Answer::Tenant(_))), "{read:?}");
    assert!(read.revision.map(Revision::from) >= Some(made.revision));

    let again = registry.propose(&first, by()).await.expect("there is a leader");
    assert!(again.replayed && again.revision == made.revision, "{again:?}");
    let other = Command { request: Some(RequestMark { hash: [2; 32], ..mark }), ..first };
    let reused = registry.propose(&other, by()).await.expect("there is a leader");
    assert_eq!(reused.answer, Err(Refusal::RequestIdReused));
}

async fn who_holds_no_grant_changes_nothing(registry: &impl Registry, material: &Material, entropy: &mut impl Entropy) {
    let nobody = IdentityName::parse("tenants/system/identities/nobody-in-particular").expect("a name");
    let operation = CreateIdentity { name: nobody.clone(), display_name: DisplayName::default(), grants: Vec::new() };
    let command = Command::new(root(), draw(entropy), Operation::CreateIdentity(operation));
    registry.propose(&command, by()).await.expect("there is a leader").answer.expect("root may");

    let mut command = create_tenant(registry, material, "stolen", entropy).await;
    command.actor = Actor::Identity(nobody);
    let refused = registry.propose(&command, by()).await.expect("there is a leader");
    assert_eq!(refused.answer, Err(Refusal::PermissionDenied { duty: Duty::Admin, scope: Scope::System }));
    let stolen = TenantName::parse("tenants/stolen").expect("a name");
    assert_eq!(answers::tenant(registry, &stolen, by()).await.expect_err("it was not made").code(), Code::NotFound);
}

async fn pages_neither_repeat_nor_hide(registry: &impl Registry, material: &Material, entropy: &mut impl Entropy) {
    for name in ["page-c", "page-a", "page-b"] {
        let command = create_tenant(registry, material, name, entropy).await;
        registry.propose(&command, by()).await.expect("there is a leader").answer.expect("root may");
    }
    let list = |after: String, scopes: &[&str]| pb::ListQuery {
        collection: Collection::Tenants.into(),
        parent: String::new(),
        page_size: 1,
        after,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let (page, _) = answers::page(registry, list(after, &[""]), by()).await.expect("a page");
        let [tenant] = page.tenants.as_slice() else { panic!("one a page was asked for, not {}", page.tenants.len()) };
        seen.push(tenant.name.clone());
        after = tenant.name.clone();
        if !page.more {
            break;
        }
    }
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    for name in ["tenants/page-a", "tenants/page-b", "tenants/page-c", "tenants/system"] {
        assert!(seen.iter().any(|one| one == name), "{name} is hidden");
    }

    let (narrow, _) = answers::page(registry, list(String::new(), &["tenants/page-b"]), by()).await.expect("a page");
    let names: Vec<_> = narrow.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!((names, narrow.more), (vec!["tenants/page-b"], false));
}

async fn every_replica_knows_a_write_in_the_end(registry: &impl Registry) {
    let system = answers::tenant(registry, &TenantName::system(), by()).await.expect("it is always there");
    let revision = system.revision.expect("a resource says its revision").into();
    let barrier = Barrier { revision, bound: DurationMillis::from_secs(5), wait: CALL_MAX };
    let replicas = registry.confirm(barrier, Instant::now() + 2 * CALL_MAX).await.expect("there is a leader");
    assert!(!replicas.is_empty());
    let places = replicas.iter().map(|one| (one.region.clone(), one.status.map(|status| status.replica)));
    assert!(places.collect::<Vec<_>>().is_sorted(), "{replicas:?}");
    for replica in replicas {
        let status = replica.status.expect("a replica says how it stands");
        assert!(matches!(status.state(), Known::Applied | Known::LeaseEnded) && status.time.is_some(), "{status:?}");
    }
}

async fn create_tenant(
    registry: &impl Registry,
    material: &Material,
    name: &str,
    entropy: &mut impl Entropy,
) -> Command {
    let cluster = registry.cluster(by()).await.expect("a replica says which cluster it is of");
    let tenant = DrawnKey::draw(entropy, cluster, RingKind::Tenant);
    let audit = DrawnKey::draw(entropy, cluster, RingKind::Audit);
    let parent = Numbered::new(latchkey_domain::RingNumber(0), tenant.key());
    let operation = CreateTenant {
        tenant: Slug::parse(name).expect("an id"),
        display_name: DisplayName::default(),
        tenant_key: material.wrap(&tenant, by()).await.expect("the KEK is here"),
        audit_key: audit.wrapped_under(parent, entropy),
    };
    Command::new(root(), draw(entropy), Operation::CreateTenant(operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemoryRegistry, Seeded};
    use latchkey_kms::testing::SwitchableKms;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_registry_in_memory_passes() {
        let (kms, mut entropy) = (Arc::new(SwitchableKms::new([1; 32])), Seeded(1));
        let (registry, text) = MemoryRegistry::found(&*kms, &mut entropy).await;
        suite(&registry, &Material::new(kms), text.expose(), &mut entropy).await;
    }
}
