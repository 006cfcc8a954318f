//! Elasticsearch, and what speaks its `_bulk`: ECS documents, each created once under the id of its entry.

use super::error::refused;
use super::http::Credentials;
use super::target::Target;
use super::{BoxFuture, SetAside, Sink, SinkError, Taken, by_url};
use crate::format::{Format, access_ecs, ecs};
use crate::item::Item;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use latchkey_config::{SinkSettings, SinkStream};
use latchkey_dial::Server;
use serde_json::{Value, json};

/// Longest word of the server's that is told. Bytes.
const WORD_BYTES_MAX: usize = 64;

/// An Elasticsearch.
#[derive(Debug)]
pub struct Elasticsearch {
    server: Server,
    target: Target,
    credentials: Credentials,
}

impl Elasticsearch {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let (server, target) = by_url(settings);
        // What of the answer is read: all else repeats the documents.
        let filter = "filter_path=errors,items.*.status,items.*.error.type";
        let target = target.below(&format!("{}/_bulk", index(settings))).asking(filter);
        Self { server, target, credentials: Credentials::new(settings, "ApiKey") }
    }

    async fn send_all<T: Item>(&self, batch: &[T]) -> Result<Taken, SinkError> {
        let mut body = Vec::new();
        for record in batch {
            // `create` is what data streams take, and tells by its conflict that the entry is there.
            for line in [json!({"create": {"_id": record.id()}}), record.value(Format::Ecs)] {
                body.extend_from_slice(line.to_string().as_bytes());
                body.push(b'\n');
            }
        }
        let request = Request::post(self.target.text()).header(header::CONTENT_TYPE, "application/x-ndjson");
        let request = self.credentials.add(request)?.body(Full::new(Bytes::from(body)));
        let request = request.expect("paths of settings are visible letters");
        let server = || self.server.address.clone();
        let answer = self.server.call(request).await.map_err(|source| SinkError::Reach { server: server(), source })?;
        if !answer.status.is_success() {
            return Err(refused(&self.server.address, answer.status, &answer.headers));
        }
        let other = || SinkError::Answer { server: server(), expected: "what _bulk answers" };
        let told: Value = serde_json::from_slice(&answer.body).map_err(|_| other())?;
        judge(&told, batch, &self.server.address).ok_or_else(other)?
    }
}

/// The data stream of the settings, or the usual one.
fn index(settings: &SinkSettings) -> String {
    let dataset = if settings.stream == SinkStream::Access { access_ecs::DATASET } else { ecs::DATASET };
    settings.index.clone().unwrap_or_else(|| format!("logs-{dataset}-default"))
}

/// What became of each record. Those that can be taken later make the whole batch come again: what is there by then is a conflict.
fn judge<T: Item>(told: &Value, batch: &[T], server: &str) -> Option<Result<Taken, SinkError>> {
    if !told.get("errors")?.as_bool()? {
        return Some(Ok(Taken::default()));
    }
    let items = told.get("items")?.as_array()?;
    if items.len() != batch.len() {
        return None;
    }
    let (mut set_aside, mut later) = (Vec::new(), Vec::new());
    for (record, item) in batch.iter().zip(items) {
        let item = item.get("create")?;
        let status = item.get("status")?.as_u64()?;
        let reason = format!("{} (status {status})", word_of(&item["error"]["type"]));
        match status {
            // 409: it was created by an attempt before.
            200..300 | 409 => {}
            // Refused for now: for want of room, of a right, of an index.
            429 | 401 | 403 | 404 | 500.. => later.push(reason),
            _ => set_aside.push(SetAside { sequence: record.sequence(), reason }),
        }
    }
    Some(match later.first() {
        None => Ok(Taken { set_aside }),
        Some(first) => Err(SinkError::Busy { server: server.to_owned(), count: later.len(), reason: first.clone() }),
    })
}

/// The server's word for an error. What is no such word may repeat what we sent, and is not told.
fn word_of(told: &Value) -> &str {
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    told.as_str().filter(|word| word.len() <= WORD_BYTES_MAX).filter(is_word).unwrap_or("no reason")
}

impl<T: Item> Sink<T> for Elasticsearch {
    fn send<'a>(&'a self, batch: &'a [T], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch))
    }
}
