//! What is asked of the services.

use super::{Finding, cluster};
use crate::cli::context::Context;
use crate::cli::names;
use crate::cli::service::Service;
use crate::cli::{api, moment};
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long one probe may take.
const PROBE_MAX: Duration = Duration::from_secs(3);

/// The probes of each service: all may serve, or the installation is not well.
const fn probes(service: Service) -> &'static [&'static str] {
    match service {
        Service::Issuance | Service::Rotation => &["", "latchkey.write"],
        Service::Validation => &["", "latchkey.validate", "latchkey.write"],
        Service::Audit => &[""],
    }
}

/// Looks at every service, at who calls, and at the cluster.
pub(super) async fn look(context: &Context, findings: &mut Vec<Finding>) {
    let mut reached = Vec::new();
    for service in Service::ALL {
        let address = context.api.address(service);
        let finding = health(service.word(), address, context.api.channel(service), probes(service)).await;
        if finding.health == super::Health::Ok {
            reached.push(service);
        }
        findings.push(finding);
    }
    let there = |service: Service| reached.contains(&service);
    if !context.api.is_signed() {
        findings.push(Finding::skipped("who you are", "there is no management key"));
        return;
    }
    if there(Service::Validation) {
        findings.push(who(context).await);
        cluster::look(context, findings).await;
    } else {
        findings.push(Finding::skipped("who you are", "validation is away"));
        findings.push(Finding::skipped("cluster", "validation is away"));
    }
    findings.push(if there(Service::Audit) {
        audit(context).await
    } else {
        Finding::skipped("audit log", "audit is away")
    });
}

/// All probes of one process.
pub(super) async fn health(what: &str, address: &str, channel: Channel, probes: &[&str]) -> Finding {
    let mut client = HealthClient::new(channel);
    for probe in probes {
        let request = HealthCheckRequest { service: (*probe).to_owned() };
        let status = match timeout(PROBE_MAX, client.check(request)).await {
            Ok(Ok(answer)) => answer.into_inner().status(),
            Ok(Err(error)) if error.code() == tonic::Code::Unavailable => {
                let remedy = format!("start {what}, or say where it is: --{what}-address or the profile");
                return Finding::wrong(what, format!("nobody answers at {address}"), remedy);
            }
            Ok(Err(error)) => {
                let found = format!("{address} answers {}: {}", error.code(), error.message());
                return Finding::wrong(what, found, "see that the address is that of a service of Latchkey");
            }
            Err(_) => {
                let found = format!("{address} does not answer within {} s", PROBE_MAX.as_secs());
                return Finding::wrong(what, found, "look at the log of the service");
            }
        };
        if status != ServingStatus::Serving {
            let (found, remedy) = match *probe {
                "latchkey.write" => ("finds no leader, so nothing can be written", "see the cluster below"),
                "latchkey.validate" => {
                    ("does not validate: it starts, is locked, or has lost touch", "see the cluster below")
                }
                _ => ("does not serve: it starts or stops", "wait, then look at its log"),
            };
            return Finding::wrong(what, format!("{address} {found}"), remedy);
        }
    }
    Finding::ok(what, address)
}

/// A management key is a key: validating it tells whose it is.
async fn who(context: &Context) -> Finding {
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
        Err(crate::cli::CliError::Call(call)) if call.code() == tonic::Code::PermissionDenied => {
            Finding::ok(CHECK, "known; which identity is told only to validators of the management keyspace")
        }
        Err(error) => Finding::failed(CHECK, &error, "see that the key is of this cluster and has not ended"),
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
        Err(crate::cli::CliError::Call(call)) if call.code() == tonic::Code::PermissionDenied => {
            Finding::skipped(CHECK, "you may not read it")
        }
        Err(error) => Finding::failed(CHECK, &error, "look at the log of audit"),
    }
}

/// A replica by its own address.
pub(super) async fn replica(id: u64, address: &str) -> Finding {
    let check = format!("replica {id}");
    match api::channel(address) {
        Ok(channel) => {
            let finding = health("validation", address, channel, &["", "latchkey.validate"]).await;
            Finding { check, ..finding }
        }
        Err(error) => Finding::failed(check, &error, "mend the address in the settings of the replicas"),
    }
}
