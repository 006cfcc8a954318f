//! All that can be listed.

use crate::clients::Clients;
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;

/// Each resource by its name. The revision at which it was read is not of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    resources: BTreeMap<String, String>,
}

/// Takes the revision out of each resource, which is that of the reading, and notes the rest.
macro_rules! note {
    ($world:expr, $resources:expr) => {{
        let mut names = Vec::new();
        for mut resource in $resources {
            resource.revision = None;
            names.push(resource.name.clone());
            let text = format!("{resource:?}");
            let twice = $world.resources.insert(resource.name, text);
            assert!(twice.is_none(), "a listing shows each resource once: {twice:?}");
        }
        names
    }};
}

impl World {
    /// Lists it all, as root sees it. Small worlds only: each listing has one page.
    ///
    /// # Panics
    /// If a listing fails, or has a second page.
    pub async fn see(root: &mut Clients) -> Self {
        let mut world = Self::default();
        let page_size = 1_000;
        let tenants = root.directory.list_tenants(v1::ListTenantsRequest { page_size, ..Default::default() }).await;
        for parent in note!(world, tenants.expect("root may").into_inner().tenants) {
            let list = v1::ListOwnersRequest { parent: parent.clone(), page_size, ..Default::default() };
            let owners = root.directory.list_owners(list).await.expect("root may").into_inner();
            note!(world, owners.owners);
            let list = v1::ListRolesRequest { parent: parent.clone(), page_size, ..Default::default() };
            let roles = root.directory.list_roles(list).await.expect("root may").into_inner();
            note!(world, roles.roles);
            let list = v1::ListIdentitiesRequest { parent: parent.clone(), page_size, ..Default::default() };
            let identities = root.directory.list_identities(list).await.expect("root may").into_inner();
            note!(world, identities.identities);
            let list = v1::ListKeyspacesRequest { parent, page_size, ..Default::default() };
            let keyspaces = root.directory.list_keyspaces(list).await.expect("root may").into_inner();
            for parent in note!(world, keyspaces.keyspaces) {
                let list = v1::ListKeysRequest { parent, page_size, ..Default::default() };
                let keys = root.keys.list_keys(list).await.expect("root may").into_inner();
                assert!(keys.next_page_token.is_empty(), "the world is small");
                note!(world, keys.keys);
            }
        }
        world
    }

    /// The names of what is in this world and not, or differently, in the other.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Vec<&str> {
        let beyond = self.resources.iter().filter(|(name, text)| other.resources.get(*name) != Some(*text));
        beyond.map(|(name, _)| name.as_str()).collect()
    }

    /// How many resources there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.resources.len()
    }
}
