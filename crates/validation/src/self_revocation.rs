//! `RevokeKey` by key text: whoever holds a key may revoke it, and is nobody else. He has lost it, or found it; either
//! way the key is not safe any more, and to learn anything about it is not what he came for.

use crate::attempts::{ATTEMPTS_PER_WINDOW, Attempts};
use crate::halt::Halt;
use crate::session::ground_of;
use latchkey_crypto::draw;
use latchkey_decision::{NotHeld, hold};
use latchkey_domain::{DurationMillis, KeyName, Refusal, ResourceKind};
use latchkey_link::{Time, carry_out_revocation, fields_invalid};
use latchkey_registry::Registry;
use latchkey_state::{Actor, Command, Operation, RevokeKey};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::{Caller, Rejection};
use latchkey_wire::pb::v1;
use latchkey_wire::request::{SelfRevocation, read_self_revocation};
use tonic::{Request, Response, Status};

/// Revokes the key that the text of the request is of.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` with reason `TOO_MANY_ATTEMPTS`; `INVALID_ARGUMENT`; `NOT_FOUND` for whatever is no key that is
/// accepted or may still be; `FAILED_PRECONDITION` with reason `SELF_REVOCATION_OFF`; `UNAVAILABLE`.
pub(crate) async fn revoke_by_text(
    registry: &Registry,
    attempts: &Attempts,
    request: Request<v1::RevokeKeyRequest>,
) -> Result<Response<v1::RevokeKeyResponse>, Status> {
    let (_, extensions, message) = request.into_parts();
    let client = extensions.get::<Caller>().and_then(|caller| caller.peer).map(|peer| peer.ip());
    let too_many = |retry_after| Rejection::TooManyAttempts { per_minute: ATTEMPTS_PER_WINDOW, retry_after };
    registry.observe_stranger("latchkey.v1.IssuanceService/RevokeKey", client);
    attempts.admit(client).map_err(too_many)?;
    let SelfRevocation { key_text, reason, text, wait } = read_self_revocation(&message).map_err(fields_invalid)?;
    let key = held(registry, key_text)?;
    let actor = Actor::Key(key.clone());
    let operation = RevokeKey { key, version: None, reason, text, grace: DurationMillis::ZERO, etag: None };
    let command = Command::new(actor, draw(&mut OsEntropy), Operation::RevokeKey(operation));
    let by = Time::waiting(&extensions, wait);
    let revoked = carry_out_revocation(registry, &command, wait, by).await?;
    Ok(Response::new(v1::RevokeKeyResponse { key: revoked.key.map(known_to_its_holder), ..revoked }))
}

/// The key that a text is of. That its keyspace lets nobody do this is checked again by apply; asked here, it costs no
/// write.
fn held(registry: &Registry, key_text: &str) -> Result<KeyName, Halt> {
    let view = registry.reader().now()?;
    let held = match hold(key_text, ground_of(&view), view.age()?) {
        Ok(held) => held,
        Err(NotHeld::Undecided(undecided)) => return Err(undecided.into()),
        Err(NotHeld::Unknown) => {
            return Err(Halt::Refused(Refusal::NotFound { kind: ResourceKind::Key, name: String::new() }));
        }
    };
    if held.keyspace().settings.self_revocation_off {
        return Err(Halt::Refused(Refusal::SelfRevocationOff));
    }
    Ok(held.key_name())
}

/// That the key is dead, and what it is called, so that its holder can tell others. What it was for and whose it was is
/// not his to learn by its text.
fn known_to_its_holder(key: v1::Key) -> v1::Key {
    v1::Key { name: key.name, state: key.state, revocation: key.revocation, ..v1::Key::default() }
}
