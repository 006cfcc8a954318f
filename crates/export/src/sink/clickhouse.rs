//! ClickHouse over HTTP: one insert a batch, a row for each record, in our own JSON.

use super::error::refused;
use super::http::Credentials;
use super::target::Target;
use super::{BoxFuture, Sink, SinkError, Taken, by_url};
use crate::format::Format;
use crate::item::{Item, batch_id};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use latchkey_config::SinkSettings;
use latchkey_dial::Server;

/// A ClickHouse.
#[derive(Debug)]
pub struct ClickHouse {
    server: Server,
    target: Target,
    credentials: Credentials,
}

impl ClickHouse {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let (server, target) = by_url(settings);
        let table = settings.table.as_deref().unwrap_or_default();
        // A column that a table does not have is passed over; times are RFC 3339.
        let query = format!(
            "query=INSERT%20INTO%20{table}%20FORMAT%20JSONEachRow&input_format_skip_unknown_fields=1&date_time_input_format=best_effort"
        );
        Self { server, target: target.asking(&query), credentials: Credentials::new(settings, "Bearer") }
    }

    async fn send_all<T: Item>(&self, batch: &[T]) -> Result<Taken, SinkError> {
        if batch.is_empty() {
            return Ok(Taken::default());
        }
        // The same rows under the same token are inserted once by tables that are replicated or keep a window of tokens.
        let token = format!("insert_deduplication_token={}", batch_id(batch));
        let request = Request::post(self.target.clone().asking(&token).text())
            .header(header::CONTENT_TYPE, "application/x-ndjson");
        let body = Full::new(Bytes::from(Format::Json.lines(batch)));
        let request = self.credentials.add(request)?.body(body).expect("paths of settings are visible letters");
        let answer = self.server.call(request).await;
        let answer = answer.map_err(|source| SinkError::Reach { server: self.server.address.clone(), source })?;
        if answer.status.is_success() {
            return Ok(Taken::default());
        }
        Err(refused(&self.server.address, answer.status, &answer.headers))
    }
}

impl<T: Item> Sink<T> for ClickHouse {
    fn send<'a>(&'a self, batch: &'a [T], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch))
    }
}
