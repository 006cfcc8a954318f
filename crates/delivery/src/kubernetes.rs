//! A Kubernetes Secret, by server-side apply.
//!
//! Under the data key of a key lies its text; beside it, while it rotates, `{data key}.next` with what was staged and
//! `{data key}.before` with what was there. An annotation names the rotation that these belong to. Each key is applied by a
//! field manager of its own, so that keys share a Secret and none takes away what another, or a person, put there; the
//! version of the Secret that was looked at goes with each apply, so that nobody's change in between is lost.

use crate::place::fill;
use crate::{BoxFuture, DeliveryError, Ending, Item, Store};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use latchkey_config::DeliverySettings;
use latchkey_crypto::parse;
use latchkey_dial::{Answer, DialError, Reach, Server, Trust, read_file};
use latchkey_domain::{RotationName, VersionName};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// What our annotations begin with; the id of the key follows.
const ANNOTATION: &str = "latchkey.example";
/// Longest name of a data key. Characters.
const DATA_KEY_CHARS_MAX: usize = 253;
/// Longest of the words behind a data key. Characters.
const BESIDE_CHARS: usize = ".before".len();

/// Delivers to a Secret.
#[derive(Debug)]
pub struct KubernetesStore {
    place: String,
    server: Server,
    token_file: PathBuf,
    namespace: String,
    secret: String,
    data_key: String,
    /// Steps come one after the other: keys of one Secret would be in each other's way, as its version changes with each.
    turn: Mutex<()>,
}

impl KubernetesStore {
    /// As the settings of this kind say.
    #[must_use]
    pub fn new(settings: &DeliverySettings) -> Self {
        let namespace = settings.namespace.clone().unwrap_or_default();
        let secret = settings.secret.clone().unwrap_or_default();
        Self {
            place: format!("kubernetes:{namespace}/{secret}/{}", settings.data_key),
            server: Server {
                address: settings.server.to_string(),
                trust: Some(Trust::roots(&settings.ca_file)),
                reach: Reach::Anywhere,
                limit: Duration::from_secs(settings.time_limit_s),
            },
            token_file: settings.token_file.clone(),
            namespace,
            secret,
            data_key: settings.data_key.clone(),
            turn: Mutex::new(()),
        }
    }

    async fn stage_text(&self, item: &Item<'_>) -> Result<(), DeliveryError> {
        let _turn = self.turn.lock().await;
        let target = self.target(item.rotation)?;
        let mut slots = target.look().await?;
        if slots.rotation.as_deref() != Some(target.rotation.as_str()) {
            // What another rotation left beside is of no use any more.
            slots.before = None;
        }
        slots.next = Some(Zeroizing::new(BASE64_STANDARD.encode(item.text.expose())));
        target.apply(&slots).await
    }

    async fn deliver_staged(&self, rotation: &RotationName, version: &VersionName) -> Result<(), DeliveryError> {
        let _turn = self.turn.lock().await;
        let target = self.target(rotation)?;
        let mut slots = target.look().await?;
        let ours = slots.rotation.as_deref() == Some(target.rotation.as_str());
        if ours && holds(slots.next.as_ref(), version) {
            let was = std::mem::replace(&mut slots.current, slots.next.take());
            slots.before = slots.before.take().or(was);
            return target.apply(&slots).await;
        }
        if holds(slots.current.as_ref(), version) {
            return Ok(());
        }
        Err(DeliveryError::NotStaged { place: format!("{}/{}", target.path(), target.data_key) })
    }

    async fn end(&self, rotation: &RotationName, ending: Ending) -> Result<(), DeliveryError> {
        let _turn = self.turn.lock().await;
        let target = self.target(rotation)?;
        let mut slots = target.look().await?;
        let ours = slots.rotation.as_deref() == Some(target.rotation.as_str());
        if !ours || (slots.next.is_none() && slots.before.is_none()) {
            return Ok(());
        }
        slots.next = None;
        if let (Ending::Undone, Some(before)) = (ending, slots.before.take()) {
            slots.current = Some(before);
        }
        target.apply(&slots).await
    }

    /// Gives a step up that is not done in time. Others wait for their turn, and however many there are, each call ends.
    async fn in_time(&self, step: impl Future<Output = Result<(), DeliveryError>>) -> Result<(), DeliveryError> {
        let (server, limit) = (self.server.address.clone(), self.server.limit);
        let late = |_| Err(DeliveryError::Reach { server, source: DialError::Time(limit) });
        timeout(limit, step).await.unwrap_or_else(late)
    }

    /// The place of one key.
    fn target(&self, rotation: &RotationName) -> Result<Target<'_>, DeliveryError> {
        let filled = |form: &str| fill(form, &rotation.key);
        Ok(Target {
            store: self,
            namespace: name(filled(&self.namespace), "the name of a Kubernetes namespace", 63, false)?,
            secret: name(filled(&self.secret), "the name of a Kubernetes Secret", 253, true)?,
            data_key: data_key(filled(&self.data_key))?,
            key: rotation.key.key.to_string(),
            rotation: rotation.rotation.to_string(),
        })
    }
}

impl Store for KubernetesStore {
    fn place(&self) -> &str {
        &self.place
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.in_time(self.stage_text(item)))
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.in_time(self.deliver_staged(rotation, version)))
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.in_time(self.end(rotation, ending)))
    }
}

/// A key within a Secret, and a rotation of it.
struct Target<'a> {
    store: &'a KubernetesStore,
    namespace: String,
    secret: String,
    data_key: String,
    key: String,
    rotation: String,
}

/// What lies there, as digits of base64.
#[derive(Default)]
struct Slots {
    /// The version of the Secret; none: there is none.
    resource_version: Option<String>,
    rotation: Option<String>,
    current: Option<Zeroizing<String>>,
    next: Option<Zeroizing<String>>,
    before: Option<Zeroizing<String>>,
}

impl Target<'_> {
    async fn look(&self) -> Result<Slots, DeliveryError> {
        let Answer { status, body, .. } = self.call(Method::GET, &self.path(), None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(Slots::default());
        }
        self.accepted(status, "get")?;
        let answer = || DeliveryError::Answer { server: self.store.server.address.clone() };
        let secret: Value = serde_json::from_slice(&body).map_err(|_| answer())?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let data = |name: &str| text(&secret["data"][name]).map(Zeroizing::new);
        Ok(Slots {
            resource_version: Some(text(&secret["metadata"]["resourceVersion"]).ok_or_else(answer)?),
            rotation: text(&secret["metadata"]["annotations"][self.annotation()]),
            current: data(&self.data_key),
            next: data(&self.next()),
            before: data(&self.before()),
        })
    }

    /// Makes what lies there these slots: what is ours and not among them goes.
    async fn apply(&self, slots: &Slots) -> Result<(), DeliveryError> {
        let mut metadata = json!({
            "name": self.secret,
            "namespace": self.namespace,
            "annotations": { self.annotation(): self.rotation },
        });
        if let Some(version) = &slots.resource_version {
            metadata["resourceVersion"] = json!(version);
        }
        let named =
            [(self.data_key.clone(), &slots.current), (self.next(), &slots.next), (self.before(), &slots.before)];
        let data: serde_json::Map<String, Value> =
            named.into_iter().filter_map(|(name, text)| Some((name, json!(**text.as_ref()?)))).collect();
        // JSON is YAML.
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}).to_string();
        let path = format!("{}?fieldManager=latchkey-{}&force=true", self.path(), self.key);
        let Answer { status, .. } = self.call(Method::PATCH, &path, Some(body)).await?;
        self.accepted(status, "patch")
    }

    async fn call(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer, DeliveryError> {
        let unreached = |source| DeliveryError::Reach { server: self.store.server.address.clone(), source };
        let token_file = &self.store.token_file;
        let token = read_file(token_file).map_err(unreached)?;
        let mut bearer = Zeroizing::new(b"Bearer ".to_vec());
        bearer.extend_from_slice(token.trim_ascii());
        let bearer = header::HeaderValue::from_bytes(&bearer);
        let mut bearer = bearer
            .map_err(|_| unreached(DialError::Content { path: token_file.clone(), expected: "a token in one line" }))?;
        bearer.set_sensitive(true);
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/apply-patch+yaml");
        }
        let request = request.header(header::AUTHORIZATION, bearer);
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())));
        let request = request.expect("names of Kubernetes and ids of keys are letters of a path");
        self.store.server.call(request).await.map_err(unreached)
    }

    fn accepted(&self, status: StatusCode, verb: &'static str) -> Result<(), DeliveryError> {
        if status.is_success() {
            return Ok(());
        }
        let to_do = match status.as_u16() {
            401 => "give a token of this cluster in the token file",
            403 => "allow the service account to get and patch it",
            404 => "make the namespace, or correct its name in the settings",
            409 => "somebody changed it in between; it is tried again",
            413 | 422 => "look whether it is immutable or full",
            429 | 500.. => "it is tried again",
            _ => "look whether the address in the settings is that of an API server",
        };
        Err(DeliveryError::Refused {
            server: self.store.server.address.clone(),
            code: status.as_u16(),
            verb,
            namespace: self.namespace.clone(),
            secret: self.secret.clone(),
            to_do,
        })
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.namespace, self.secret)
    }

    fn annotation(&self) -> String {
        format!("{ANNOTATION}/{}", self.key)
    }

    fn next(&self) -> String {
        format!("{}.next", self.data_key)
    }

    fn before(&self) -> String {
        format!("{}.before", self.data_key)
    }
}

/// Whether the digits are those of the text of this version.
fn holds(digits: Option<&Zeroizing<String>>, version: &VersionName) -> bool {
    let bytes = digits.and_then(|digits| BASE64_STANDARD.decode(digits.as_bytes()).ok()).map(Zeroizing::new);
    let text = bytes.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| parse(text.trim_end())).is_some_and(|text| text.version == version.version)
}

/// A name as of RFC 1123, with points where there may be several labels.
fn name(found: String, what: &'static str, chars_max: usize, points: bool) -> Result<String, DeliveryError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let ends = label.bytes().next().is_some_and(letter) && label.bytes().last().is_some_and(letter);
        ends && label.bytes().all(|byte| letter(byte) || byte == b'-')
    };
    let fits = found.len() <= chars_max && found.split('.').all(label) && (points || !found.contains('.'));
    if fits { Ok(found) } else { Err(DeliveryError::Name { what, found }) }
}

fn data_key(found: String) -> Result<String, DeliveryError> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=DATA_KEY_CHARS_MAX - BESIDE_CHARS).contains(&found.len()) && found.bytes().all(letter);
    let fits = fits && !found.starts_with("..") && found != ".";
    if fits { Ok(found) } else { Err(DeliveryError::Name { what: "a key of the data of a Secret", found }) }
}

#[cfg(test)]
mod tests;
