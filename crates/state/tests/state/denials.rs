//! What operators did on one replica, as the audit log learns it.

use crate::support::{START, World, by, command, identity, key_name, slug, version_id};
use latchkey_domain::{NodeId, ReasonText, Refusal, RevocationReason};
use latchkey_state::{Actor, DENIALS_PER_COMMAND_MAX, DenialStep, Operation, RecordedDenial};

#[test]
fn a_denial_of_one_replica_becomes_an_entry_of_whoever_denied() {
    let mut world = World::furnished();
    let denial = RecordedDenial {
        replica: NodeId(2),
        key: key_name("acme/live", 1),
        version: None,
        step: DenialStep::Denied,
        reason: RevocationReason::Compromised,
        text: ReasonText::parse("found in a paste").unwrap(),
        by: identity("acme/operator"),
        at: START,
    };
    let lifted = RecordedDenial { step: DenialStep::Allowed, version: Some(version_id(1)), ..denial.clone() };
    let record = Operation::RecordDenials(vec![denial.clone(), lifted]);
    let by_service = |operation| command(Actor::Service(slug("validation")), operation);
    let applied = world.apply(by_service(record.clone()));
    let events: Vec<_> = applied.entries.iter().map(|entry| String::from_utf8_lossy(&entry.event)).collect();
    assert!(events.len() == 2 && events.iter().all(|event| event.contains("tenants/acme/identities/operator")));
    for part in ["key.denied_locally", "found in a paste", "COMPROMISED", "replica"] {
        assert!(events[0].contains(part), "{part}");
    }
    for part in ["key.allowed_locally", "/versions/"] {
        assert!(events[1].contains(part), "{part}");
    }

    // No identity says so on its own account, and the work of one record is bounded.
    assert!(matches!(world.refused(by("acme/operator", record)), Refusal::PermissionDenied { .. }));
    let many = Operation::RecordDenials(vec![denial; DENIALS_PER_COMMAND_MAX + 1]);
    assert!(matches!(world.refused(by_service(many)), Refusal::QuotaExceeded { .. }));
}
