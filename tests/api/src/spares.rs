//! A key, a rotation or a record for each method that changes one: none of them gets in the way of another.

use crate::furniture::Furniture;
use crate::house::House;
use crate::requests;
use latchkey_wire::pb::v1;

/// What [`Furniture`] does not have. Each is used by one method.
pub struct Spares {
    /// Keys that permit `orders:read`, by name; the first is suspended.
    pub keys: Vec<String>,
    /// Rotations in their overlap, by name.
    pub overlapping: Vec<String>,
    /// A rotation that is held, by name.
    pub held: String,
    /// A rotation that is prepared, by name.
    pub prepared: String,
    /// A replica that was added and never started.
    pub replica: u64,
}

/// Keys that are nobody's yet.
const KEYS: usize = 14;

/// A replica that was added and never started.
const REPLICA: u64 = 8;

impl Spares {
    /// Puts them into a house that is furnished. The records that may be deleted are all called `spare`.
    ///
    /// # Panics
    /// If root may not.
    pub async fn put_into(house: &House, _: &Furniture) -> Self {
        let mut root = house.root();
        root.directory.create_tenant(requests::tenant("spare")).await.expect("root may");
        root.directory.create_keyspace(requests::keyspace("acme", "spare", "spare")).await.expect("root may");
        root.directory.create_owner(requests::owner("acme", "spare")).await.expect("root may");
        root.directory.create_role(requests::role("acme", "spare")).await.expect("root may");
        root.directory.create_role(requests::role("acme", "writer")).await.expect("root may");
        root.directory.create_identity(requests::identity("acme", "spare", &[])).await.expect("root may");
        root.directory.update_keyspace(requests::declare_formats(requests::KEYSPACE)).await.expect("root may");
        let made = root.keys.batch_create_keys(requests::keys(KEYS)).await.expect("root may").into_inner();
        let mut keys: Vec<_> = made.keys.into_iter().filter_map(|issued| issued.key).map(|key| key.name).collect();
        root.keys.suspend_key(requests::suspend(&keys[0])).await.expect("root may");
        let mut overlapping = Vec::new();
        for _ in 0..4 {
            let key = keys.pop().expect("there are more keys than rotations");
            let rotated = root.rotation.rotate_key(requests::rotate(&key)).await.expect("root may").into_inner();
            overlapping.push(rotated.rotation.expect("the answer carries the rotation").name);
        }
        let held = overlapping.pop().expect("four were begun");
        let hold = v1::HoldRotationRequest { name: held.clone(), ..Default::default() };
        root.rotation.hold_rotation(hold).await.expect("root may");
        let key = keys.pop().expect("there are more keys than rotations");
        let prepare = v1::PrepareStandbyRequest { name: key, ..Default::default() };
        let prepared = root.rotation.prepare_standby(prepare).await.expect("root may").into_inner();
        let prepared = prepared.rotation.expect("the answer carries the rotation").name;
        root.cluster.add_replica(requests::replica(REPLICA)).await.expect("root may");
        Self { keys, overlapping, held, prepared, replica: REPLICA }
    }
}
