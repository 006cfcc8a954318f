//! `validate_only`: the real state machine on a state that holds just what the command refers to.

use latchkey_domain::{
    DisplayName, IdentityName, IdentityNumber, OwnerName, OwnerNumber, Revision, Slug, TenantName, TenantNumber,
    UnixMillis,
};
use latchkey_link::{ClusterMaterial, ProvenIdentity, TenantMaterial, answers};
use latchkey_state::{Applied, Cluster, Command, Identity, Keyspace, NextNumbers, Owner, Progress, Row, State, Tenant};
use latchkey_transport::status;
use latchkey_wire::applied::{Told, read_applied, write_applied};
use latchkey_wire::pb::v1;
use std::sync::Arc;
use tonic::Status;

/// Where the numbers begin that a rehearsal gives to what it reads by name: no cluster has as many records.
const NUMBERS_FROM: u32 = 1 << 31;

/// A state in the making, and the time at which the command is rehearsed.
pub(crate) struct Rehearsal {
    state: State,
    now: UnixMillis,
    revision: Revision,
    next: u32,
}

impl Rehearsal {
    /// With the cluster and whoever asks.
    pub(crate) fn new(cluster: &ClusterMaterial, actor: &ProvenIdentity) -> Self {
        let mut state = State::default();
        let half = NUMBERS_FROM + NUMBERS_FROM / 2;
        state.install(Row::Progress(Progress {
            last: cluster.revision,
            clock: cluster.now,
            feature_level: cluster.feature_level,
            next: NextNumbers { tenant: half, keyspace: half, owner: half, identity: half, ring: half },
            ..Progress::default()
        }));
        state.install(Row::Cluster(Arc::new(Cluster {
            id: cluster.cluster,
            staleness_floor: cluster.staleness_floor,
            staleness_default: cluster.staleness_default,
            created_at: UnixMillis::default(),
        })));
        state.install(Row::RingKey(Arc::new(cluster.pepper.clone())));
        let mut rehearsal = Self { state, now: cluster.now, revision: cluster.revision, next: NUMBERS_FROM };
        rehearsal.install_identity(&actor.identity, actor.grants.clone());
        rehearsal
    }

    /// Puts a tenant as it is.
    pub(crate) fn tenant(&mut self, material: &TenantMaterial) {
        let tenant = Arc::new(material.tenant.clone());
        let name = TenantName::new(tenant.id.clone());
        if let Some(invented) = self.state.tenant(&name).map(|tenant| tenant.number) {
            self.renumber(invented, tenant.number);
        }
        self.state.install(Row::Tenant(tenant));
    }

    /// Puts a keyspace as it is, and its tenant.
    pub(crate) fn keyspace(&mut self, tenant: &TenantMaterial, keyspace: &Keyspace) {
        self.tenant(tenant);
        self.state.install(Row::Keyspace(Arc::new(keyspace.clone())));
    }

    pub(crate) fn knows_owner(&self, name: &OwnerName) -> bool {
        self.state.owner(name).is_some()
    }

    pub(crate) fn knows_identity(&self, name: &IdentityName) -> bool {
        self.state.identity(name).is_some()
    }

    /// Puts an owner that is there.
    pub(crate) fn owner(&mut self, name: &OwnerName) {
        let (tenant, number) = (self.tenant_of(&name.tenant), OwnerNumber(self.number()));
        self.state.install(Row::Owner(Arc::new(Owner {
            number,
            tenant,
            id: name.owner.clone(),
            display_name: DisplayName::default(),
            contacts: Vec::new(),
            created_at: UnixMillis::default(),
            cut: None,
        })));
    }

    /// Puts an identity that is there.
    pub(crate) fn identity(&mut self, name: &IdentityName, shown: &v1::Identity) -> Result<(), Status> {
        self.install_identity(name, answers::grants(&shown.grants).map_err(status::bug)?);
        Ok(())
    }

    /// Carries the command out here, and nowhere else.
    pub(crate) fn perform(mut self, mut command: Command) -> Result<Told, Status> {
        command.at = self.now;
        let next = Revision::new(self.revision.epoch, self.revision.index + 1);
        // What is shown is of the revision that was checked: the next one is not ours to give.
        let applied = Applied { revision: self.revision, ..self.state.apply(next, &command) };
        let written = write_applied(&self.state, self.now, &applied);
        let rehearsed = read_applied(written).map_err(|error| status::bug(&error.to_string()))?;
        rehearsed.answer.map_err(|refusal| status::refused(&refusal))
    }

    fn install_identity(&mut self, name: &IdentityName, grants: Vec<latchkey_domain::Grant>) {
        let (tenant, number) = (self.tenant_of(&name.tenant), IdentityNumber(self.number()));
        self.state.install(Row::Identity(Arc::new(Identity {
            number,
            tenant,
            id: name.identity.clone(),
            display_name: DisplayName::default(),
            grants,
            created_at: UnixMillis::default(),
        })));
    }

    /// The number of a tenant; invented where only its name is known.
    fn tenant_of(&mut self, id: &Slug) -> TenantNumber {
        if let Some(tenant) = self.state.tenant(&TenantName::new(id.clone())) {
            return tenant.number;
        }
        let number = TenantNumber(self.number());
        let none = latchkey_domain::RingNumber(0);
        self.state.install(Row::Tenant(Arc::new(Tenant {
            number,
            id: id.clone(),
            display_name: DisplayName::default(),
            created_at: UnixMillis::default(),
            cut: None,
            tenant_key: none,
            audit_key: none,
        })));
        number
    }

    /// Moves what hangs on an invented tenant to the real one.
    fn renumber(&mut self, from: TenantNumber, to: TenantNumber) {
        let identities: Vec<_> = self.state.identities().of_tenant(from, None).cloned().collect();
        let owners: Vec<_> = self.state.owners().of_tenant(from, None).cloned().collect();
        self.state.remove(latchkey_state::RowId::Tenant(from));
        for identity in identities {
            self.state.install(Row::Identity(Arc::new(Identity { tenant: to, ..(*identity).clone() })));
        }
        for owner in owners {
            self.state.install(Row::Owner(Arc::new(Owner { tenant: to, ..(*owner).clone() })));
        }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}
