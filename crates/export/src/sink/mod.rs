//! The places that take records.

mod clickhouse;
mod elasticsearch;
mod error;
mod file;
mod http;
mod otlp;
mod syslog;
mod target;

pub use clickhouse::ClickHouse;
pub use elasticsearch::Elasticsearch;
pub use error::SinkError;
pub use file::FileSink;
pub use http::HttpSink;
pub use otlp::Otlp;
pub use syslog::Syslog;

use crate::item::Item;
use crate::record::Record;
use latchkey_config::{SinkKind, SinkSettings, Url};
use latchkey_dial::{Reach, Server, Trust};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use target::Target;

/// A future in a box: sinks are chosen by settings.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that takes records, or others of what is sent.
pub trait Sink<T = Record>: Send + Sync + Debug {
    /// Sends records, in the order of their sequences. What the place took before an error is told with the error.
    ///
    /// Records of the same sequences come again after an error: at least once. A batch of which nothing was taken and all set aside
    /// tells as much of the place as of the records: whoever sends decides.
    fn send<'a>(&'a self, batch: &'a [T], unix_seconds: u64) -> BoxFuture<'a, Result<Taken, SinkError>>;
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The records that the place will never take; it has all others.
    pub set_aside: Vec<SetAside>,
}

/// A record that a place will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Which.
    pub sequence: u64,
    /// What the place says, in a word or two. Never what the record says.
    pub reason: String,
}

/// The sink that the settings describe.
#[must_use]
pub fn open(settings: &SinkSettings) -> Box<dyn Sink> {
    match settings.kind {
        SinkKind::Elasticsearch => Box::new(Elasticsearch::new(settings)),
        SinkKind::Http => Box::new(HttpSink::new(settings)),
        SinkKind::Otlp => Box::new(Otlp::new(settings)),
        SinkKind::Syslog => Box::new(Syslog::new(settings)),
        SinkKind::File => Box::new(FileSink::new(settings)),
        SinkKind::ClickHouse => Box::new(ClickHouse::new(settings)),
    }
}

/// The sink that the settings describe, for what replicas observed; `None`: the kind takes entries only.
#[must_use]
pub fn open_observing<T: Item>(settings: &SinkSettings) -> Option<Box<dyn Sink<T>>> {
    match settings.kind {
        SinkKind::Elasticsearch => Some(Box::new(Elasticsearch::new(settings))),
        SinkKind::Http => Some(Box::new(HttpSink::new(settings))),
        SinkKind::File => Some(Box::new(FileSink::new(settings))),
        SinkKind::ClickHouse => Some(Box::new(ClickHouse::new(settings))),
        SinkKind::Otlp | SinkKind::Syslog => None,
    }
}

/// How the server of the settings is reached.
fn server(settings: &SinkSettings, address: String, tls: bool) -> Server {
    let identity = settings.certificate_file.clone().zip(settings.key_file.clone());
    let trust = tls.then(|| Trust { ca_file: settings.ca_file.clone(), identity });
    Server { address, trust, reach: Reach::Anywhere, limit: Duration::from_secs(settings.time_limit_s) }
}

/// The server of a kind that has a URL, and what calls ask it for.
fn by_url(settings: &SinkSettings) -> (Server, Target) {
    let url: &Url = settings.url.as_ref().expect("the settings were checked: this kind has a URL");
    (server(settings, url.host().to_string(), url.is_tls()), Target::of(url))
}
