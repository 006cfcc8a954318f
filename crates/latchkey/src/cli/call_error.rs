//! A call that failed, as the services told it: the reason, its facts, the fields that are wrong, and what to do now.

use crate::cli::exit::Exit;
use crate::cli::names;
use crate::cli::service::Service;
use crate::cli::wording;
use latchkey_wire::pb::v1::ErrorReason as Reason;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What the library says when our own clock has ended a call.
const LATE: &str = "Timeout expired";

/// A call that failed.
#[derive(Debug)]
pub struct CallError {
    service: Service,
    method: &'static str,
    address: String,
    code: Code,
    message: String,
    /// The word of `ErrorInfo`; none where nobody of ours answered.
    reason: Option<String>,
    facts: BTreeMap<String, String>,
    fields: Vec<(String, String)>,
    /// Whether nobody was reached at all.
    away: bool,
    /// Whether what answered is none of ours.
    stranger: bool,
    /// Where the management key lies that was shown.
    key_place: Option<String>,
}

impl CallError {
    /// Of what the service, or the connection to it, said.
    pub(crate) fn new(service: Service, method: &'static str, address: &str, status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let fields = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
        let ours = info.is_some();
        // Our own clock ended it, in the words of the library: whether it was done nobody knows.
        let late = !ours && (status.code() == Code::Cancelled || status.message() == LATE);
        let (code, message) = match late {
            true => (Code::DeadlineExceeded, "no answer in time"),
            false => (status.code(), status.message()),
        };
        Self {
            service,
            method,
            address: address.to_owned(),
            code,
            message: message.to_owned(),
            reason: info.map(|info| info.reason.clone()),
            facts: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            fields: fields.iter().map(|field| (field.field.clone(), field.description.clone())).collect(),
            away: !ours && code == Code::Unavailable && status.source().is_some(),
            stranger: !ours && is_stranger(status),
            key_place: None,
        }
    }

    /// With where the management key lies.
    pub(crate) fn with_key_place(self, key_place: Option<String>) -> Self {
        Self { key_place, ..self }
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::of(self.code)
    }

    /// The code of gRPC.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// The reason, if it is one that this release knows.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason.as_deref().and_then(Reason::from_word)
    }

    /// Whether nobody was reached at all.
    pub(crate) const fn is_away(&self) -> bool {
        self.away
    }

    /// What follows the first line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.fields.iter().map(|(field, rule)| format!("  field {field}: {rule}")).collect();
        // An empty fact stands for the system: the message and the remedy say so.
        let facts: Vec<String> = self
            .facts
            .iter()
            .filter(|(_, fact)| !fact.is_empty())
            .map(|(name, fact)| format!("{name} {fact}"))
            .collect();
        if !facts.is_empty() && self.fields.is_empty() {
            lines.push(format!("  facts: {}", facts.join(", ")));
        }
        lines.push(format!("  asked: {} of {} at {}", self.method, self.service, self.address));
        lines.extend(self.remedy().map(|remedy| format!("  do: {remedy}")));
        lines
    }

    pub(crate) fn json(&self) -> Value {
        let fields: Vec<Value> =
            self.fields.iter().map(|(field, rule)| json!({"field": field, "description": rule})).collect();
        json!({"error": {
            "code": code_word(self.code), "reason": self.reason, "message": self.message, "metadata": self.facts,
            "fieldViolations": fields, "method": self.method, "address": self.address, "exit": self.exit().number(),
        }})
    }

    fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// How what is not empty becomes empty.
    fn emptying(&self) -> String {
        let (kind, name, holds) = (self.fact("kind"), self.fact("name"), self.fact("holds"));
        let short = names::short(name);
        match (kind, holds) {
            // Owners and roles are scopes by their full names only.
            ("owner" | "role", "keys") => format!("latchkey key revoke-all --scope {name} --reason REASON"),
            (_, "keys") if kind != "identity" => format!("latchkey key revoke-all --scope {short} --reason REASON"),
            ("identity", "keys") => {
                format!("latchkey key list system/management --owner {short}, and revoke what is there")
            }
            ("tenant", _) => format!("latchkey {} list {short}, and delete what is there", singular(holds)),
            _ => format!("revoke or delete its {holds} first"),
        }
    }

    /// What to do now. None where the message has said it.
    fn remedy(&self) -> Option<String> {
        if self.away {
            return Some(format!(
                "see that {} runs and listens there; the address comes from --{}-address, {}, or the profile",
                self.service,
                self.service,
                self.service.variable()
            ));
        }
        if self.stranger {
            let service = self.service;
            return Some(format!(
                "see that --{service}-address is the port of {service} for calls, and not that of its metrics"
            ));
        }
        if self.reason.is_none() && self.code == Code::DeadlineExceeded {
            return Some("it may have happened: look, or try again with a longer --timeout".to_owned());
        }
        let remedy = match self.reason()? {
            Reason::IdentityMissing => {
                "give your management key: latchkey login --key-file FILE, or --key-file FILE, or LATCHKEY_KEY_FILE"
                    .to_owned()
            }
            Reason::IdentityUnknown => {
                let place = self.key_place.as_deref().map(|place| format!(" {place}")).unwrap_or_default();
                format!(
                    "see that the management key{place} is of this cluster, has not ended, and may be used from this address"
                )
            }
            Reason::PermissionDenied | Reason::GrantExceedsCaller => {
                let scope = self.fact("scope");
                let place = if scope.is_empty() { "the system" } else { scope };
                format!("ask somebody with the duty admin for a grant of {} on {place}", self.fact("duty"))
            }
            Reason::NotFound => match self.fact("kind") {
                "" | "version" => return None,
                kind => {
                    let parent = parent(self.fact("name"));
                    format!("latchkey {} shows what there is", format!("{kind} list {parent}").trim_end())
                }
            },
            Reason::AlreadyExists => {
                format!("latchkey {} show {} tells what it is", self.fact("kind"), names::short(self.fact("name")))
            }
            Reason::PrefixTaken => "choose another --prefix: they are unique in the cluster".to_owned(),
            Reason::EtagMismatch => "somebody changed it meanwhile: look at it again and decide anew".to_owned(),
            Reason::QuotaExceeded => "revoke or delete what is not needed, or raise the quota".to_owned(),
            Reason::PermissionNotAllowed => {
                "choose among the permissions of the keyspace: latchkey keyspace show KEYSPACE".to_owned()
            }
            Reason::NotEmpty => self.emptying(),
            Reason::ExceedsKey => {
                format!("ask for less: {} must lie within what the other key has", self.fact("field"))
            }
            Reason::ParentNotAllowed => format!("choose {} as the parent", self.fact("expected")),
            Reason::RoleNotAllowed => {
                "choose among the roles of the keyspace: latchkey keyspace show KEYSPACE".to_owned()
            }
            Reason::KeyRevoked | Reason::KeyExpired => "make a new key: a dead one does not change".to_owned(),
            Reason::RotationInProgress => {
                let rotation = names::short(self.fact("rotation"));
                format!("latchkey rotation complete {rotation}; or cancel, or roll-back instead of complete")
            }
            Reason::RotationState => {
                format!("latchkey rotation show {} tells what came of it", names::short(self.fact("rotation")))
            }
            Reason::SelfRevocationOff => "ask whoever issues keys there to revoke it".to_owned(),
            Reason::FormatInUse => {
                "keep the format as it is, and declare another under another id: latchkey keyspace update".to_owned()
            }
            Reason::ReplicaState => "latchkey cluster show tells what each replica is".to_owned(),
            Reason::MembershipUnsafe => {
                "latchkey cluster show tells who is behind or away; wait, or mend it first".to_owned()
            }
            Reason::ReplicaRemoved => {
                "name another replica in your profile: latchkey cluster show lists them".to_owned()
            }
            Reason::TooManyAttempts => "wait a minute".to_owned(),
            Reason::AuditStopped => "look at the log of audit: its disk is full, or an operator has to act".to_owned(),
            Reason::AuditBehind => {
                "audit is too far behind: start it or look at its log; revoking works all the same".to_owned()
            }
            Reason::DiskFull => "make room on the disk of the leader; reading works all the same".to_owned(),
            Reason::NoLeader
            | Reason::NotFresh
            | Reason::Starting
            | Reason::Fenced
            | Reason::ClockSkew
            | Reason::Locked => "latchkey doctor tells what is wrong with the cluster".to_owned(),
            Reason::NodeKeyKnown => {
                "only replicas meet this: start none from a copied folder; latchkey cluster add".to_owned()
            }
            Reason::CheckpointConflict => {
                "only the audit service meets this: follow the runbook of LatchkeyAuditForked".to_owned()
            }
            Reason::AuditLogNotLost => {
                "start the audit service: it goes on where it was; where its folder and archive are lost, say so with --force".to_owned()
            }
            Reason::EntriesNotKept => format!(
                "latchkey audit tail --from-sequence {} goes on with what is kept; what is older lies where it was exported to",
                self.fact("kept_from")
            ),
            Reason::RotationFenced | Reason::RotationClaimed => {
                "only the rotation service meets this: it tries again by itself".to_owned()
            }
            Reason::KekNotEverywhere => format!(
                "give replica {} the file, name it in kek_file and the old one in kek_files_previous, restart, and ask again",
                self.fact("missing")
            ),
            Reason::RingKeyInUse => "latchkey keyring status tells what still needs it".to_owned(),
            Reason::Overloaded | Reason::Stopping | Reason::RingKeyGone => "try again in a moment".to_owned(),
            Reason::NotServedHere => format!("see that --{}-address is that of {}", self.service, self.service),
            Reason::DeadlineExceeded => "it may have happened: look, or try again with a longer --timeout".to_owned(),
            Reason::Internal => {
                format!("report it; the log of the service has the details under {}", self.fact("incident"))
            }
            _ => return None,
        };
        Some(remedy)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.away {
            return write!(f, "nobody answers for {} at {} ({})", self.service, self.address, code_word(self.code));
        }
        if self.stranger {
            return write!(f, "what listens at {} speaks no gRPC ({})", self.address, code_word(self.code));
        }
        let word = self.reason.as_deref().unwrap_or_else(|| code_word(self.code));
        if self.fields.is_empty() {
            write!(f, "{} ({word})", wording::for_people(&self.message))
        } else {
            write!(f, "the request is not what it must be ({word})")
        }
    }
}

impl std::error::Error for CallError {}

/// The short name of what holds the thing of this name; nothing for a tenant.
fn parent(name: &str) -> String {
    let holder = name.rsplit_once('/').and_then(|(collection, _)| collection.rsplit_once('/'));
    holder.map(|(holder, _)| names::short(holder)).unwrap_or_default()
}

/// The word of a command for what a collection holds.
fn singular(collection: &str) -> &str {
    if collection == "identities" { "identity" } else { collection.trim_end_matches('s') }
}

/// Whether what answered does not speak our language: HTTP without gRPC, or no HTTP/2 at all.
fn is_stranger(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.to_string().contains("frame with invalid size") {
            return true;
        }
        source = error.source();
    }
    let message = status.message();
    message.contains("grpc-status header missing") || message.contains("frame with invalid size")
}

/// The word of a code as specifications write it.
const fn code_word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::CliError;
    use std::collections::HashMap;
    use tonic_types::{ErrorDetails, FieldViolation};

    fn told(code: Code, reason: &str, facts: &[(&str, &str)], fields: &[(&str, &str)]) -> CliError {
        let facts: HashMap<String, String> =
            facts.iter().map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned())).collect();
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "latchkey", facts);
        if !fields.is_empty() {
            details.set_bad_request(
                fields.iter().map(|(field, rule)| FieldViolation::new(*field, *rule)).collect::<Vec<_>>(),
            );
        }
        let status = Status::with_error_details(code, "there is no keyspace tenants/acme/keyspaces/x", details);
        CliError::Call(Box::new(CallError::new(Service::Issuance, "CreateKey", "127.0.0.1:7710", &status)))
    }

    #[test]
    fn an_error_tells_what_was_found_and_what_to_do() {
        let error =
            told(Code::NotFound, "NOT_FOUND", &[("kind", "keyspace"), ("name", "tenants/acme/keyspaces/x")], &[]);
        let golden = "\
latchkey: there is no keyspace acme/x (NOT_FOUND)
  facts: kind keyspace, name tenants/acme/keyspaces/x
  asked: CreateKey of issuance at 127.0.0.1:7710
  do: latchkey keyspace list acme shows what there is
";
        assert_eq!((error.text().as_str(), error.exit()), (golden, Exit::NotFound));
        assert_eq!(error.json()["error"]["reason"], "NOT_FOUND");
    }

    #[test]
    fn every_field_that_is_wrong_has_its_line() {
        let fields = [("permissions[0]", "segments joined by colons"), ("networks[1]", "CIDR")];
        let error = told(Code::InvalidArgument, "FIELD_INVALID", &[("fields", "2")], &fields);
        let golden = "\
latchkey: the request is not what it must be (FIELD_INVALID)
  field permissions[0]: segments joined by colons
  field networks[1]: CIDR
  asked: CreateKey of issuance at 127.0.0.1:7710
";
        assert_eq!((error.text().as_str(), error.exit()), (golden, Exit::Usage));
    }

    #[test]
    fn a_call_that_our_own_clock_ended_may_have_happened() {
        let error = CallError::new(Service::Issuance, "CreateKey", "127.0.0.1:7710", &Status::cancelled(LATE));
        let error = CliError::Call(Box::new(error));
        assert_eq!(error.exit(), Exit::Unavailable);
        assert!(error.text().contains("no answer in time (DEADLINE_EXCEEDED)"), "{}", error.text());
        assert!(error.text().contains("do: it may have happened"), "{}", error.text());
    }

    #[test]
    fn what_is_not_empty_is_emptied_by_the_command_that_fits() {
        let remedy = |kind: &str, name: &str, holds: &str| {
            let facts = [("kind", kind), ("name", name), ("holds", holds), ("count", "1")];
            told(Code::FailedPrecondition, "NOT_EMPTY", &facts, &[]).text()
        };
        assert!(remedy("tenant", "tenants/a", "identities").contains("do: latchkey identity list a,"));
        assert!(remedy("keyspace", "tenants/a/keyspaces/b", "keys").contains("key revoke-all --scope a/b --reason"));
        assert!(remedy("owner", "tenants/a/owners/b", "keys").contains("--scope tenants/a/owners/b"));
        assert!(remedy("identity", "tenants/a/identities/b", "keys").contains("--owner a/b"));
    }

    #[test]
    fn a_reason_of_a_later_release_is_told_as_it_is() {
        let error = told(Code::FailedPrecondition, "SOMETHING_NEW", &[("limit", "3")], &[]);
        assert!(error.text().contains("(SOMETHING_NEW)") && error.text().contains("limit 3"), "{}", error.text());
        assert_eq!(error.exit(), Exit::Failed);
    }
}
