//! Who may ask a replica for what, where certificates tell who asks.

mod support;

use latchkey_domain::{IdentityName, NodeId, Slug, Workload};
use latchkey_registry::{Parts, Registry, pending_founding};
use latchkey_state::{Actor, Command, Operation};
use latchkey_telemetry::SystemClock;
use latchkey_transport::{Caller, Dialer, Proof};
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::sync::Arc;
use std::time::Duration;
use support::{Ground, TIMING, WITHIN};
use tonic::{Code, Request};

const NODE: NodeId = NodeId(1);

async fn start(ground: &Ground) -> Registry {
    let parts = Parts {
        store: Arc::new(ground.open_store(NODE).await),
        kms: ground.kms.clone(),
        clock: Arc::new(SystemClock),
        dialer: Dialer::plain(),
        proof: Proof::Certificate,
        timing: TIMING,
        founding: pending_founding(&ground.data(NODE)).expect("readable"),
    };
    let registry = Registry::start(parts).await.expect("a replica that starts");
    let leads = async {
        while !(registry.can_write() && registry.core().state().cluster().is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, leads).await.expect("one replica alone leads");
    registry
}

/// A call by whoever has shown the certificate of `workload`.
fn by<T>(workload: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let workload = Some(Arc::new(Workload::parse(workload).expect("a workload")));
    request.extensions_mut().insert(Caller { workload, ..Caller::default() });
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_speaks_for_its_own_process_alone() {
    let ground = Ground::found(1).await;
    let registry = start(&ground).await;
    let target = Some(pb::Target { cluster_id: ground.cluster.0.to_vec(), epoch: 1, node_id: NODE.0 });
    let mut client = RegistryServiceClient::new(registry.registry_service());

    let service = |word: &str| Actor::Service(Slug::parse(word).unwrap());
    let root = || Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    for (sender, actor, may) in [
        ("issuance", root(), true),
        ("rotation", root(), true),
        ("replica/2", root(), true),
        ("audit", root(), false),
        ("client/root", root(), false),
        ("audit", service("audit"), true),
        ("issuance", service("issuance"), true),
        ("replica/2", service("validation"), true),
        // What audit says to have is forgotten everywhere else.
        ("issuance", service("audit"), false),
        ("replica/2", service("audit"), false),
        ("replica/2", Actor::Replica(NodeId(2)), true),
        ("replica/2", Actor::Replica(NodeId(1)), false),
        ("issuance", Actor::Replica(NodeId(2)), false),
    ] {
        let told = format!("{sender} as {actor:?}");
        // Whether the actor may is for `apply`: here it is whether he is believed to ask.
        let command = Command::new(actor, [7; 32], Operation::RecordRefusals(Vec::new()));
        let message = pb::ProposeRequest { target: target.clone(), command: Some(write_command(&command)) };
        let answer = client.propose(by(sender, message)).await;
        let code = answer.err().map_or(Code::Ok, |status| status.code());
        assert_eq!(code, if may { Code::Ok } else { Code::Unauthenticated }, "{told}");
    }

    for (sender, expected) in [("replica/2", Code::Ok), ("issuance", Code::Unauthenticated)] {
        // Of a term that is over: whoever may ask is answered, and nothing happens.
        let message = pb::StandForElectionRequest { target: target.clone(), term: 0 };
        let answer = client.stand_for_election(by(sender, message)).await;
        assert_eq!(answer.err().map_or(Code::Ok, |status| status.code()), expected, "{sender}");
    }
    registry.shutdown().await;
}
