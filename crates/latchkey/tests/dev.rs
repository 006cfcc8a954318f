//! The whole way of a key through every service, as a person who tries Latchkey walks it.

use latchkey::{Dev, Layout, Ports};
use latchkey_wire::pb::v1 as pb;
use pb::directory_service_client::DirectoryServiceClient;
use pb::issuance_service_client::IssuanceServiceClient;
use pb::validation_service_client::ValidationServiceClient;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Ports that were free a moment ago, and that no other test of this process looks at.
fn free_ports() -> Ports {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let draw = (std::process::id() * 31).wrapping_add(GIVEN.fetch_add(100, Ordering::Relaxed));
    Ports::free(draw).expect("five hundred blocks are not all taken")
}

/// Starts it where nobody listens. Others look for ports too: then it is tried elsewhere.
async fn start(layout: &Layout) -> (Dev, Ports) {
    let mut failed = Vec::new();
    for _ in 0..20 {
        let ports = free_ports();
        match Dev::start(layout, ports).await {
            Ok(dev) => return (dev, ports),
            Err(error) => failed.push(format!("{ports:?}: {error}")),
        }
    }
    panic!("no room for nine ports in twenty tries: {failed:?}");
}

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address makes a URI");
    endpoint.connect().await.expect("it listens")
}

/// A request in the name of root.
fn signed<T>(root_key: &Path, message: T) -> Request<T> {
    let text = std::fs::read_to_string(root_key).expect("the first start wrote it");
    let mut request = Request::new(message);
    let value = format!("Bearer {}", text.trim_end()).parse().expect("a key text is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

async fn validate(ports: Ports, root_key: &Path, key_text: &str) -> pb::ValidateKeyResponse {
    let mut validation = ValidationServiceClient::new(channel(ports.validation()).await);
    let request = pb::ValidateKeyRequest {
        key_text: key_text.to_owned(),
        permission_query: "orders:read".to_owned(),
        ..pb::ValidateKeyRequest::default()
    };
    validation.validate_key(signed(root_key, request)).await.expect("an invalid key is an answer").into_inner()
}

async fn make_key(ports: Ports, root_key: &Path) -> pb::CreateKeyResponse {
    let channel = channel(ports.issuance()).await;
    let (mut directory, mut issuance) =
        (DirectoryServiceClient::new(channel.clone()), IssuanceServiceClient::new(channel));
    let tenant = pb::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        tenant: Some(pb::Tenant::default()),
        ..pb::CreateTenantRequest::default()
    };
    directory.create_tenant(signed(root_key, tenant)).await.expect("root may");
    let keyspace = pb::CreateKeyspaceRequest {
        parent: "tenants/acme".to_owned(),
        keyspace_id: "orders".to_owned(),
        keyspace: Some(pb::Keyspace {
            prefix: "acme_live".to_owned(),
            environment: "production".to_owned(),
            allowed_permissions: vec!["orders:*".to_owned()],
            ..pb::Keyspace::default()
        }),
        ..pb::CreateKeyspaceRequest::default()
    };
    directory.create_keyspace(signed(root_key, keyspace)).await.expect("the tenant is there");
    let key = pb::CreateKeyRequest {
        parent: "tenants/acme/keyspaces/orders".to_owned(),
        permissions: vec!["orders:read".to_owned()],
        ..pb::CreateKeyRequest::default()
    };
    issuance.create_key(signed(root_key, key)).await.expect("the keyspace is there").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_from_its_making_to_its_revocation_and_a_restart_forgets_neither() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path().join("dev"));
    let root_key = layout.root_key();

    let (dev, ports) = start(&layout).await;
    let made = make_key(ports, &root_key).await;
    let name = made.key.expect("the answer carries the key").name;
    assert_eq!(validate(ports, &root_key, &made.key_text).await.outcome(), pb::Outcome::Valid);
    dev.stop().await.expect("it stops in peace");

    let (dev, ports) = start(&layout).await;
    assert!(!dev.is_first());
    let answer = validate(ports, &root_key, &made.key_text).await;
    assert_eq!((answer.outcome(), answer.key.as_str()), (pb::Outcome::Valid, name.as_str()));
    let revoke = pb::RevokeKeyRequest {
        name,
        reason: pb::RevocationReason::Compromised.into(),
        ..pb::RevokeKeyRequest::default()
    };
    let mut issuance = IssuanceServiceClient::new(channel(ports.issuance()).await);
    let revoked = issuance.revoke_key(signed(&root_key, revoke)).await.expect("root may").into_inner();
    assert!(revoked.immediate, "{revoked:?}");
    assert_eq!(validate(ports, &root_key, &made.key_text).await.outcome(), pb::Outcome::Revoked);
    dev.stop().await.expect("it stops in peace");

    let (dev, ports) = start(&layout).await;
    assert_eq!(validate(ports, &root_key, &made.key_text).await.outcome(), pb::Outcome::Revoked);
    dev.stop().await.expect("it stops in peace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing_and_no_secret_lies_in_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path().join("dev"));
    let (dev, ports) = start(&layout).await;
    let made = make_key(ports, &layout.root_key()).await;

    let mut validation = ValidationServiceClient::new(channel(ports.validation()).await);
    let request = pb::ValidateKeyRequest { key_text: made.key_text.clone(), ..pb::ValidateKeyRequest::default() };
    let refused = validation.validate_key(request).await.expect_err("nobody asked");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    dev.stop().await.expect("it stops in peace");

    let root_text = std::fs::read_to_string(layout.root_key()).expect("the first start wrote it");
    // The secret and the checksum, which end a key text.
    let secret = |text: &str| text.as_bytes()[text.len() - 38..].to_vec();
    let secrets = [secret(&made.key_text), secret(root_text.trim_end())];
    let mut read = 0;
    let mut folders = vec![layout.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("it can be read");
            read += bytes.len();
            for secret in &secrets {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret lies in {path:?}");
            }
        }
    }
    assert!(read > 1_000, "only {read} bytes were looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path().join("dev"));
    let ports = free_ports();
    let taken = TcpListener::bind(ports.issuance_metrics()).expect("it was free a moment ago");

    let refused = Dev::start(&layout, ports).await.err().expect("a port is taken");
    assert!(refused.to_string().contains("issuance's metrics"), "{refused}");
    assert!(!layout.folder().exists(), "nothing was made");
    drop(taken);

    // What is closed is closed soon, not at once.
    let again = async {
        loop {
            match Dev::start(&layout, ports).await {
                Ok(dev) => return dev,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let dev = tokio::time::timeout(Duration::from_secs(30), again).await.expect("neither folder nor port is taken");
    dev.stop().await.expect("it stops in peace");
}
