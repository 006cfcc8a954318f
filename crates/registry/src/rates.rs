//! How many writes a second a tenant may make. Counted by the leader and never by apply: it is about load, and no replica
//! has to agree on it. A new leader begins with full buckets.

use latchkey_domain::{Quota, Refusal, TenantName, TenantNumber};
use latchkey_state::{Actor, Command, DirectoryName, Operation, State};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Seconds of writes that may come at once.
const BURST_SECONDS: u64 = 10;

/// One write, in the unit that buckets count: so that a millisecond adds a whole number for each write a second.
const WRITE: u64 = 1_000;

/// What each tenant may write still, where its writes are bounded.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<TenantNumber, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at_ms: u64,
}

impl Rates {
    /// Takes one write from the bucket of the tenant that `command` is about. What ends something always passes.
    ///
    /// # Errors
    /// [`Refusal::QuotaExceeded`] where nothing is left.
    pub(crate) fn take(&self, state: &State, command: &Command, boot_ms: u64) -> Result<(), Refusal> {
        if !matches!(command.actor, Actor::Identity(_)) || command.operation.is_emergency() {
            return Ok(());
        }
        let tenant = tenant_of(&command.operation).and_then(|name| state.tenant(&name).cloned());
        let Some((number, rate)) = tenant.and_then(|one| Some((one.number, one.quotas.writes_per_second_max?))) else {
            return Ok(());
        };
        let limit = u64::from(rate);
        let full = limit * BURST_SECONDS * WRITE;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(number).or_insert(Bucket { left: full, at_ms: boot_ms });
        let refilled = boot_ms.saturating_sub(bucket.at_ms).saturating_mul(limit);
        *bucket = Bucket { left: bucket.left.saturating_add(refilled).min(full), at_ms: boot_ms };
        match bucket.left.checked_sub(WRITE) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => Err(Refusal::QuotaExceeded { quota: Quota::WritesPerSecondOfTenant, limit }),
        }
    }
}

/// The tenant that a command is about; none where it is about the cluster, or only takes away.
fn tenant_of(operation: &Operation) -> Option<TenantName> {
    Some(match operation {
        Operation::CreateKeyspace(operation) => operation.name.parent(),
        Operation::CreateOwner(operation) => operation.name.parent(),
        Operation::CreateIdentity(operation) => operation.name.parent(),
        Operation::CreateRole(operation) => operation.name.parent(),
        Operation::CreateKeys(operation) => operation.keyspace.parent(),
        Operation::ImportKeys(operation) => operation.keyspace.parent(),
        // Whoever bounds a tenant does not wait until that has written less.
        Operation::UpdateTenant(operation) if operation.changes.quotas.is_some() => return None,
        Operation::UpdateTenant(operation) => operation.name.clone(),
        Operation::UpdateKeyspace(operation) => operation.name.parent(),
        Operation::UpdateOwner(operation) => operation.name.parent(),
        Operation::UpdateRole(operation) => operation.name.parent(),
        Operation::UpdateIdentity(operation) => operation.name.parent(),
        Operation::Delete(operation) => match &operation.name {
            DirectoryName::Tenant(name) => name.clone(),
            DirectoryName::Keyspace(name) => name.parent(),
            DirectoryName::Owner(name) => name.parent(),
            DirectoryName::Role(name) => name.parent(),
            DirectoryName::Identity(name) => name.parent(),
        },
        Operation::UpdateKey(operation) => operation.key.keyspace.parent(),
        Operation::ResumeKey(operation) => operation.key.keyspace.parent(),
        Operation::RotateKey(operation) => operation.key.keyspace.parent(),
        Operation::PrepareStandby(operation) => operation.key.keyspace.parent(),
        Operation::RecordExplanation(operation) => {
            let of_key = operation.key.as_ref().map(|key| key.keyspace.parent());
            return of_key.or_else(|| operation.keyspace.as_ref().map(latchkey_domain::KeyspaceName::parent));
        }
        Operation::Bootstrap(_)
        | Operation::AdvanceClock { .. }
        | Operation::CreateTenant(_)
        | Operation::RevokeKey(_)
        | Operation::Cut(_)
        | Operation::AddRingKey(_)
        | Operation::DropRingKey(_)
        | Operation::RaiseFeatureLevel(_)
        | Operation::SuspendKey(_)
        | Operation::RestrictKey(_)
        | Operation::RevokeKeys(_)
        | Operation::StepRotation(_)
        | Operation::Settle
        | Operation::RemoveDead(_)
        | Operation::MarkRevoked(_)
        | Operation::Trim(_)
        | Operation::AdmitReplica(_)
        | Operation::StepReplica(_)
        | Operation::BeginEpoch(_)
        | Operation::RecordDenials(_)
        | Operation::RotateRingKey(_)
        | Operation::RewrapRingKeys(_)
        | Operation::RedigestVersions(_)
        | Operation::ResealInners(_)
        | Operation::SetNodeKey { .. }
        | Operation::RecordBackup(_)
        | Operation::BeginAuditLog(_)
        | Operation::RecordKeptBackups { .. }
        | Operation::RecordCheckpoint { .. }
        | Operation::ClaimRotations(_)
        | Operation::PlanRotations(_)
        | Operation::PrepareRotation(_)
        | Operation::AdvanceRotation(_)
        | Operation::GiveNotices(_)
        | Operation::GiveExpiryNotices(_)
        | Operation::RecordRefusals(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{DisplayName, IdentityName, KeyName, OwnerName, ReasonText, RingNumber, Slug, UnixMillis};
    use latchkey_state::{CreateOwner, Row, SuspendKey, Tenant, TenantChanges, TenantQuotas, UpdateTenant};
    use std::sync::Arc;

    fn state(writes_per_second_max: Option<u32>) -> State {
        let mut state = State::default();
        state.install(Row::Tenant(Arc::new(Tenant {
            contacts: Vec::new(),
            number: TenantNumber(1),
            id: Slug::parse("acme").unwrap(),
            display_name: DisplayName::default(),
            quotas: TenantQuotas { writes_per_second_max, ..TenantQuotas::default() },
            created_at: UnixMillis::new(0),
            changed: None,
            cut: None,
            tenant_key: RingNumber(1),
            audit_key: RingNumber(2),
        })));
        state
    }

    fn command(operation: Operation) -> Command {
        let root = IdentityName::parse("tenants/system/identities/root").unwrap();
        Command::new(Actor::Identity(root), [0; 32], operation)
    }

    fn write() -> Command {
        command(Operation::CreateOwner(CreateOwner {
            name: OwnerName::parse("tenants/acme/owners/shop").unwrap(),
            display_name: DisplayName::default(),
            contacts: Vec::new(),
        }))
    }

    #[test]
    fn a_tenant_writes_ten_seconds_worth_at_once_and_then_its_rate() {
        let (rates, state, write) = (Rates::default(), state(Some(5)), write());
        let taken = |at_ms| (0..100).take_while(|_| rates.take(&state, &write, at_ms).is_ok()).count();
        assert_eq!(taken(1_000), 50);
        assert_eq!(
            rates.take(&state, &write, 1_000),
            Err(Refusal::QuotaExceeded { quota: Quota::WritesPerSecondOfTenant, limit: 5 })
        );
        assert_eq!(taken(1_199), 0);
        assert_eq!(taken(1_200), 1);
        assert_eq!(taken(3_200), 10);
        assert_eq!(taken(1_000_000), 50, "a bucket does not overflow");
    }

    #[test]
    fn an_emergency_always_passes_and_so_does_a_tenant_without_a_bound() {
        let (rates, write) = (Rates::default(), write());
        assert!((0..1_000).all(|_| rates.take(&state(None), &write, 0).is_ok()));
        let state = state(Some(1));
        while rates.take(&state, &write, 0).is_ok() {}
        let key = KeyName::parse("tenants/acme/keyspaces/live/keys/0000000000000001").unwrap();
        let suspend = SuspendKey { key, text: ReasonText::default(), etag: None };
        assert!(rates.take(&state, &command(Operation::SuspendKey(suspend)), 0).is_ok());
    }

    #[test]
    fn the_bound_of_a_tenant_that_writes_too_much_can_be_changed() {
        let (rates, state, write) = (Rates::default(), state(Some(1)), write());
        while rates.take(&state, &write, 0).is_ok() {}
        let update = |changes| {
            let name = TenantName::parse("tenants/acme").unwrap();
            command(Operation::UpdateTenant(UpdateTenant { name, changes, etag: None }))
        };
        let quotas = TenantChanges { quotas: Some(TenantQuotas::default()), ..TenantChanges::default() };
        assert!(rates.take(&state, &update(quotas), 0).is_ok());
        assert!(rates.take(&state, &update(TenantChanges::default()), 0).is_err());
    }
}
