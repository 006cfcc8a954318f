//! A receiver of HTTP calls: CloudEvents, or lines of JSON, signed by Standard Webhooks where there is a secret.

use super::error::refused;
use super::target::Target;
use super::{BoxFuture, SetAside, Sink, SinkError, Taken, by_url};
use crate::format::{Format, cloud_events};
use crate::item::{Item, batch_id};
use crate::webhook::{self, SigningKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::request::Builder;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use latchkey_config::SinkSettings;
use latchkey_dial::{DialError, Server, read_file};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What lines of JSON are.
const LINES: &str = "application/x-ndjson";

/// A receiver of HTTP calls.
#[derive(Debug)]
pub struct HttpSink {
    server: Server,
    target: Target,
    format: Format,
    binary: bool,
    single: bool,
    signing_key_files: Vec<PathBuf>,
    credentials: Credentials,
}

/// Who we are to a server.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    user: Option<(String, PathBuf)>,
    token: Option<(&'static str, PathBuf)>,
}

impl Credentials {
    /// As the settings say; `scheme` is what a token is called there.
    pub(crate) fn new(settings: &SinkSettings, scheme: &'static str) -> Self {
        Self {
            user: settings.username.clone().zip(settings.password_file.clone()),
            token: settings.token_file.clone().map(|file| (scheme, file)),
        }
    }

    /// Adds them to a request. The files are read each time: a secret that was changed is taken up by the next call.
    pub(crate) fn add(&self, request: Builder) -> Result<Builder, DialError> {
        let (scheme, secret, file) = match (&self.user, &self.token) {
            (Some((name, file)), _) => {
                let mut pair = Zeroizing::new(format!("{name}:").into_bytes());
                pair.extend_from_slice(read_file(file)?.trim_ascii());
                ("Basic", Zeroizing::new(BASE64_STANDARD.encode(&pair).into_bytes()), file)
            }
            (None, Some((scheme, file))) => (*scheme, Zeroizing::new(read_file(file)?.trim_ascii().to_vec()), file),
            (None, None) => return Ok(request),
        };
        Ok(request.header(header::AUTHORIZATION, authorization(scheme, &secret, file)?))
    }
}

fn authorization(scheme: &str, secret: &[u8], file: &Path) -> Result<HeaderValue, DialError> {
    let mut value = Zeroizing::new(format!("{scheme} ").into_bytes());
    value.extend_from_slice(secret);
    let value = HeaderValue::from_bytes(&value);
    let mut value =
        value.map_err(|_| DialError::Content { path: file.to_owned(), expected: "a secret in one line" })?;
    value.set_sensitive(true);
    Ok(value)
}

impl HttpSink {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &SinkSettings) -> Self {
        let (server, target) = by_url(settings);
        Self {
            server,
            target,
            format: settings.form().into(),
            binary: settings.binary,
            single: settings.binary || settings.batch_entries_max == 1,
            signing_key_files: settings.signing_key_files.clone(),
            credentials: Credentials::new(settings, "Bearer"),
        }
    }

    async fn send_all<T: Item>(&self, batch: &[T], unix_seconds: u64) -> Result<Taken, SinkError> {
        if !self.single {
            return self.call(batch, unix_seconds).await;
        }
        for (before, record) in batch.iter().enumerate() {
            let one = self.call(std::slice::from_ref(record), unix_seconds).await;
            let one = one.map_err(|error| error.after(before))?;
            if batch.len() > 1 && !one.set_aside.is_empty() {
                // What was taken before it is told first; it comes again by itself, and no further one is called in vain.
                return Err(SinkError::Wrong { server: self.server.address.clone(), taken: before });
            }
            if !one.set_aside.is_empty() {
                return Ok(one);
            }
        }
        Ok(Taken::default())
    }

    async fn call<T: Item>(&self, batch: &[T], unix_seconds: u64) -> Result<Taken, SinkError> {
        if batch.is_empty() {
            return Ok(Taken::default());
        }
        self.send_as(batch, batch_id(batch), unix_seconds).await
    }

    async fn send_as<T: Item>(&self, batch: &[T], id: String, unix_seconds: u64) -> Result<Taken, SinkError> {
        let mut request = Request::post(self.target.text()).header(header::USER_AGENT, "latchkey");
        let (content_type, body) = match (self.format, batch) {
            (Format::CloudEvents, [one]) if self.binary => {
                for (name, value) in one.attributes() {
                    request = request.header(format!("ce-{name}"), cloud_events::header(&value));
                }
                ("application/json", cloud_events::data(one).to_string().into_bytes())
            }
            (Format::CloudEvents, [one]) if self.single => {
                (cloud_events::STRUCTURED, cloud_events::structured(one).to_string().into_bytes())
            }
            (Format::CloudEvents, _) => (cloud_events::BATCH, cloud_events::batch(batch).to_string().into_bytes()),
            (format, _) => (LINES, format.lines(batch)),
        };
        let keys: Result<Vec<_>, _> = self.signing_key_files.iter().map(|file| SigningKey::read(file)).collect();
        for (name, value) in webhook::headers(&keys?, &id, unix_seconds, &body) {
            request = request.header(name, value);
        }
        let request = self.credentials.add(request.header(header::CONTENT_TYPE, content_type))?;
        let request =
            request.body(Full::new(Bytes::from(body))).expect("paths of settings and attributes are visible letters");
        let answer = self.server.call(request).await;
        let answer = answer.map_err(|source| SinkError::Reach { server: self.server.address.clone(), source })?;
        match answer.status {
            status if status.is_success() => Ok(Taken::default()),
            // What is wrong with one record does not get better, and must not hold up all others.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE
                if batch.len() == 1 =>
            {
                let reason = format!("status {}", answer.status.as_u16());
                Ok(Taken { set_aside: vec![SetAside { sequence: batch[0].sequence(), reason }] })
            }
            // One of them is wrong: smaller batches tell which.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(SinkError::Wrong { server: self.server.address.clone(), taken: 0 })
            }
            status => Err(refused(&self.server.address, status, &answer.headers)),
        }
    }
}

impl<T: Item> Sink<T> for HttpSink {
    fn send<'a>(&'a self, batch: &'a [T], unix_seconds: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch, unix_seconds))
    }
}
