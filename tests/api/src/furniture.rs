//! What most tests find in their house.

use crate::house::House;
use crate::requests::{self, KEYSPACE};
use latchkey_wire::pb::v1;

/// Two tenants. `acme` has the keyspace `orders` and the owner `shop`, `rival` the keyspace `orders` and the owner
/// `shop` too, so that only the name of the tenant tells them apart. Each has a key that permits `orders:read`.
pub struct Furniture {
    /// The key of `acme`.
    pub made: v1::CreateKeyResponse,
    /// The key of `rival`.
    pub rival: v1::CreateKeyResponse,
}

impl Furniture {
    /// Puts it into an empty house.
    ///
    /// # Panics
    /// If root may not.
    pub async fn put_into(house: &House) -> Self {
        let mut root = house.root();
        for tenant in ["acme", "rival"] {
            let prefix = format!("{tenant}_live");
            root.directory.create_tenant(requests::tenant(tenant)).await.expect("root may");
            root.directory.create_keyspace(requests::keyspace(tenant, "orders", &prefix)).await.expect("root may");
            root.directory.create_owner(requests::owner(tenant, "shop")).await.expect("root may");
        }
        let made = root.keys.create_key(requests::key()).await.expect("root may").into_inner();
        let theirs = v1::CreateKeyRequest {
            parent: KEYSPACE.replace("acme", "rival"),
            owner: requests::OWNER.replace("acme", "rival"),
            ..requests::key()
        };
        let rival = root.keys.create_key(theirs).await.expect("root may").into_inner();
        Self { made, rival }
    }

    /// A house with it.
    pub async fn house() -> (House, Self) {
        let house = House::empty().await;
        let furniture = Self::put_into(&house).await;
        (house, furniture)
    }

    /// The name of the key of `acme`.
    ///
    /// # Panics
    /// If the answer carried no key.
    #[must_use]
    pub fn key_name(&self) -> &str {
        &self.made.key.as_ref().expect("the answer carries the key").name
    }
}
