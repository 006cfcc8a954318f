//! How a call comes in: who calls, what is asked, whether it was refused. Each method of a service that proves its
//! callers begins here, so that none forgets a step.

use crate::{ProvenIdentity, Refusals, Registry, Time, Unreadable, identify};
use latchkey_crypto::draw;
use latchkey_state::{Command, Operation, RequestMark};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::{PUBLIC_MESSAGE_BYTES_MAX, Rejection};
use latchkey_wire::pb::v1::ErrorReason;
use prost::Message;
use std::sync::Arc;
use tokio::time::Instant;
use tonic::{Extensions, Request, Response, Status};
use tonic_types::StatusExt as _;

/// How often a call is answered from the beginning where a key of the keyring that it was made with is gone by then: the
/// second time with what there is now.
const MATERIAL_TRIES: usize = 2;

/// The entrance of one service. Cheap to clone.
#[derive(Debug)]
pub struct Entrance<R> {
    registry: Arc<R>,
    refusals: Refusals,
}

impl<R> Clone for Entrance<R> {
    fn clone(&self) -> Self {
        Self { registry: self.registry.clone(), refusals: self.refusals.clone() }
    }
}

/// A request whose caller is known and whose fields are what they must be.
#[derive(Debug)]
pub struct Call<T> {
    /// What is asked.
    pub asked: T,
    /// Who asks.
    pub identity: ProvenIdentity,
    /// What the transport knows of the call.
    pub extensions: Extensions,
    /// When it has to be answered, where it waits for nothing.
    pub by: Instant,
}

impl<R: Registry> Entrance<R> {
    /// To a service over this registry. What it refuses is gathered in `refusals`.
    #[must_use]
    pub const fn new(registry: Arc<R>, refusals: Refusals) -> Self {
        Self { registry, refusals }
    }

    /// The registry behind it.
    #[must_use]
    pub const fn registry(&self) -> &Arc<R> {
        &self.registry
    }

    /// Takes a call of `method`, such as `IssuanceService/CreateKey`: finds out who calls, then reads the request, since
    /// a stranger is told nothing about fields.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`; `RESOURCE_EXHAUSTED` with reason `MESSAGE_TOO_LONG`; what `read` and `answer` say.
    pub async fn call<M: Message, T, E: Unreadable, A, F: Future<Output = Result<A, Status>>>(
        &self,
        method: &'static str,
        request: Request<M>,
        read: impl Fn(&M) -> Result<T, E>,
        answer: impl Fn(Call<T>) -> F,
    ) -> Result<Response<A>, Status> {
        hold_to_bound(request.get_ref())?;
        self.batch(method, request, read, answer).await
    }

    /// As [`Self::call`], for a method that takes batches: as long as the listener lets through.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn batch<M, T, E: Unreadable, A, F: Future<Output = Result<A, Status>>>(
        &self,
        method: &'static str,
        request: Request<M>,
        read: impl Fn(&M) -> Result<T, E>,
        answer: impl Fn(Call<T>) -> F,
    ) -> Result<Response<A>, Status> {
        let (_, extensions, message) = request.into_parts();
        let by = Time::of(&extensions);
        let identity = identify(&*self.registry, &extensions, by).await?;
        let mut tries = 1;
        loop {
            let asked = read(&message).map_err(Unreadable::into_status)?;
            let call = Call { asked, identity: identity.clone(), extensions: extensions.clone(), by };
            match answer(call).await {
                Err(status) if tries < MATERIAL_TRIES && is_ring_key_gone(&status) => tries += 1,
                answer => {
                    return answer
                        .map(Response::new)
                        .inspect_err(|status| self.refusals.note(&identity, method, status));
                }
            }
        }
    }

    /// Finds out whether somebody calls: how a stream begins whose messages are calls of their own.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub async fn admit(&self, extensions: &Extensions) -> Result<(), Status> {
        identify(&*self.registry, extensions, Time::of(extensions)).await.map(drop)
    }

    /// Takes a call of `method` that goes on to a handler which finds out by itself who calls, such as
    /// [`revoke_key`](crate::revoke_key).
    ///
    /// # Errors
    /// As of the handler; `RESOURCE_EXHAUSTED` with reason `MESSAGE_TOO_LONG`.
    pub async fn pass<M: Message, A, F: Future<Output = Result<Response<A>, Status>>>(
        &self,
        method: &'static str,
        request: Request<M>,
        handle: impl FnOnce(Request<M>) -> F,
    ) -> Result<Response<A>, Status> {
        hold_to_bound(request.get_ref())?;
        let extensions = request.extensions().clone();
        let answer = handle(request).await;
        if let Err(status) = &answer
            && let Ok(identity) = identify(&*self.registry, &extensions, Time::of(&extensions)).await
        {
            self.refusals.note(&identity, method, status);
        }
        answer
    }
}

/// Whether a key of the keyring that this was made with was destroyed before it was applied: nothing happened.
fn is_ring_key_gone(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == ErrorReason::RingKeyGone.word())
}

/// A listener has one bound for all its methods, that of the longest.
fn hold_to_bound(message: &impl Message) -> Result<(), Status> {
    if message.encoded_len() > PUBLIC_MESSAGE_BYTES_MAX {
        return Err(Rejection::MessageTooLong { bytes_max: Some(PUBLIC_MESSAGE_BYTES_MAX) }.into());
    }
    Ok(())
}

impl ProvenIdentity {
    /// A command of this identity.
    #[must_use]
    pub fn command(&self, request: Option<RequestMark>, operation: Operation) -> Command {
        Command { request, ..Command::new(self.actor(), draw(&mut OsEntropy), operation) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::Refusal;
    use latchkey_transport::status;

    #[test]
    fn only_a_ring_key_that_is_gone_is_met_by_answering_once_more() {
        assert!(is_ring_key_gone(&status::refused(&Refusal::RingKeyGone { number: 7 })));
        assert!(!is_ring_key_gone(&status::refused(&Refusal::RequestIdReused)));
        assert!(!is_ring_key_gone(&Status::unavailable("nobody answers")));
    }
}
