//! Arguments that several commands share, and how they are read.

use crate::cli::error::CliError;
use crate::cli::names::Kind;
use crate::cli::output::json::enum_words;
use crate::cli::span;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use latchkey_crypto::draw;
use latchkey_telemetry::OsEntropy;
use latchkey_wire::pb::v1 as pb;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a write waits before it answers.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct WaitArguments {
    /// Wait until it is durable (committed), or until every replica decides by it (all-regions).
    #[arg(long, value_parser = words("WaitFor"), default_value = "all-regions", value_name = "WHAT")]
    wait_for: i32,
    /// How long all-regions may take; what is known by then is in the answer [default: that of the method].
    #[arg(long, value_parser = span::parse, value_name = "SPAN")]
    wait_timeout: Option<Duration>,
}

impl WaitArguments {
    pub(crate) const fn wait_for(self) -> i32 {
        self.wait_for
    }

    pub(crate) fn wait_timeout(self) -> Option<prost_types::Duration> {
        self.wait_timeout.map(span::to_wire)
    }

    /// How much longer the call may take.
    pub(crate) const fn wait(self) -> Option<Duration> {
        self.wait_timeout
    }
}

/// What makes a call safe to try, and safe to try again.
#[derive(Args, Clone, Debug)]
pub(crate) struct TryArguments {
    /// Check everything and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A UUID that you drew and give again when you try again: nothing is done twice [default: a new one].
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

impl TryArguments {
    /// The id given, or a new one: our own tries carry the same.
    pub(crate) fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(new_request_id)
    }
}

/// What makes a change of what is there already safe.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChangeArguments {
    /// Change it only if this is still its etag.
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    pub(crate) etag: String,
    #[command(flatten)]
    pub(crate) tried: TryArguments,
}

/// A UUID of version 4 (RFC 9562).
pub(crate) fn new_request_id() -> String {
    let mut bytes: [u8; 16] = draw(&mut OsEntropy);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The words of an enum of the API as an argument: `owner-left` for `REVOCATION_REASON_OWNER_LEFT`. What the manuals write,
/// `OWNER_LEFT`, is read as well.
pub(crate) fn words(name: &'static str) -> impl TypedValueParser<Value = i32> {
    let words = enum_words(name);
    let values = words.iter().map(|(word, _)| PossibleValue::new(argument_word(word)).alias(word.clone()));
    PossibleValuesParser::new(values.collect::<Vec<_>>()).map(move |given| {
        let found = words.iter().find(|(word, _)| *word == given || argument_word(word) == given);
        found.map(|(_, number)| *number).expect("the parser lets only these words through")
    })
}

fn argument_word(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

/// `key=value`.
///
/// # Errors
/// What was expected.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Pairs as the API takes them.
pub(crate) fn pairs(given: &[(String, String)]) -> BTreeMap<String, String> {
    given.iter().cloned().collect()
}

/// `issuer:acme/orders`, `admin:acme`, `root`: a duty, and what it is on.
///
/// # Errors
/// What was expected.
pub(crate) fn grant(text: &str) -> Result<pb::Grant, String> {
    let (duty, scope) = text.split_once(':').unwrap_or((text, ""));
    let duties = enum_words("Duty");
    let found = duties.iter().find(|(word, _)| *word == duty || argument_word(word) == duty);
    let Some((_, duty)) = found else {
        let known: Vec<String> = duties.iter().map(|(word, _)| argument_word(word)).collect();
        return Err(format!("expected DUTY or DUTY:SCOPE, with a duty of {}", known.join(", ")));
    };
    let scope = self::scope(scope).map_err(|error| error.to_string())?;
    Ok(pb::Grant { duty: *duty, scope })
}

/// Nothing for the system, a tenant, or a keyspace.
fn scope(text: &str) -> Result<String, CliError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    Kind::Tenant.full(text, None).or_else(|_| Kind::Keyspace.full(text, None))
}

/// The fields of an update: those with a value, and those to clear.
pub(crate) fn mask(given: &[(&str, bool)], clear: &[String]) -> Result<prost_types::FieldMask, CliError> {
    let mut paths: Vec<String> = given.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
    if let Some(both) = clear.iter().find(|path| paths.contains(path)) {
        return Err(CliError::usage(format!("{both} is both given and cleared")));
    }
    paths.extend(clear.iter().cloned());
    if paths.is_empty() {
        return Err(CliError::usage("nothing to change is given").remedy("see --help for what can be"));
    }
    Ok(prost_types::FieldMask { paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_uuid_of_version_4_and_new() {
        let id = new_request_id();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
        assert_ne!(id, new_request_id());
    }

    #[test]
    fn a_grant_is_a_duty_and_what_it_is_on() {
        let read = |text: &str| grant(text).map(|grant| (grant.duty(), grant.scope));
        assert_eq!(read("root"), Ok((pb::Duty::Root, String::new())));
        assert_eq!(read("admin:acme"), Ok((pb::Duty::Admin, "tenants/acme".to_owned())));
        let keyspace = "tenants/acme/keyspaces/orders";
        assert_eq!(read("issuer:acme/orders"), Ok((pb::Duty::Issuer, keyspace.to_owned())));
        assert_eq!(read(&format!("ISSUER:{keyspace}")), Ok((pb::Duty::Issuer, keyspace.to_owned())));
        assert!(read("king:acme").unwrap_err().contains("validator"));
        assert!(read("admin:a/b/c").is_err());
    }

    #[test]
    fn an_update_changes_something_and_nothing_twice() {
        let clear = ["purpose".to_owned()];
        assert_eq!(mask(&[("owner", true), ("methods", false)], &clear).unwrap().paths, ["owner", "purpose"]);
        assert!(mask(&[("owner", false)], &[]).is_err());
        assert!(mask(&[("purpose", true)], &clear).is_err());
    }
}
