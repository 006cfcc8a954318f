//! What every [`Registry`] must do. Each implementer runs [`suite`] against a fresh cluster.

use crate::answers;
use crate::evidence::VersionUse;
use crate::{Barrier, FollowItem, Following, Material, Query, Registry, Selected};
use latchkey_crypto::{Entropy, draw, draw_version_id};
use latchkey_domain::{
    DisplayName, DurationMillis, Duty, Grant, IdentityName, KeyName, KeyspaceName, Refusal, Revision, Scope, Sequence,
    Slug, TenantName, UnixMillis,
};
use latchkey_minting::contexts::RingKind;
use latchkey_minting::{DrawnKey, Numbered};
use latchkey_state::{Actor, Command, CreateIdentity, CreateTenant, Operation, RequestMark};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::pb::v1::replica_status::State as Known;
use latchkey_wire::request::Consistency;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
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
    a_rehearsal_tells_what_would_be_and_changes_nothing(registry, entropy).await;
    pages_neither_repeat_nor_hide(registry, material, entropy).await;
    every_tenant_has_the_built_in_roles(registry).await;
    a_selection_is_of_one_revision_and_its_name_is_that_of_its_set(registry).await;
    what_happens_is_followed_without_a_gap(registry, material, entropy).await;
    every_replica_knows_a_write_in_the_end(registry).await;
    every_replica_tells_what_it_has_seen(registry, entropy).await;
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
    assert!(matches!(read.answer, Some(Answer::Tenant(_))), "{read:?}");
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

async fn a_rehearsal_tells_what_would_be_and_changes_nothing(registry: &impl Registry, entropy: &mut impl Entropy) {
    let name = IdentityName::parse("tenants/system/identities/rehearsed").expect("a name");
    let create = CreateIdentity { name: name.clone(), display_name: DisplayName::default(), grants: Vec::new() };
    let command = |actor: Actor, opening| Command::new(actor, opening, Operation::CreateIdentity(create.clone()));
    for _ in 0..2 {
        let rehearsed = answers::rehearse(registry, &command(root(), draw(entropy)), by()).await;
        let (told, _) = rehearsed.expect("root may make identities");
        assert!(matches!(told, Told::Identity(identity) if identity.name == name.to_string()));
        let absent = answers::identity(registry, &name, by()).await.expect_err("a rehearsal makes nothing");
        assert_eq!(absent.code(), Code::NotFound);
    }
    let nobody = Actor::Identity(name);
    let refused = answers::rehearse(registry, &command(nobody, draw(entropy)), by()).await;
    assert_eq!(refused.expect_err("he holds no grant").code(), Code::PermissionDenied);
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
        ..Default::default()
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

async fn every_tenant_has_the_built_in_roles(registry: &impl Registry) {
    let list = |parent: &str, after: String| pb::ListQuery {
        collection: Collection::Roles.into(),
        parent: parent.to_owned(),
        page_size: 2,
        after,
        scopes: vec![String::new()],
        ..Default::default()
    };
    let (mut after, mut names) = (String::new(), Vec::new());
    loop {
        let (page, _) = answers::page(registry, list("tenants/system", after), by()).await.expect("a page");
        assert!(page.roles.iter().all(|role| role.built_in));
        names.extend(page.roles.into_iter().map(|role| role.name));
        if !page.more {
            break;
        }
        after = names.last().expect("a page that is not the last holds something").clone();
    }
    assert_eq!(names, ["admin", "read-only", "standard"].map(|id| format!("tenants/system/roles/{id}")));
    for name in names {
        let (answer, _) = answers::read(registry, Query::Role(name), by()).await.expect("a built-in role");
        assert!(matches!(answer, Answer::Role(_)), "{answer:?}");
    }
    for absent in ["tenants/system/roles/support", "tenants/nobody/roles/admin"] {
        let refused = answers::read(registry, Query::Role(absent.to_owned()), by()).await.expect_err("it is not there");
        assert_eq!(refused.code(), Code::NotFound);
    }
}

async fn a_selection_is_of_one_revision_and_its_name_is_that_of_its_set(registry: &impl Registry) {
    let management = KeyspaceName::management();
    let all = registry.select(&management, "", by()).await.expect("the empty filter matches all");
    assert!(!all.keys.is_empty() && all.keys.is_sorted() && all.bound != DurationMillis::ZERO, "{all:?}");
    assert_eq!(registry.select(&management, "", by()).await.expect("again").name(), all.name());
    let fewer = Selected { keys: Vec::new(), ..all.clone() };
    assert_ne!(fewer.name(), all.name());
    let owned = registry.select(&management, r#"owner = "tenants/system/identities/root""#, by()).await;
    assert_eq!(owned.expect("a filter").keys, all.keys);
    let others = registry.select(&management, r#"owner = "tenants/system/identities/nobody""#, by()).await;
    assert_eq!(others.expect("a filter").keys, []);
    let damaged = registry.select(&management, "owner ~ nobody", by()).await.expect_err("that is no filter");
    assert_eq!(damaged.code(), Code::InvalidArgument);
    let none = KeyspaceName::parse("tenants/system/keyspaces/none").expect("a name");
    assert_eq!(registry.select(&none, "", by()).await.expect_err("it is not there").code(), Code::NotFound);
}

async fn what_happens_is_followed_without_a_gap(
    registry: &impl Registry,
    material: &Material,
    entropy: &mut impl Entropy,
) {
    let mut events = registry.follow(Sequence(0), by()).await.expect("nothing was trimmed");
    let mut next = 0;
    loop {
        match follow_one(&mut events).await {
            FollowItem::Event(event) => {
                assert_eq!(event.sequence, Sequence(next));
                next += 1;
            }
            FollowItem::Progress { next: Sequence(told), .. } if next > 0 => {
                assert_eq!(told, next);
                break;
            }
            FollowItem::Progress { .. } => {}
        }
    }
    let command = create_tenant(registry, material, "followed", entropy).await;
    let made = registry.propose(&command, by()).await.expect("there is a leader");
    assert!(made.answer.is_ok(), "{made:?}");
    // From where the first one stands, and from the middle.
    let mut later = registry.follow(Sequence(next), by()).await.expect("nothing was trimmed");
    for events in [&mut events, &mut later] {
        let event = loop {
            if let FollowItem::Event(event) = follow_one(events).await {
                break event;
            }
        };
        assert_eq!((event.sequence, event.revision), (Sequence(next), made.revision));
    }
}

async fn follow_one(events: &mut Following) -> FollowItem {
    let item = tokio::time::timeout(CALL_MAX, events.next()).await.expect("a follower hears something each second");
    item.expect("following has no end").expect("a replica that answers")
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

async fn every_replica_tells_what_it_has_seen(registry: &impl Registry, entropy: &mut impl Entropy) {
    let strangers = [draw_version_id(entropy), draw_version_id(entropy)];
    let gathered = registry.evidence(&strangers, true, by()).await.expect("there is a leader");
    assert!(!gathered.replicas.is_empty() && gathered.unheard().count() == 0, "{gathered:?}");
    assert!(gathered.revision > Revision::default() && gathered.now > UnixMillis::default());
    for place in 0..2 {
        assert_eq!(gathered.use_of(place), VersionUse::default(), "nobody has ever seen it");
        assert_eq!(gathered.watched_since(place), None, "and nobody claims to watch for it");
    }
}

async fn create_tenant(
    registry: &impl Registry,
    material: &Material,
    name: &str,
    entropy: &mut impl Entropy,
) -> Command {
    let of = material.cluster(registry, by()).await.expect("a replica answers");
    let tenant = DrawnKey::draw(entropy, of.cluster, RingKind::Tenant);
    let audit = DrawnKey::draw(entropy, of.cluster, RingKind::Audit);
    let parent = Numbered::new(latchkey_domain::RingNumber(0), tenant.key());
    let operation = CreateTenant {
        contacts: Vec::new(),
        tenant: Slug::parse(name).expect("an id"),
        display_name: DisplayName::default(),
        tenant_key: material.wrap(&of, &tenant, by()).await.expect("the KEK is here"),
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
