//! The RPCs of `AuditService`, called over a real connection; behind them the real state machine in memory.

use crate::house::{Client, House, World, everything, is, tenant, why};
use latchkey_domain::Duty;
use latchkey_kms::testing::Switch;
use latchkey_state::{Delete, DirectoryName, Operation};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::watch_entries_response::Item;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tonic::{Code, Streaming};

/// Two tenants, an owner each, and three auditors.
async fn world() -> Arc<World> {
    let world = World::new().await;
    for id in ["acme", "other"] {
        world.create_tenant(id).await;
        world.create_owner(id, "shop").await;
    }
    world.knows("auditor", &[(Duty::Auditor, "")]);
    world.knows("acme", &[(Duty::Auditor, "tenants/acme")]);
    world.knows(
        "both",
        &[(Duty::Auditor, "tenants/acme"), (Duty::Auditor, "tenants/other"), (Duty::Auditor, "tenants/gone")],
    );
    world
}

async fn list(client: &mut Client, request: v1::ListEntriesRequest) -> v1::ListEntriesResponse {
    client.list_entries(request).await.unwrap().into_inner()
}

fn subjects(entries: &[v1::Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.subject.as_str()).collect()
}

#[tokio::test]
async fn the_trail_names_all_that_happened_in_order_over_two_lives_of_the_service() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    let before = list(&mut house.client("auditor"), everything()).await;
    house.stop().await;
    world.create_owner("acme", "later").await;

    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    let after = list(&mut house.client("root"), everything()).await;
    assert_eq!(after.entries[..before.entries.len()], before.entries);
    assert_eq!(after.next_sequence, world.entries());
    assert!((0..world.entries()).eq(after.entries.iter().map(|entry| entry.sequence)));
    assert_eq!((after.entries[0].action.as_str(), after.entries[0].subject.as_str()), ("cluster.bootstrapped", ""));

    let last = after.entries.last().unwrap();
    let actor = last.actor.as_ref().unwrap().actor.clone().unwrap();
    assert_eq!(actor, v1::entry::actor::Actor::Identity("tenants/system/identities/root".to_owned()));
    assert_eq!((last.action.as_str(), last.subject.as_str()), ("owner.created", "tenants/acme/owners/later"));
    assert_eq!(last.tenant, "tenants/acme");
    house.stop().await;
}

#[tokio::test]
async fn what_is_stored_is_trimmed_and_the_service_does_not_need_it_again() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    for _ in 0..2 {
        let house = House::over(&world, folder.path()).await;
        world.create_owner("acme", &format!("owner-{}", world.entries())).await;
        house.caught_up().await;
        world.caught_up_trims().await;
        house.stop().await;
    }
}

#[tokio::test]
async fn a_tenants_auditor_learns_nothing_of_another_tenant_or_of_the_cluster() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    let mut acme = house.client("acme");
    for request in [
        everything(),
        v1::ListEntriesRequest { parent: tenant("acme").to_string(), ..everything() },
        v1::ListEntriesRequest { order_by: "sequence desc".to_owned(), ..everything() },
    ] {
        let entries = list(&mut acme, request).await.entries;
        assert!(!entries.is_empty());
        assert!(entries.iter().all(|entry| entry.tenant == "tenants/acme"), "{:?}", subjects(&entries));
    }
    let others = v1::ListEntriesRequest { filter: "subject = tenants/other".to_owned(), ..everything() };
    assert!(list(&mut acme, others).await.entries.is_empty());
    let others = v1::ListEntriesRequest { parent: tenant("other").to_string(), ..everything() };
    assert_eq!(why(acme.list_entries(others.clone()).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    let nobodys = v1::ListEntriesRequest { parent: tenant("nobody").to_string(), ..everything() };
    assert_eq!(why(acme.list_entries(nobodys).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));

    let both = list(&mut house.client("both"), everything()).await.entries;
    assert!(both.iter().any(|entry| entry.tenant == "tenants/other"));
    assert!(both.iter().all(|entry| entry.tenant == "tenants/acme" || entry.tenant == "tenants/other"));
    house.stop().await;
}

#[tokio::test]
async fn nobody_reads_without_the_duty() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    world.knows("issuer", &[(Duty::Issuer, ""), (Duty::Operator, ""), (Duty::Admin, ""), (Duty::Validator, "")]);
    world.knows("narrow", &[(Duty::Auditor, "tenants/acme/keyspaces/live")]);
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    assert_eq!(why(house.stranger().list_entries(everything()).await), is(Code::Unauthenticated, "IDENTITY_MISSING"));
    assert_eq!(
        why(house.client("who").list_entries(everything()).await),
        is(Code::Unauthenticated, "IDENTITY_UNKNOWN")
    );
    for word in ["issuer", "narrow"] {
        let mut client = house.client(word);
        let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
        assert_eq!(why(client.list_entries(everything()).await), denied, "{word}");
        assert_eq!(why(client.watch_entries(v1::WatchEntriesRequest::default()).await), denied, "{word}");
    }
    house.stop().await;
}

#[tokio::test]
async fn filters_orders_and_pages_work_together() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    for number in 0..25 {
        world.create_owner("acme", &format!("owner-{number:02}")).await;
    }
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    let mut auditor = house.client("auditor");
    let mut request = v1::ListEntriesRequest {
        parent: tenant("acme").to_string(),
        filter: "action = owner.created AND subject != tenants/acme/owners/shop".to_owned(),
        order_by: "sequence desc".to_owned(),
        page_size: 10,
        page_token: String::new(),
    };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = list(&mut auditor, request.clone()).await;
        found.extend(page.entries);
        pages += 1;
        // What happens meanwhile is newer than where the pages began.
        world.create_owner("acme", &format!("late-{pages}")).await;
        house.caught_up().await;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let expected: Vec<_> = (0..25).rev().map(|number| format!("tenants/acme/owners/owner-{number:02}")).collect();
    assert_eq!((subjects(&found), pages), (expected.iter().map(String::as_str).collect(), 3));
    house.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_told_why_and_never_what_it_said() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    let mut auditor = house.client("auditor");
    let invalid = is(Code::InvalidArgument, "FIELD_INVALID");
    for request in [
        v1::ListEntriesRequest { filter: "acme_live_secret".to_owned(), ..everything() },
        v1::ListEntriesRequest { filter: "age > acme_live_secret".to_owned(), ..everything() },
        v1::ListEntriesRequest { order_by: "acme_live_secret".to_owned(), ..everything() },
        v1::ListEntriesRequest { parent: "acme_live_secret".to_owned(), ..everything() },
    ] {
        let answer = auditor.list_entries(request).await;
        assert!(!format!("{answer:?}").contains("secret"), "{answer:?}");
        assert_eq!(why(answer), invalid);
    }
    let token = v1::ListEntriesRequest { page_token: "00".repeat(24), ..everything() };
    assert_eq!(why(auditor.list_entries(token).await), is(Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
    let aged = v1::WatchEntriesRequest { filter: "age < 1d".to_owned(), ..Default::default() };
    assert_eq!(why(auditor.watch_entries(aged).await), invalid);
    house.stop().await;
}

#[tokio::test]
async fn entries_of_a_tenant_that_is_gone_stay_readable_under_its_name() {
    let (world, folder) = (World::new().await, TempDir::new().unwrap());
    world.create_tenant("brief").await;
    world
        .does(Operation::Delete(Delete {
            name: DirectoryName::Tenant(tenant("brief")),
            etag: None,
            destroy: false,
            number: None,
        }))
        .await;
    for _ in 0..2 {
        let house = House::over(&world, folder.path()).await;
        house.caught_up().await;
        let request = v1::ListEntriesRequest { filter: "subject = tenants/brief".to_owned(), ..everything() };
        let entries = list(&mut house.client("root"), request).await.entries;
        let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!((actions.first(), actions.last()), (Some(&"tenant.created"), Some(&"tenant.deleted")));
        assert!(entries.iter().all(|entry| entry.tenant == "tenants/brief"));
        house.stop().await;
    }
    // Whoever is given the name later does not see them.
    world.create_tenant("brief").await;
    world.knows("brief", &[(Duty::Auditor, "tenants/brief")]);
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    let entries = list(&mut house.client("brief"), everything()).await.entries;
    assert!(entries.iter().all(|entry| entry.action != "tenant.deleted"), "{:?}", subjects(&entries));
    assert_eq!(entries.iter().filter(|entry| entry.action == "tenant.created").count(), 1);
    house.stop().await;
}

#[tokio::test]
async fn without_the_kek_nothing_is_read_and_the_caller_is_told_so() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    house.stop().await;
    world.kms.set(Switch::Unavailable);
    let house = House::over(&world, folder.path()).await;
    assert_eq!(why(house.client("auditor").list_entries(everything()).await), is(Code::Unavailable, "LOCKED"));
    world.kms.set(Switch::Available);
    assert!(!list(&mut house.client("auditor"), everything()).await.entries.is_empty());
    house.stop().await;
}

async fn watch(client: &mut Client, request: v1::WatchEntriesRequest) -> Streaming<v1::WatchEntriesResponse> {
    client.watch_entries(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<v1::WatchEntriesResponse>) -> Item {
    stream.message().await.unwrap().unwrap().item.unwrap()
}

/// Reads until a mark of progress reaches `next`, and gives the entries before it.
async fn until(stream: &mut Streaming<v1::WatchEntriesResponse>, reached: u64) -> Vec<v1::Entry> {
    let mut entries = Vec::new();
    loop {
        match next(stream).await {
            Item::Entry(entry) => entries.push(entry),
            Item::NextSequence(next) if next >= reached => return entries,
            Item::NextSequence(_) => {}
        }
    }
}

#[tokio::test]
async fn a_watch_sends_all_from_its_sequence_on_and_marks_its_progress() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    let from_first = v1::WatchEntriesRequest { from_sequence: Some(0), ..Default::default() };
    let mut all = watch(&mut house.client("auditor"), from_first.clone()).await;
    let mut acme = watch(&mut house.client("acme"), from_first).await;
    let seen = until(&mut all, world.entries()).await;
    assert!((0..world.entries()).eq(seen.iter().map(|entry| entry.sequence)));
    let seen = until(&mut acme, world.entries()).await;
    assert!(!seen.is_empty() && seen.iter().all(|entry| entry.tenant == "tenants/acme"));

    let filter = "action = owner.created".to_owned();
    let from_now = v1::WatchEntriesRequest { filter, ..Default::default() };
    let mut owners = watch(&mut house.client("auditor"), from_now).await;
    until(&mut owners, world.entries()).await;
    world.create_owner("other", "new").await;
    assert_eq!(subjects(&until(&mut owners, world.entries()).await), ["tenants/other/owners/new"]);
    // Another tenant's entry moves the mark and tells nothing else.
    assert_eq!(until(&mut acme, world.entries()).await, []);
    house.stop().await;
}

#[tokio::test]
async fn a_watch_ends_when_its_caller_is_revoked_or_sees_less() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    let request = v1::WatchEntriesRequest::default();
    let mut revoked = watch(&mut house.client("auditor"), request.clone()).await;
    let mut narrowed = watch(&mut house.client("both"), request).await;
    world.forgets("auditor");
    world.knows("both", &[(Duty::Auditor, "tenants/acme")]);
    let ended = async |stream: &mut Streaming<_>| loop {
        if let Err(status) = stream.message().await {
            return status.code();
        }
    };
    assert_eq!(ended(&mut revoked).await, Code::Unauthenticated);
    assert_eq!(ended(&mut narrowed).await, Code::PermissionDenied);
    house.stop().await;
}

#[tokio::test]
async fn a_watch_ends_when_nobody_can_say_any_more_who_its_caller_is() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    let mut stream = watch(&mut house.client("auditor"), v1::WatchEntriesRequest::default()).await;
    world.goes_away();
    let end = async {
        loop {
            if let Err(status) = stream.message().await {
                return status.code();
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), end).await.expect("it ends"), Code::Unavailable);
    house.stop().await;
}

#[tokio::test]
async fn an_entry_is_not_missed_where_a_replica_does_not_know_its_tenant_yet() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    house.caught_up().await;
    let before = list(&mut house.client("root"), everything()).await;
    house.stop().await;
    world.lags();
    let house = House::over(&world, folder.path()).await;
    let after = list(&mut house.client("root"), everything()).await;
    assert_eq!(subjects(&after.entries), subjects(&before.entries));
    house.stop().await;
}

#[tokio::test]
async fn watches_are_bounded_and_end_with_the_service() {
    let (world, folder) = (world().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    let mut open = Vec::new();
    for word in ["one", "two", "three", "four"] {
        world.knows(word, &[(Duty::Auditor, "")]);
        let mut client = house.client(word);
        for _ in 0..16 {
            open.push(watch(&mut client, v1::WatchEntriesRequest::default()).await);
        }
        let refused = client.watch_entries(v1::WatchEntriesRequest::default()).await;
        assert_eq!(why(refused), is(Code::Unavailable, "OVERLOADED"), "{word}");
    }
    let refused = house.client("auditor").watch_entries(v1::WatchEntriesRequest::default()).await;
    assert_eq!(why(refused), is(Code::Unavailable, "OVERLOADED"));
    house.begin_to_stop();
    for mut stream in open {
        let status = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a stream ended without a reason"),
                Err(status) => break status,
            }
        };
        assert_eq!(why::<()>(Err(status)), is(Code::Unavailable, "STOPPING"));
    }
    house.stop().await;
}
