//! What an operator asks of the replicas.

use super::write::{Write, said};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{NodeId, ReplicaPlace, ReplicaRole};
use latchkey_state::{AdmitReplica, BeginAuditLog, ReplicaStep, StepReplica};

/// Who is to lead; absent: whoever has the most of the log.
pub type Transfer = Option<NodeId>;

/// Reads `AddReplica`.
///
/// # Errors
/// All violations.
pub fn read_add_replica(request: &v1::AddReplicaRequest) -> Result<Write<AdmitReplica>, FieldViolations> {
    let mut fields = Fields::default();
    let node = id(&mut fields, request.id);
    if request.region.is_empty() {
        fields.refuse("region", "must be set: a word such as eu-central");
    }
    for (field, text) in [("address", &request.address), ("raft_address", &request.raft_address)] {
        if !is_host_and_port(text) {
            fields.refuse(field, "must be host:port, for instance replica-4.example:7720");
        }
    }
    let place = match ReplicaPlace::new(&request.region, &request.raft_address, &request.address) {
        Ok(place) => Some(place),
        Err(error) => {
            fields.refuse(error.part, format_args!("must be at most {} bytes without spaces", error.bytes_max));
            None
        }
    };
    let asked = v1::AddReplicaRequest { request_id: String::new(), ..request.clone() };
    let operation = || Some(AdmitReplica { node: node?, place: place?, role: ReplicaRole::Learner });
    let write = said!("AddReplica", request).read(&mut fields, &asked, operation);
    fields.finish(write)
}

macro_rules! steps {
    ($($reader:ident, $request:ident, $method:literal, $step:ident;)+) => {$(
        #[doc = concat!("Reads `", $method, "`.")]
        ///
        /// # Errors
        /// All violations.
        pub fn $reader(request: &v1::$request) -> Result<Write<StepReplica>, FieldViolations> {
            let mut fields = Fields::default();
            let node = id(&mut fields, request.id);
            let asked = v1::$request { request_id: String::new(), ..request.clone() };
            let operation = || Some(StepReplica { node: node?, step: ReplicaStep::$step });
            let write = said!($method, request).read(&mut fields, &asked, operation);
            fields.finish(write)
        }
    )+};
}
steps! {
    read_promote_replica, PromoteReplicaRequest, "PromoteReplica", Promote;
    read_demote_replica, DemoteReplicaRequest, "DemoteReplica", Demote;
    read_remove_replica, RemoveReplicaRequest, "RemoveReplica", Remove;
}

/// Reads `TransferLeadership`.
///
/// # Errors
/// All violations.
pub fn read_transfer_leadership(request: &v1::TransferLeadershipRequest) -> Result<Write<Transfer>, FieldViolations> {
    let mut fields = Fields::default();
    let asked = v1::TransferLeadershipRequest { request_id: String::new(), ..*request };
    let operation = || Some((request.id != 0).then_some(NodeId(request.id)));
    let write = said!("TransferLeadership", request).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// Reads `BeginAuditLog`.
///
/// # Errors
/// All violations.
pub fn read_begin_audit_log(request: &v1::BeginAuditLogRequest) -> Result<Write<BeginAuditLog>, FieldViolations> {
    let mut fields = Fields::default();
    let asked = v1::BeginAuditLogRequest { request_id: String::new(), ..request.clone() };
    let operation = || Some(BeginAuditLog { force: request.force });
    let write = said!("BeginAuditLog", request).read(&mut fields, &asked, operation);
    fields.finish(write)
}

fn id(fields: &mut Fields, id: u64) -> Option<NodeId> {
    if id == 0 {
        fields.refuse("id", "must be at least 1");
        return None;
    }
    Some(NodeId(id))
}

/// Whoever dials finds out whether the host is there: this only refuses what could never be.
fn is_host_and_port(text: &str) -> bool {
    let port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    text.rsplit_once(':').is_some_and(|(host, number)| !host.is_empty() && port(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let wrong = v1::AddReplicaRequest {
            address: "replica-4".to_owned(),
            raft_address: "replica 4:7721".to_owned(),
            request_id: "1".to_owned(),
            ..Default::default()
        };
        let violations = read_add_replica(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["id", "region", "address", "raft_address", "request_id"]);
        assert!(read_promote_replica(&v1::PromoteReplicaRequest::default()).is_err());
    }

    #[test]
    fn a_transfer_to_nobody_in_particular_is_one() {
        let to = |id| v1::TransferLeadershipRequest { id, ..Default::default() };
        assert_eq!(read_transfer_leadership(&to(0)).unwrap().operation, None);
        assert_eq!(read_transfer_leadership(&to(3)).unwrap().operation, Some(NodeId(3)));
    }
}
