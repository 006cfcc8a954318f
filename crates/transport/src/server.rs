//! One listener with all that stands in front of a handler. The only place where the stack is put together.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use latchkey_domain::Workload;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::{JoinError, JoinSet};
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::NamedService;
use tower::{Layer, Service, ServiceBuilder};

use crate::caller::CallerLayer;
use crate::catch::CatchLayer;
use crate::connection::{Connection, ConnectionError};
use crate::connections::{Accepted, Connections};
use crate::deadline::DeadlineLayer;
use crate::explain::ExplainLayer;
use crate::health::{Health, Probe};
use crate::limits::{self, Limits};
use crate::method::Methods;
use crate::observe::ObserveLayer;
use crate::router::Router;
use crate::shed::{Room, ShedLayer};
use crate::strangers::Strangers;
use crate::tls::{Acceptor, Secured};

/// The address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// Serving could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors given are not a `google.protobuf.FileDescriptorSet`.
    #[error("the descriptors cannot be decoded")]
    Descriptors(#[from] prost::DecodeError),
    /// The descriptors do not fit together.
    #[error("reflection cannot be built from the descriptors")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A listener that is bound and not yet serving.
///
/// ```ignore
/// let server = Server::bind(settings.listen).await?
///     .descriptors(latchkey_wire::FILE_DESCRIPTOR_SET)
///     .service(ValidationServiceServer::new(validation).max_decoding_message_size(PUBLIC_MESSAGE_BYTES_MAX))
///     .service(secret.guard(RegistryServiceServer::new(registry)));
/// let (address, health) = (server.address(), server.health());
/// server.serve(stop).await?;
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    tls: Option<Acceptor>,
    descriptors: Vec<&'static [u8]>,
    health: Health,
    strangers: Option<Strangers>,
    router: Router,
}

impl Server {
    /// Binds `address`; port 0 takes any free port. Health is served from the start, reflection of what
    /// [`Self::descriptors`] gives.
    /// # Errors
    /// [`BindError`] if the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind_error = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let (reporter, health_server) = tonic_health::server::health_reporter();
        let mut router = Router::default();
        router.add(health_server.max_decoding_message_size(limits::PUBLIC_MESSAGE_BYTES_MAX));
        Ok(Self {
            listener,
            address,
            limits: Limits::PUBLIC,
            tls: None,
            descriptors: vec![tonic_health::pb::FILE_DESCRIPTOR_SET],
            health: Health::new(reporter),
            strangers: None,
            router,
        })
    }

    /// Where it really listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handle with which the service says what it can do.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Other bounds than [`Limits::PUBLIC`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Tells somebody of each call whose caller proved no identity.
    #[must_use]
    pub fn strangers(mut self, strangers: Strangers) -> Self {
        self.strangers = Some(strangers);
        self
    }

    /// Over TLS, where one is given; else over plain text.
    #[must_use]
    pub fn tls(mut self, acceptor: Option<Acceptor>) -> Self {
        self.tls = acceptor;
        self
    }

    /// The encoded `FileDescriptorSet` of the services added. Reflection serves it, and it says which methods stream: a
    /// method that is in no descriptor counts as `unknown`, with the rules of a unary management call.
    #[must_use]
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors.push(encoded);
        self
    }

    /// Adds a service: a generated server, or one that [`ClusterSecret::guard`](crate::ClusterSecret::guard) made.
    #[must_use]
    pub fn service<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        self.router.add(service);
        self
    }

    /// Serves until `stop` completes, then takes no more connections, tells health watchers, lets calls in progress end,
    /// and returns after 5 s at the latest. What is dropped serves no more: its connections are closed.
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let mut sets = Vec::new();
        let mut reflection = tonic_reflection::server::Builder::configure();
        for &encoded in &self.descriptors {
            sets.push(FileDescriptorSet::decode(encoded)?);
            reflection = reflection.register_encoded_file_descriptor_set(encoded);
        }
        sets.push(FileDescriptorSet::decode(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)?);
        let mut router = self.router;
        router.add(reflection.build_v1()?.max_decoding_message_size(limits::PUBLIC_MESSAGE_BYTES_MAX));
        let (methods, room) = (Arc::new(Methods::new(&sets, self.strangers.as_ref())), Room::new(self.limits));

        let connections = Connections::new(self.listener, self.limits.connections_max);
        let (drain, draining) = watch::channel(());
        let mut open = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = open.join_next() => tell(ended),
                Accepted { stream, peer, slot } = connections.next() => {
                    let (inner, limits, draining) = (router.clone(), self.limits, draining.clone());
                    let (methods, room) = (methods.clone(), room.clone());
                    let stack = move |workload| stack(methods, room, CallerLayer::new(Some(peer), workload)).layer(inner);
                    match self.tls.clone() {
                        None => drop(open.spawn(converse(stream, stack(None), limits, draining, slot))),
                        Some(tls) => drop(open.spawn(secure(tls, stream, peer, slot, limits, draining, stack))),
                    }
                }
            }
        }
        drop((connections, draining));
        self.health.set(Probe::Process, false).await;
        drop(drain);
        let all_ended = async {
            while let Some(ended) = open.join_next().await {
                tell(ended);
            }
        };
        if tokio::time::timeout(limits::DRAIN_MAX, all_ended).await.is_err() {
            tracing::warn!(address = %self.address, "stopped with calls in progress");
        }
        Ok(())
    }
}

/// A connection from its first byte to its last.
async fn converse<IO, S>(
    io: IO,
    stack: S,
    limits: Limits,
    draining: watch::Receiver<()>,
    slot: OwnedSemaphorePermit,
) -> Result<(), ConnectionError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone,
{
    let ended = Connection::new(io, stack, limits, draining).await;
    drop(slot);
    ended
}

/// As [`converse`], once the peer has shaken hands. It ends with the peer's certificate, and [`limits::DRAIN_MAX`] after it
/// whatever is still in progress.
async fn secure<S>(
    tls: Acceptor,
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
    limits: Limits,
    mut draining: watch::Receiver<()>,
    stack: impl FnOnce(Option<Arc<Workload>>) -> S,
) -> Result<(), ConnectionError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone,
{
    let secured = tokio::select! {
        secured = tls.accept(stream, peer) => secured.ok(),
        // Nobody has asked anything yet: there is nothing to wait for.
        _ = draining.changed() => None,
    };
    let Some(Secured { stream, workload, left }) = secured else { return Ok(()) };
    let conversing = converse(stream, stack(workload), limits.at_most(left), draining, slot);
    let Some(left) = left else { return conversing.await };
    // Its peer was asked to go when the certificate ended. A stream need not: it is cut.
    tokio::time::timeout(left.saturating_add(limits::DRAIN_MAX), conversing).await.unwrap_or(Ok(()))
}

/// How a connection ended concerns its peer, and us only where it was a bug.
fn tell(ended: Result<Result<(), ConnectionError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended"),
        Err(error) => tracing::error!(%error, "a connection panicked"),
    }
}

/// What a call passes through, the outermost first: a call that is shed, cut or broken is counted as well, and a place
/// is held for as long as its call really takes.
fn stack(
    methods: Arc<Methods>,
    room: Arc<Room>,
    caller: CallerLayer,
) -> impl Layer<
    Router,
    Service = impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send,
> + Clone {
    ServiceBuilder::new()
        .layer(ObserveLayer::new(methods, caller.peer()))
        .layer(ShedLayer::new(room))
        .layer(DeadlineLayer)
        .layer(CatchLayer)
        .layer(ExplainLayer)
        .layer(caller)
        .into_inner()
}

#[cfg(test)]
mod tests;
