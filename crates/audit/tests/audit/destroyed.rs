//! A tenant whose data was destroyed: nobody reads its entries any more, and the log is whole.

use crate::house::{House, World, everything, tenant};
use latchkey_audit::IndexOptions;
use latchkey_domain::OwnerName;
use latchkey_state::{Delete, DirectoryName, Operation};
use latchkey_transparency::Frontier;
use latchkey_wire::pb::v1;
use std::time::Duration;
use tempfile::TempDir;

/// What is told of the tenant, to the root and to whom it was granted.
async fn told(house: &House) -> Vec<String> {
    let filter = "subject = tenants/brief".to_owned();
    let request = v1::ListEntriesRequest { filter, ..everything() };
    let answer = house.client("root").list_entries(request).await.unwrap().into_inner();
    answer.entries.into_iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn nothing_of_a_destroyed_tenant_is_read_again_and_the_tree_is_whole() {
    let (world, folder) = (World::new().await, TempDir::new().unwrap());
    world.create_tenant("brief").await;
    world.create_owner("brief", "shop").await;
    let house = House::over(&world, folder.path()).await;
    let index = tokio::spawn(house.entries.clone().keep_index(folder.path().join("index"), IndexOptions::default()));
    house.caught_up().await;
    while house.entries.index().is_none_or(|index| index.next() < world.entries()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(told(&house).await.len() >= 2);

    // One more that audit gets to know of when its key is gone already.
    house.stop().await;
    index.abort();
    world.create_owner("brief", "late").await;
    for id in ["shop", "late"] {
        let name = DirectoryName::Owner(OwnerName::parse(&format!("tenants/brief/owners/{id}")).unwrap());
        world.does(Operation::Delete(Delete { name, etag: None, destroy: false, number: None })).await;
    }
    let name = DirectoryName::Tenant(tenant("brief"));
    world.does(Operation::Delete(Delete { name, etag: None, destroy: true, number: None })).await;

    for _ in 0..2 {
        let house = House::over(&world, folder.path()).await;
        let index =
            tokio::spawn(house.entries.clone().keep_index(folder.path().join("index"), IndexOptions::default()));
        house.caught_up().await;
        while house.entries.index().is_none_or(|index| index.next() < world.entries()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Only that it was destroyed is told, as the cluster's own.
        assert_eq!(told(&house).await, ["tenant.deleted"]);
        // Every leaf is there, and the tree is that of the cluster.
        let (mut tree, mut at) = (Frontier::new(), 0);
        while let Some(block) = house.entries.block(at).await.unwrap() {
            block.frames.iter().for_each(|frame| tree.push(frame.leaf));
            at = block.first + block.frames.len() as u64;
        }
        assert_eq!(tree.root(), world.memory.state().progress().frontier.root());
        index.abort();
        house.stop().await;
    }
}

#[tokio::test]
async fn a_key_that_audit_still_had_in_memory_goes_with_the_entry_of_its_destruction() {
    let (world, folder) = (World::new().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    world.create_tenant("brief").await;
    house.caught_up().await;
    assert!(told(&house).await.contains(&"tenant.created".to_owned()));
    let name = DirectoryName::Tenant(tenant("brief"));
    world.does(Operation::Delete(Delete { name, etag: None, destroy: true, number: None })).await;
    house.caught_up().await;
    assert_eq!(told(&house).await, ["tenant.deleted"]);
    house.stop().await;
}

#[tokio::test]
async fn the_data_of_a_tenant_that_was_deleted_before_is_destroyed_later_and_its_heir_is_another() {
    let (world, folder) = (World::new().await, TempDir::new().unwrap());
    let house = House::over(&world, folder.path()).await;
    world.create_tenant("brief").await;
    let number = world.memory.state().tenant(&tenant("brief")).unwrap().number;
    let delete = |destroy, number| {
        let name = DirectoryName::Tenant(tenant("brief"));
        Operation::Delete(Delete { name, etag: None, destroy, number })
    };
    world.does(delete(false, None)).await;
    world.create_tenant("brief").await;
    house.caught_up().await;
    let request = v1::ListEntriesRequest { filter: "subject = tenants/brief".to_owned(), ..everything() };
    let before = house.client("root").list_entries(request.clone()).await.unwrap().into_inner().entries;
    let actions: Vec<_> = before.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["tenant.created", "tenant.deleted", "tenant.created"]);
    // A name is given again, a number is not: by it whoever destroys knows which one he means.
    assert_eq!(before.iter().map(|entry| entry.tenant_number == number.0).collect::<Vec<_>>(), [true, true, false]);

    world.does(delete(true, Some(number))).await;
    house.caught_up().await;
    let after = house.client("root").list_entries(request).await.unwrap().into_inner().entries;
    let actions: Vec<_> = after.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["tenant.created", "tenant.data_destroyed"], "what is left is of the heir, and of the cluster");
    assert_eq!(after[0].sequence, before[2].sequence);
    let (mut tree, mut at) = (Frontier::new(), 0);
    while let Some(block) = house.entries.block(at).await.unwrap() {
        block.frames.iter().for_each(|frame| tree.push(frame.leaf));
        at = block.first + block.frames.len() as u64;
    }
    assert_eq!(tree.root(), world.memory.state().progress().frontier.root(), "the tree is whole");
    house.stop().await;
}
