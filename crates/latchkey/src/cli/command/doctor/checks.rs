//! What is asked of the services.

use super::{Finding, cluster};
use crate::cli::api::Api;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::moment;
use crate::cli::names;
use crate::cli::service::Service;
use latchkey_wire::pb::v1 as pb;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long one probe may take.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(3);

/// What brings a cluster without a leader back.
const MAJORITY: &str = "bring up a majority of replicas";

/// How far the probes of a process came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nobody answers.
    Away,
    /// Somebody answers, and does not do what is asked of the service.
    Process,
    /// All but what needs a leader.
    Reads,
    /// All.
    All,
}

/// The probes of each service: all may serve, or the installation is not well.
const fn probes(service: Service) -> &'static [&'static str] {
    match service {
        Service::Issuance | Service::Rotation => &["", "latchkey.write"],
        Service::Validation => &["", "latchkey.validate", "latchkey.write"],
        Service::Audit => &[""],
    }
}

/// Looks at every service, at who calls, and at the cluster. `key` is where the management key comes from, in words.
pub(super) async fn look(context: &Context, key: &str, findings: &mut Vec<Finding>) {
    let mut reaches = [Reach::Away; 4];
    let mut services = Vec::new();
    for (service, reach) in Service::ALL.into_iter().zip(&mut reaches) {
        let (address, remedy) = (context.api.address(service), away(service));
        let (mut finding, found) = health(address, context.api.channel(service), probes(service), &remedy).await;
        service.word().clone_into(&mut finding.check);
        *reach = found;
        if found >= Reach::Reads && !is_there(&context.api.unsigned().within(PROBE_MAX), service).await {
            let to_do = format!("give the address of {service}: --{service}-address, {}", service.variable());
            finding = Finding::wrong(service.word(), format!("at {address} is another service of Latchkey"), to_do);
            *reach = Reach::Process;
        }
        services.push(finding);
    }
    let local = Service::ALL.into_iter().all(|service| is_loopback(context.api.address(service)));
    if local && reaches.iter().all(|reach| *reach == Reach::Away) {
        // One command starts them all.
        for (index, finding) in services.iter_mut().enumerate() {
            let remedy = if index == 0 { "start all: latchkey dev, or make run" } else { "likewise" };
            remedy.clone_into(&mut finding.remedy);
        }
    }
    findings.extend(services);
    if !context.api.is_signed() {
        findings.push(Finding::skipped("who you are", "there is no management key"));
        return;
    }
    let reach = |service: Service| reaches[service as usize];
    let mut known = true;
    let skipped = match reach(Service::Validation) {
        Reach::Away => Some("validation is away"),
        Reach::Process => Some("validation does not validate"),
        Reach::Reads | Reach::All => None,
    };
    if let Some(reason) = skipped {
        findings.push(Finding::skipped("who you are", reason));
        findings.push(Finding::skipped("cluster", reason));
    } else {
        let finding = who(context, key).await;
        known = finding.health != super::Health::Wrong;
        findings.push(finding);
        if known {
            cluster::look(context, findings).await;
        } else {
            findings.push(Finding::skipped("cluster", "who you are has to be known first"));
        }
    }
    findings.push(match reach(Service::Audit) {
        _ if !known => Finding::skipped("audit log", "who you are has to be known first"),
        Reach::Away => Finding::skipped("audit log", "audit is away"),
        Reach::Process => Finding::skipped("audit log", "audit does not serve"),
        Reach::Reads | Reach::All => audit(context).await,
    });
}

fn away(service: Service) -> String {
    match service {
        Service::Validation => {
            "start validation, or give another replica's address: --validation-address or the profile".to_owned()
        }
        _ => format!("start {service}, or say where it is: --{service}-address or the profile"),
    }
}

fn is_loopback(address: &str) -> bool {
    address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) || address.starts_with("localhost:")
}

/// Whether it is this service that answers there: who calls in nobody's name is refused by it, and not understood by others.
async fn is_there(api: &Api, service: Service) -> bool {
    let asked = match service {
        Service::Issuance => api.list_tenants(pb::ListTenantsRequest::default()).await.err(),
        Service::Validation => api.get_cluster(pb::GetClusterRequest {}).await.err(),
        Service::Rotation => api.list_rotations(pb::ListRotationsRequest::default()).await.err(),
        Service::Audit => api.list_entries(pb::ListEntriesRequest::default()).await.err(),
    };
    !matches!(asked, Some(CliError::Call(call)) if call.code() == Code::Unimplemented)
}

/// All probes of one process; `away` is what to do where nobody answers.
async fn health(address: &str, channel: Channel, probes: &[&str], away: &str) -> (Finding, Reach) {
    let wrong = |found: String, remedy: &str| Finding::wrong("", found, remedy);
    let mut client = HealthClient::new(channel);
    for probe in probes {
        let request = HealthCheckRequest { service: (*probe).to_owned() };
        let status = match timeout(PROBE_MAX, client.check(request)).await {
            Ok(Ok(answer)) => answer.into_inner().status(),
            Ok(Err(error)) if error.code() == Code::Unavailable => {
                return (wrong(format!("nobody answers at {address}"), away), Reach::Away);
            }
            Ok(Err(error)) => {
                let found = format!("{address} answers {}: {}", error.code(), error.message());
                return (wrong(found, "see that the address is that of a service of Latchkey"), Reach::Process);
            }
            Err(_) => {
                let found = format!("{address} does not answer within {} s", PROBE_MAX.as_secs());
                return (wrong(found, "look at the log of the service"), Reach::Process);
            }
        };
        if status != ServingStatus::Serving {
            let (found, remedy, reach) = match *probe {
                "latchkey.write" => ("finds no leader, so nothing can be written", MAJORITY, Reach::Reads),
                "latchkey.validate" => {
                    let remedy = "bring up a majority of replicas; if they run, its log tells why";
                    ("does not validate: it starts, is locked, or has lost touch", remedy, Reach::Process)
                }
                _ => ("does not serve: it starts or stops", "wait, then look at its log", Reach::Process),
            };
            return (wrong(format!("{address} {found}"), remedy), reach);
        }
    }
    (Finding::ok("", address), Reach::All)
}

/// A management key is a key: validating it tells whose it is.
async fn who(context: &Context, key: &str) -> Finding {
    const CHECK: &str = "who you are";
    let key_text = match &context.key {
        Some(text) => text.to_string(),
        None => return Finding::skipped(CHECK, "there is no management key"),
    };
    let request = pb::ValidateKeyRequest { key_text, ..pb::ValidateKeyRequest::default() };
    match context.api.validate_key(request).await {
        Ok(answer) if answer.message.outcome() == pb::Outcome::Valid => {
            let ends = answer.json().get("expireTime").and_then(serde_json::Value::as_str).and_then(moment::of_json);
            let ends = ends.map(|at| format!(", key ends {}", moment::age(at, context.printer.look().now)));
            Finding::ok(CHECK, format!("{}{}", names::short(&answer.message.owner), ends.unwrap_or_default()))
        }
        // Without the duty validator on the management keyspace one is known, and not told.
        Ok(_) => Finding::ok(CHECK, "known; which identity is told only to validators of the management keyspace"),
        Err(CliError::Call(call)) if call.code() == Code::PermissionDenied => {
            Finding::ok(CHECK, "known; which identity is told only to validators of the management keyspace")
        }
        Err(CliError::Call(call)) if call.code() == Code::Unauthenticated => Finding::wrong(
            CHECK,
            format!("the management key is not known here: {key}"),
            "give one of this cluster that has not ended: --key-file, LATCHKEY_KEY_FILE, or latchkey login",
        ),
        Err(error) => Finding::failed(CHECK, &error, "look at the log of the replica"),
    }
}

/// How far the log is stored.
async fn audit(context: &Context) -> Finding {
    const CHECK: &str = "audit log";
    let order_by = "sequence desc".to_owned();
    let request = pb::ListEntriesRequest { page_size: 1, order_by, ..pb::ListEntriesRequest::default() };
    match context.api.list_entries(request).await {
        Ok(answer) => {
            let newest = answer.json()["entries"][0]["time"].as_str().and_then(moment::of_json);
            let newest = newest.map(|at| format!(", the newest {}", moment::age(at, context.printer.look().now)));
            Finding::ok(CHECK, format!("{} entries stored{}", answer.message.next_sequence, newest.unwrap_or_default()))
        }
        Err(CliError::Call(call)) if call.code() == Code::PermissionDenied => {
            Finding::skipped(CHECK, "you may not read it")
        }
        Err(CliError::Call(call)) if call.reason() == Some(pb::ErrorReason::NoLeader) => {
            Finding::failed(CHECK, &CliError::Call(call), MAJORITY)
        }
        Err(error) => Finding::failed(CHECK, &error, "look at the log of audit"),
    }
}

/// A replica by its own address.
pub(super) async fn replica(api: &Api, replica: &pb::Replica) -> Finding {
    match api.replica_channel(&replica.address) {
        Ok(channel) => health(&replica.address, channel, &["", "latchkey.validate"], &start(replica)).await.0,
        Err(error) => Finding::failed("", &error, "mend the address in the settings of the replicas"),
    }
}

/// What to do about one that is away.
pub(super) fn start(replica: &pb::Replica) -> String {
    format!("start replica {} at {}", replica.id, replica.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for (address, expected) in
            [("127.0.0.1:7710", true), ("[::1]:7710", true), ("localhost:7710", true), ("keys.example:7710", false)]
        {
            assert_eq!(is_loopback(address), expected, "{address}");
        }
    }
}
