//! A collector of OpenTelemetry: log records over gRPC.

use super::{BoxFuture, SetAside, Sink, SinkError, Taken, by_url};
use crate::format::otlp::request;
use crate::record::Record;
use hyper_util::rt::TokioIo;
use latchkey_config::SinkSettings;
use latchkey_dial::Server;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use std::io;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::service_fn;

/// A collector.
#[derive(Debug)]
pub struct Otlp {
    server: Server,
    endpoint: Endpoint,
}

impl Otlp {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let (server, _) = by_url(settings);
        let scheme = if server.trust.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", server.address));
        let endpoint = endpoint.expect("a host and a port make an address").timeout(server.limit);
        Self { server, endpoint }
    }

    /// TLS is ours, so that it is the same as everywhere.
    async fn connect(&self) -> Result<Channel, SinkError> {
        let server = self.server.clone();
        let connector = service_fn(move |_| {
            let server = server.clone();
            async move { server.dial(&[b"h2"]).await.map(TokioIo::new).map_err(io::Error::other) }
        });
        let connected = self.endpoint.connect_with_connector(connector).await;
        connected
            .map_err(|error| SinkError::Stream { server: self.server.address.clone(), source: io::Error::other(error) })
    }

    async fn send_all(&self, batch: &[Record]) -> Result<Taken, SinkError> {
        let mut client = LogsServiceClient::new(self.connect().await?);
        match client.export(request(batch)).await {
            Ok(answer) => {
                let rejected = answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_log_records);
                // It says how many, not which: each by itself tells.
                match (rejected, batch) {
                    (..=0, _) => Ok(Taken::default()),
                    (_, [one]) => Ok(aside(one, "rejected")),
                    _ => Err(SinkError::Wrong { server: self.server.address.clone(), taken: 0 }),
                }
            }
            Err(status) => self.refused(&status, batch),
        }
    }

    fn refused(&self, status: &Status, batch: &[Record]) -> Result<Taken, SinkError> {
        let server = self.server.address.clone();
        let to_do = match status.code() {
            Code::ResourceExhausted | Code::OutOfRange if batch.len() > 1 => {
                return Err(SinkError::TooLarge { server, taken: 0 });
            }
            Code::InvalidArgument if batch.len() > 1 => return Err(SinkError::Wrong { server, taken: 0 }),
            Code::InvalidArgument => {
                return match batch {
                    [one] => Ok(aside(one, "INVALID_ARGUMENT")),
                    _ => Ok(Taken::default()),
                };
            }
            Code::Unauthenticated | Code::PermissionDenied => "let our certificate in",
            Code::Unimplemented => "look whether the address in the settings is that of an OTLP receiver for logs",
            _ => "it is tried again",
        };
        let code = u16::try_from(i32::from(status.code())).unwrap_or_default();
        Err(SinkError::Refused { server, code, to_do, retry_after: None::<Duration>, taken: 0 })
    }
}

fn aside(record: &Record, reason: &str) -> Taken {
    Taken { set_aside: vec![SetAside { sequence: record.sequence(), reason: reason.to_owned() }] }
}

impl Sink for Otlp {
    fn send<'a>(&'a self, batch: &'a [Record], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch))
    }
}
