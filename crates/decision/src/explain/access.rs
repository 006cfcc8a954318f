//! From where, how and on what the key may be used.

use super::Check;
use super::detail::{Listed, detail};
use super::record::Records;
use alloc::string::String;
use alloc::vec::Vec;
use latchkey_domain::Outcome;
use latchkey_policy::AccessContext;
use latchkey_state::{Layers, Methods};

/// One check for each set that does not hold, and one where all hold.
pub(super) fn push_checks(
    checks: &mut Vec<Check>,
    records: &Records<'_>,
    layers: &Layers<'_>,
    context: &AccessContext,
) {
    let failed = layers.networks().filter(|(_, networks)| !context.is_from(networks));
    let failed = failed.map(|(by, networks)| (records.by(by), network(context, Listed(networks.iter()))));
    push(checks, records, Outcome::NetworkNotAllowed, failed);

    let failed = layers.methods().filter(|(_, methods)| !context.is_by(|method| methods.has(method)));
    let failed = failed.map(|(by, methods)| (records.by(by), method(context, &methods)));
    push(checks, records, Outcome::MethodNotAllowed, failed);

    // The path is not repeated: it is what somebody else's client sent, and may be anything.
    let failed = layers.resources().filter(|(_, resources)| !context.is_on(resources));
    let failed = failed.map(|(by, resources)| {
        let found = if context.resource.is_some() { "the path is not" } else { "no path was named, expected one" };
        (records.by(by), detail(format_args!("{found} of {}", Listed(resources.iter()))))
    });
    push(checks, records, Outcome::ResourceNotAllowed, failed);
}

fn push(
    checks: &mut Vec<Check>,
    records: &Records<'_>,
    outcome: Outcome,
    failed: impl Iterator<Item = (String, String)>,
) {
    let before = checks.len();
    checks.extend(failed.map(|(record, detail)| Check::failed(outcome, record, detail)));
    if checks.len() == before {
        let detail = String::from("whatever restricts it lets the request pass");
        checks.push(Check::passed(outcome, records.key(), detail));
    }
}

fn network(context: &AccessContext, expected: impl core::fmt::Display) -> String {
    match context.client_address {
        Some(address) => detail(format_args!("the address {address} is not of {expected}")),
        None => detail(format_args!("no address was named, expected one of {expected}")),
    }
}

fn method(context: &AccessContext, methods: &Methods<'_>) -> String {
    let found = match &context.method {
        Some(method) => detail(format_args!("the method {method} is not")),
        None => String::from("no method was named, expected one"),
    };
    match methods {
        Methods::Of(methods) => detail(format_args!("{found} of {}", Listed(methods.iter()))),
        Methods::OfRoles(..) => detail(format_args!("{found} of those of its roles")),
    }
}
