//! Whoever is nobody gets nothing, whatever he calls.

use latchkey_api::methods::{self, Method};
use latchkey_api::{Furniture, House, Spares, Why, raw, requests};
use latchkey_transport::channel;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Code;
use tonic::metadata::{MetadataMap, MetadataValue};

fn metadata(key: &'static str, value: &str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert(key, value.parse::<MetadataValue<_>>().unwrap());
    metadata
}

fn bearer(text: &str) -> MetadataMap {
    metadata("authorization", &format!("Bearer {text}"))
}

async fn refusal(address: SocketAddr, method: &Method, shown: MetadataMap) -> Result<Why, Vec<u8>> {
    match raw::call(channel(address), &method.path(), shown, Vec::new()).await {
        Ok(answer) => Err(answer),
        Err(status) => Ok(Why::read(&status)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_proto_is_unauthenticated_for_whoever_shows_no_identity() {
    let (house, furniture) = Furniture::house().await;
    let (revoked_text, _) = house.identity("acme", "former", &[]).await;
    let mut root = house.root();
    let keys = root.keys.list_keys(requests::list_keys(requests::MANAGEMENT)).await.unwrap().into_inner().keys;
    let former = keys.into_iter().find(|key| key.owner == "tenants/acme/identities/former").unwrap();
    root.keys.revoke_key(requests::revoke(&former.name)).await.unwrap();

    let missing = Why::new(Code::Unauthenticated, "IDENTITY_MISSING", &[]);
    let unknown = Why::new(Code::Unauthenticated, "IDENTITY_UNKNOWN", &[]);
    let public = [
        ("nothing", MetadataMap::new(), &missing),
        ("another scheme", metadata("authorization", "Basic cm9vdDpyb290"), &missing),
        ("the secret of the cluster in place of an identity", metadata("latchkey-cluster-secret", "x"), &missing),
        ("no key text", bearer("root"), &unknown),
        ("a key that manages nothing", bearer(&furniture.made.key_text), &unknown),
        ("a management key that was revoked", bearer(&revoked_text), &unknown),
    ];
    let internal = [
        ("nothing", MetadataMap::new(), &missing),
        ("a management key, even root's", bearer(&house.root_text()), &missing),
        ("another secret", metadata("latchkey-cluster-secret", &"0".repeat(64)), &unknown),
    ];

    let (mut wrong, mut asked) = (Vec::new(), 0);
    for method in methods::all() {
        let shown = if method.is_internal() { &internal[..] } else { &public[..] };
        for address in method.served_by(house.ports()) {
            for (what, metadata, expected) in shown {
                asked += 1;
                let answer = refusal(address, &method, metadata.clone()).await;
                if answer.as_ref() != Ok(*expected) {
                    wrong.push(format!("{} at {address} with {what}: {answer:?}", method.path()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked >= 20 * public.len(), "only {asked} calls were made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_is_answered_by_nobody_who_does_not_serve_it() {
    let (house, _) = Furniture::house().await;
    let ports = house.ports();
    let mut wrong = Vec::new();
    for method in methods::all() {
        let serving = method.served_by(ports);
        for address in [ports.issuance(), ports.validation(), ports.raft(), ports.rotation(), ports.audit()] {
            if serving.contains(&address) {
                continue;
            }
            match raw::call(channel(address), &method.path(), bearer(&house.root_text()), Vec::new()).await {
                Err(status) if status.code() == Code::Unimplemented => {}
                answer => wrong.push(format!("{} at {address}: {answer:?}", method.path())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_no_duty_is_denied_by_every_method_and_learns_of_no_resource() {
    let (house, furniture) = Furniture::house().await;
    let (text, _) = house.identity("rival", "guest", &[]).await;
    let mut wrong = Vec::new();
    let spares = Spares::put_into(&house, &furniture).await;
    let messages = crate::changes::calls(&furniture, &spares);
    for method in methods::all().into_iter().filter(|method| !method.is_internal()) {
        let (_, message) = messages[method.path().as_str()].clone();
        for address in method.served_by(house.ports()) {
            let answer = raw::call(channel(address), &method.path(), bearer(&text), message.clone()).await;
            match answer.as_ref().map_err(Why::read) {
                Err(why) if why == Why::new(Code::PermissionDenied, "PERMISSION_DENIED", &[]) => {}
                _ => wrong.push(format!("{} at {address}: {answer:?}", method.path())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_ask_nobody_who_he_is() {
    let house = House::empty().await;
    let ports = house.ports();
    // `HealthCheckRequest { service }` and the status SERVING, as they lie on the wire.
    let check = |service: &str| [&[0x0a, u8::try_from(service.len()).unwrap()], service.as_bytes()].concat();
    for (address, service) in [
        (ports.issuance(), ""),
        (ports.rotation(), ""),
        (ports.audit(), ""),
        (ports.validation(), ""),
        (ports.validation(), "latchkey.validate"),
        (ports.validation(), "latchkey.write"),
    ] {
        let health = async || {
            raw::call(channel(address), "grpc.health.v1.Health/Check", MetadataMap::new(), check(service)).await
        };
        // The probes look once in a while, so health follows what it is about.
        let healthy = async {
            while health().await.unwrap() != [0x08, 0x01] {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(10), healthy).await.expect(service);
    }
    // `ServerReflectionRequest { list_services: "" }`.
    for address in [ports.issuance(), ports.validation(), ports.rotation(), ports.audit()] {
        let path = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let answer = raw::call(channel(address), path, MetadataMap::new(), vec![0x3a, 0x00]).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.contains("latchkey.v1."), "{text:?}");
    }
}
