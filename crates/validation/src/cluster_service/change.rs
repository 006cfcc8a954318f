//! What changes the membership: checked, proposed to whoever leads, and answered once it is a record. What follows from it
//! is the leader's duty, whoever that is by then.

use super::ClusterFace;
use latchkey_crypto::draw;
use latchkey_domain::{Duty, NodeId, Refusal, Revision, Scope};
use latchkey_link::answers::{rehearse, told};
use latchkey_link::{Authorized, Time, fields_invalid, identify};
use latchkey_registry::{Registry, Roster};
use latchkey_state::{Command, Operation, ReplicaStep, StepReplica};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::status;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{Write, read_transfer_leadership};
use latchkey_wire::violation::FieldViolations;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// What is kept of the caller's time for the answer to leave.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);

impl ClusterFace {
    /// Carries a change out. `read` reads the request, which is in `message`.
    pub(super) async fn change<M, O>(
        registry: &Registry,
        request: Request<M>,
        read: fn(&M) -> Result<Write<O>, FieldViolations>,
        operation: fn(O) -> Operation,
    ) -> Result<(Revision, bool), Status> {
        let (_, extensions, message) = request.into_parts();
        let by = Time::of(&extensions);
        let identity = identify(registry, &extensions, by).await?;
        let Write { operation: asked, request, validate_only } = read(&message).map_err(fields_invalid)?;
        let write = Write { operation: operation(asked), request, validate_only };
        let authorized = Authorized::check(write, identity, &[Duty::Admin], &Scope::System)?;
        carry_out(registry, authorized, by).await
    }

    /// Lets another replica lead, and waits for it as long as the caller does.
    pub(super) async fn transfer(
        registry: &Registry,
        request: Request<v1::TransferLeadershipRequest>,
    ) -> Result<Response<v1::TransferLeadershipResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        let by = Time::of(&extensions);
        let identity = identify(registry, &extensions, by).await?;
        let write = read_transfer_leadership(&message).map_err(fields_invalid)?;
        let authorized = Authorized::check(write, identity, &[Duty::Admin], &Scope::System)?;
        let (Write { operation: target, request, validate_only }, identity) = authorized.into_parts();
        let next = match target {
            Some(node) => node,
            None => most_advanced(&registry.roster().await?)?,
        };
        let operation = Operation::StepReplica(StepReplica { node: next, step: ReplicaStep::Lead });
        let write = Write { operation, request, validate_only };
        let authorized = Authorized::check(write, identity, &[Duty::Admin], &Scope::System)?;
        let (revision, replayed) = carry_out(registry, authorized, by).await?;
        let leader = if validate_only || replayed {
            registry.status().leader
        } else {
            registry.until_leads(next, left(by).saturating_sub(ANSWER_MARGIN)).await
        };
        let leader = leader.map(|leader| leader.0);
        Ok(Response::new(v1::TransferLeadershipResponse { revision: Some(revision.into()), leader, replayed }))
    }
}

pub(super) async fn carry_out(
    registry: &Registry,
    authorized: Authorized<Write<Operation>>,
    by: Instant,
) -> Result<(Revision, bool), Status> {
    let actor = authorized.actor();
    let (Write { operation, request, validate_only }, _) = authorized.into_parts();
    let command = Command { request, ..Command::new(actor, draw(&mut OsEntropy), operation) };
    if validate_only {
        // By the table first: what it refuses needs no leader.
        let (_, revision) = rehearse(registry, &Command { request: None, ..command.clone() }, by).await?;
        let checked = registry.check_change(&command.operation).await?;
        return checked.map(|()| (revision, false)).map_err(|refusal| status::refused(&refusal));
    }
    let proposed = latchkey_link::Registry::propose(registry, &command, by).await?;
    let (_, revision, replayed) = told(proposed)?;
    Ok((revision, replayed))
}

/// The voter besides the leader that has the most of the log.
fn most_advanced(roster: &Roster) -> Result<NodeId, Status> {
    let others = roster.replicas.iter().filter(|replica| replica.voter && replica.node != roster.leader);
    let published = |replica: &&latchkey_registry::ReplicaStatus| replica.known.and_then(|known| known.published);
    let most = others.max_by_key(published).map(|replica| replica.node);
    most.ok_or_else(|| {
        let problem = "no other replica votes, so nobody else can lead".to_owned();
        status::refused(&Refusal::MembershipUnsafe { replica: roster.leader, problem })
    })
}

fn left(by: Instant) -> Duration {
    by.saturating_duration_since(Instant::now())
}
