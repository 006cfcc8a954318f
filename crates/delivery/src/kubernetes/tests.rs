use super::*;
use crate::testing::{Rig, conformance, item, key_name, key_text, rotation_name};
use api_server::ApiServer;
use latchkey_config::{DeliveryKind, HostPort, KeyspacePattern};
use latchkey_domain::{KeyName, Slug};

mod api_server;

/// Settings of a store in that server.
fn settings(server: &ApiServer) -> DeliverySettings {
    DeliverySettings {
        name: Slug::parse("secrets").unwrap(),
        kind: DeliveryKind::KubernetesSecret,
        keyspaces: vec![KeyspacePattern::parse("acme/*").unwrap()],
        key: None,
        path: None,
        command: None,
        steps: Vec::new(),
        check: None,
        time_limit_s: 20,
        server: HostPort::parse(&server.address()).unwrap(),
        token_file: server.token_file(),
        ca_file: server.ca_file(),
        namespace: Some("apps".into()),
        secret: Some("latchkey-{keyspace}".into()),
        data_key: "{key}".into(),
    }
}

struct Cluster {
    server: ApiServer,
    store: KubernetesStore,
}

impl Cluster {
    async fn new() -> Self {
        let server = ApiServer::start().await;
        let store = KubernetesStore::new(&settings(&server));
        Self { server, store }
    }

    async fn stage(&self, number: u8) -> Result<(), DeliveryError> {
        let (rotation, text) = (rotation_name(number), key_text(number));
        let staged = self.store.stage(&item(&rotation, &text)).await;
        if let Err(error) = &staged {
            let told = format!("{error:?}{}", error.told());
            assert!(!told.contains(text.expose()) && !told.contains(api_server::TOKEN), "{told}");
        }
        staged
    }

    async fn deliver(&self, number: u8) -> Result<(), DeliveryError> {
        let (rotation, text) = (rotation_name(number), key_text(number));
        self.store.deliver(&rotation, &item(&rotation, &text).version_name()).await
    }
}

impl Rig for Cluster {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn read(&self, key: &KeyName) -> Option<String> {
        let data = self.server.data();
        let digits = data.get(&key.key.to_string())?;
        Some(String::from_utf8(BASE64_STANDARD.decode(digits).unwrap()).unwrap())
    }

    async fn kept(&self, key: &KeyName) -> usize {
        let beside = format!("{}.", key.key);
        self.server.data().keys().filter(|name| name.starts_with(&beside)).count()
    }

    async fn set_broken(&self, broken: bool) {
        self.server.answer(broken.then_some(503));
    }
}

#[tokio::test]
async fn it_is_a_store() {
    conformance::suite(Cluster::new).await;
}

#[tokio::test]
async fn what_is_sent_is_a_server_side_apply_of_our_fields_alone() {
    let cluster = Cluster::new().await;
    cluster.stage(1).await.unwrap();
    let seen = cluster.server.seen();
    let path = "/api/v1/namespaces/apps/secrets/latchkey-orders";
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("GET", path));
    let patch = &seen[1];
    assert_eq!(patch.method, "PATCH");
    assert_eq!(patch.target, format!("{path}?fieldManager=latchkey-{}&force=true", key_name().key));
    assert_eq!(patch.content_type.as_deref(), Some("application/apply-patch+yaml"));
    assert!(seen.iter().all(|request| request.authorization == format!("Bearer {}", api_server::TOKEN)));
    assert!(seen.iter().all(|request| request.host == cluster.server.address()));
    let body: Value = serde_json::from_str(&patch.body).unwrap();
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "latchkey-orders",
            "namespace": "apps",
            "annotations": { format!("latchkey.example/{}", key_name().key): rotation_name(1).rotation.to_string() },
        },
        "data": { format!("{}.next", key_name().key): BASE64_STANDARD.encode(key_text(1).expose()) },
    });
    assert_eq!(body, expected);
    cluster.deliver(1).await.unwrap();
    let body: Value = serde_json::from_str(&cluster.server.seen().last().unwrap().body).unwrap();
    assert_eq!(body["metadata"]["resourceVersion"], "1", "what was looked at is what is changed");
    assert_eq!(body["data"], json!({ key_name().key.to_string(): BASE64_STANDARD.encode(key_text(1).expose()) }));
}

#[tokio::test]
async fn what_people_put_into_the_secret_stays() {
    let cluster = Cluster::new().await;
    cluster.server.put("password", "cGVvcGxl");
    for number in [1, 2] {
        cluster.stage(number).await.unwrap();
        cluster.deliver(number).await.unwrap();
        cluster.store.finish(&rotation_name(number), Ending::Completed).await.unwrap();
    }
    let data = cluster.server.data();
    assert_eq!(data.get("password").map(String::as_str), Some("cGVvcGxl"));
    assert_eq!(data.len(), 2, "{:?}", data.keys());
}

#[tokio::test]
async fn a_change_in_between_is_not_lost_but_tried_again() {
    let cluster = Cluster::new().await;
    cluster.stage(1).await.unwrap();
    cluster.server.change_at_next_patch();
    let error = cluster.deliver(1).await.unwrap_err();
    assert!(error.is_retryable() && error.told().contains("answered 409 to patch"), "{}", error.told());
    cluster.deliver(1).await.unwrap();
    assert!(cluster.read(&key_name()).await.is_some());
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_repeats_nothing_of_the_answer() {
    let cluster = Cluster::new().await;
    for (code, retryable, to_do) in [
        (401, false, "give a token"),
        (403, false, "allow the service account to get and patch it"),
        (409, true, "tried again"),
        (422, false, "immutable"),
        (429, true, "tried again"),
        (500, true, "tried again"),
        (302, false, "that of an API server"),
    ] {
        cluster.server.answer(Some(code));
        let error = cluster.stage(1).await.unwrap_err();
        let told = error.told();
        assert_eq!(error.is_retryable(), retryable, "{code}");
        assert!(
            told.contains(&code.to_string()) && told.contains("apps/latchkey-orders") && told.contains(to_do),
            "{told}"
        );
        assert!(!told.contains(api_server::ECHO), "{told}");
    }
}

#[tokio::test]
async fn whoever_cannot_prove_to_be_the_server_gets_neither_token_nor_secret() {
    let (server, other) = (ApiServer::start().await, ApiServer::start().await);
    let store = KubernetesStore::new(&DeliverySettings { ca_file: other.ca_file(), ..settings(&server) });
    let (rotation, text) = (rotation_name(1), key_text(1));
    let error = store.stage(&item(&rotation, &text)).await.unwrap_err();
    assert!(error.is_retryable() && error.told().contains("no TLS handshake"), "{}", error.told());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let server = ApiServer::start().await;
    let (rotation, text) = (rotation_name(1), key_text(1));
    let wrong = |change: fn(&mut DeliverySettings)| {
        let mut settings = settings(&server);
        change(&mut settings);
        KubernetesStore::new(&settings)
    };
    for (store, expected) in [
        (wrong(|settings| settings.token_file = "/no/token".into()), "cannot read /no/token"),
        (wrong(|settings| settings.ca_file = "/no/roots".into()), "cannot read /no/roots"),
        (wrong(|settings| settings.ca_file = "/dev/null".into()), "/dev/null does not hold certificates as PEM"),
        (
            wrong(|settings| settings.namespace = Some("a.b".into())),
            "\"a.b\" cannot be the name of a Kubernetes namespace",
        ),
        (wrong(|settings| settings.secret = Some("a/../b".into())), "cannot be the name of a Kubernetes Secret"),
        (wrong(|settings| settings.data_key = "a/{key}".into()), "cannot be a key of the data of a Secret"),
        (wrong(|settings| settings.server = HostPort::parse("127.0.0.1:1").unwrap()), "cannot connect"),
    ] {
        let error = store.stage(&item(&rotation, &text)).await.unwrap_err();
        assert!(error.told().contains(expected), "{expected}: {}", error.told());
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = ApiServer::start().await;
    server.fall_silent();
    let store = KubernetesStore::new(&DeliverySettings { time_limit_s: 1, ..settings(&server) });
    let (rotation, text) = (rotation_name(1), key_text(1));
    let error = store.stage(&item(&rotation, &text)).await.unwrap_err();
    assert!(error.is_retryable() && error.told().contains("no answer within 1 s"), "{}", error.told());
}

#[tokio::test]
async fn who_waits_for_a_step_that_does_not_end_gives_up_in_time() {
    let cluster = Cluster::new().await;
    let _turn = cluster.store.turn.lock().await;
    // From here on nothing but the limit moves time.
    tokio::time::pause();
    for _ in 0..2 {
        let error = cluster.stage(1).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Reach { source: DialError::Time(_), .. }), "{error:?}");
        assert!(error.is_retryable());
    }
}
