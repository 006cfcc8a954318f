//! As much of an API server as a Secret needs: TLS, a token, `GET`, and server-side apply with field managers.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::TLS13;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The token that it accepts.
pub(super) const TOKEN: &str = "a-token-of-a-service-account";
/// What it says where it refuses: it could be anything, also what we sent.
pub(super) const ECHO: &str = "the request was";

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) host: String,
    pub(super) content_type: Option<String>,
    pub(super) authorization: String,
    pub(super) body: String,
}

/// One that runs until it is dropped, with one Secret.
pub(super) struct ApiServer {
    folder: TempDir,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    /// Each field with its value and the manager who owns it: `data/…` and `annotations/…`.
    fields: BTreeMap<String, (String, String)>,
    version: u64,
    answer: Option<u16>,
    change_at_patch: bool,
    silent: bool,
}

impl ApiServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[&TLS13]).unwrap().with_no_client_auth();
        let acceptor =
            TlsAcceptor::from(Arc::new(config.with_single_cert(vec![made.cert.der().clone()], key).unwrap()));
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn(accept(listener, acceptor, state.clone()));
        Self { folder, address, state, task }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// The data of the Secret.
    pub(super) fn data(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let data = state.fields.iter().filter_map(|(name, (value, _))| Some((name.strip_prefix("data/")?, value)));
        data.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// A person puts something into the Secret.
    pub(super) fn put(&self, name: &str, digits: &str) {
        self.state().put(name, digits);
    }

    /// Answers everything so from now on, or well.
    pub(super) fn answer(&self, code: Option<u16>) {
        self.state().answer = code;
    }

    /// Somebody else is quicker, once.
    pub(super) fn change_at_next_patch(&self) {
        self.state().change_at_patch = true;
    }

    /// Accepts connections, and says nothing from now on.
    pub(super) fn fall_silent(&self) {
        self.state().silent = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), state.clone());
        tokio::spawn(async move {
            if state.lock().unwrap().silent {
                return std::future::pending().await;
            }
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let service = service_fn(|request| respond(request, &state));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, state: &Mutex<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let seen = Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        host: header("host").unwrap_or_default(),
        content_type: header("content-type"),
        authorization: header("authorization").unwrap_or_default(),
        body,
    };
    let mut state = state.lock().unwrap();
    state.seen.push(seen.clone());
    let (code, answer) = match (state.answer, &head.method) {
        (Some(code), _) => (code, json!({"kind": "Status", "message": format!("{ECHO} {}", seen.body)})),
        (None, _) if seen.authorization != format!("Bearer {TOKEN}") => (401, json!({"kind": "Status"})),
        (None, &Method::GET) => state.get(),
        (None, &Method::PATCH) => state.patch(&seen),
        (None, _) => (405, json!({"kind": "Status"})),
    };
    Ok(Response::builder().status(code).body(Full::new(Bytes::from(answer.to_string()))).unwrap())
}

impl State {
    fn put(&mut self, name: &str, digits: &str) {
        self.version += 1;
        self.fields.insert(format!("data/{name}"), (digits.to_owned(), "kubectl".to_owned()));
    }

    fn get(&self) -> (u16, Value) {
        if self.version == 0 {
            return (404, json!({"kind": "Status", "code": 404}));
        }
        let group = |group: &str| -> Map<String, Value> {
            let fields = self.fields.iter().filter_map(|(name, (value, _))| Some((name.strip_prefix(group)?, value)));
            fields.map(|(name, value)| (name.to_owned(), json!(value))).collect()
        };
        let metadata = json!({"resourceVersion": self.version.to_string(), "annotations": group("annotations/")});
        (200, json!({"kind": "Secret", "metadata": metadata, "data": group("data/")}))
    }

    /// Server-side apply: what the manager owned and does not apply any more goes.
    fn patch(&mut self, seen: &Seen) -> (u16, Value) {
        let (_, query) = seen.target.split_once('?').unwrap_or_default();
        let manager = query.split('&').find_map(|pair| pair.strip_prefix("fieldManager="));
        let (Some(manager), Some("application/apply-patch+yaml")) = (manager, seen.content_type.as_deref()) else {
            return (415, json!({"kind": "Status"}));
        };
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        if std::mem::take(&mut self.change_at_patch) {
            self.put("elsewhere", "");
        }
        let looked_at = body["metadata"]["resourceVersion"].as_str();
        if looked_at.is_some_and(|version| version != self.version.to_string()) {
            return (409, json!({"kind": "Status", "reason": "Conflict"}));
        }
        self.fields.retain(|_, (_, owner)| owner != manager);
        for (group, fields) in [("data", &body["data"]), ("annotations", &body["metadata"]["annotations"])] {
            for (name, value) in fields.as_object().unwrap() {
                let value = value.as_str().unwrap().to_owned();
                self.fields.insert(format!("{group}/{name}"), (value, manager.to_owned()));
            }
        }
        self.version += 1;
        self.get()
    }
}
