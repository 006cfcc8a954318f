//! `SuspendKey`: served by issuance and by validation alike, so that a key stops without issuance.

use crate::answers::{rehearse, told, unexpected};
use crate::{Authorized, Registry, Time, fields_invalid, identify, regions, wait_for};
use latchkey_domain::Duty;
use latchkey_state::{Command, Operation};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{AwaitedWrite, read_suspend_key};
use tonic::{Request, Response, Status};

/// Who may suspend.
const SUSPENDERS: [Duty; 2] = [Duty::Issuer, Duty::Operator];

/// Suspends a key and tells when each region stopped accepting it. `opening` is 32 fresh random bytes.
///
/// # Errors
/// Those of the RPC: `UNAUTHENTICATED`, `INVALID_ARGUMENT`, `PERMISSION_DENIED`, `NOT_FOUND`, `FAILED_PRECONDITION`,
/// `ABORTED`, `UNAVAILABLE`.
pub async fn suspend_key(
    registry: &impl Registry,
    opening: [u8; 32],
    request: Request<v1::SuspendKeyRequest>,
) -> Result<Response<v1::SuspendKeyResponse>, Status> {
    let (_, extensions, message) = request.into_parts();
    let identity = identify(registry, &extensions, Time::of(&extensions)).await?;
    let asked = read_suspend_key(&message).map_err(fields_invalid)?;
    let by = Time::waiting(&extensions, asked.wait);
    let key = asked.operation.key.clone();
    let authorized = Authorized::check_key(registry, asked, identity, &key, &SUSPENDERS, by).await?;
    let actor = authorized.actor();
    let (AwaitedWrite { operation, request, validate_only, wait }, _) = authorized.into_parts();
    let command = Command { request, ..Command::new(actor, opening, Operation::SuspendKey(operation)) };
    let answer = if validate_only {
        let (told, revision) = rehearse(registry, &Command { request: None, ..command }, by).await?;
        let Told::Key { key, .. } = told else { return Err(unexpected("a suspension")) };
        v1::SuspendKeyResponse { key: Some(key), revision: Some(revision.into()), ..Default::default() }
    } else {
        let (told, revision, replayed) = told(registry.propose(&command, by).await?)?;
        let Told::Key { key, bound } = told else { return Err(unexpected("a suspension")) };
        let regions = regions(&wait_for(registry, wait, revision, bound, by).await, None);
        v1::SuspendKeyResponse { key: Some(key), revision: Some(revision.into()), regions, replayed }
    };
    Ok(Response::new(answer))
}
