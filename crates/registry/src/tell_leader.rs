//! What a replica tells of itself becomes a record at the leader, which may be this replica.

use crate::propose::ProposeError;
use crate::registry::Registry;
use crate::registry_service::propose_status;
use latchkey_crypto::draw;
use latchkey_domain::Refusal;
use latchkey_kms::OsEntropy;
use latchkey_state::{Actor, Command, Operation};
use latchkey_transport::status;
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::refusal::read_refusal;
use std::time::Duration;
use tonic::{Request, Status};

/// How long telling it may take.
const WITHIN: Duration = Duration::from_secs(5);

impl Registry {
    /// Proposes what this replica tells; what it was refused for, if so.
    pub(crate) async fn tell_leader(&self, operation: Operation) -> Result<Option<Refusal>, Status> {
        let command = Command::new(Actor::Replica(self.node()), draw(&mut OsEntropy), operation);
        match self.propose(command.clone(), WITHIN).await {
            Ok(applied) => return Ok(applied.answer.as_ref().err().cloned()),
            // It leads, and its answer is the answer.
            Err(error) if self.leads() => return Err(propose_status(self, &error)),
            Err(ProposeError::Unknown) => return Err(status::deadline_exceeded()),
            Err(_) => {}
        }
        let (leader, member) = self.renewal().leader().ok_or_else(|| Status::unavailable("nobody leads"))?;
        let target = Some(self.peers().target(leader));
        let mut request = Request::new(pb::ProposeRequest { target, command: Some(write_command(&command)) });
        request.set_timeout(WITHIN);
        let answer = self.peers().registry(leader, &member).propose(request).await?.into_inner();
        match answer.applied.and_then(|applied| applied.result) {
            Some(pb::applied::Result::Refusal(refusal)) => Ok(read_refusal(refusal).ok()),
            _ => Ok(None),
        }
    }
}
