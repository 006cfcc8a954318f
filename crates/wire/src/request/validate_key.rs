//! `ValidateKey` and its siblings. The hot path: what is not asked for costs nothing.

use super::consistency::{self, Consistency};
use crate::pb::v1;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{KeyspaceName, Method, ReasonText, ResourcePath};
use latchkey_policy::{AccessContext, Query};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Items of one batch.
pub const BATCH_ITEMS_MAX: usize = 200;
/// Longest id of an item. Bytes.
const ITEM_ID_BYTES_MAX: usize = 64;
/// What the access log keeps of a user agent. Bytes.
pub const USER_AGENT_BYTES_MAX: usize = 512;
/// Tags of one request.
pub const TAGS_MAX: usize = 16;
/// Keys and values of all tags of one request together. Bytes.
pub const TAGS_BYTES_MAX: usize = 1_024;

/// A key to be checked.
#[derive(Clone, PartialEq, Eq)]
pub struct ValidateKey<'a> {
    /// The key text, as it was received.
    pub key_text: &'a str,
    /// The keyspace that it must belong to.
    pub keyspace: Option<KeyspaceName>,
    /// What it must permit; absent: nothing is asked.
    pub query: Option<Query<'a>>,
    /// The request in which it came.
    pub context: AccessContext,
    /// What only the access log wants to know.
    pub log: LogContext<'a>,
    /// How recent the state must be.
    pub consistency: Consistency,
}

impl fmt::Debug for ValidateKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_text, keyspace, query, context, log, consistency } = self;
        f.debug_struct("ValidateKey")
            .field("key_text", &format_args!("hidden ({} bytes)", key_text.len()))
            .field("keyspace", keyspace)
            .field("query", query)
            .field("context", context)
            .field("log", log)
            .field("consistency", consistency)
            .finish()
    }
}

/// What only the access log wants to know of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogContext<'a> {
    /// The user agent, cut at [`USER_AGENT_BYTES_MAX`].
    pub user_agent: &'a str,
    /// The caller's own words.
    pub tags: Vec<(&'a str, &'a str)>,
}

/// A validation to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainValidation<'a> {
    /// The validation.
    pub request: ValidateKey<'a>,
    /// Why, for the audit log.
    pub text: ReasonText,
}

/// One item of a batch or stream, or what is wrong with it: each item succeeds or fails on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchItem<'a> {
    /// The caller's word for it.
    pub id: &'a str,
    /// What to check.
    pub request: Result<ValidateKey<'a>, FieldViolations>,
}

/// Reads `ValidateKey`.
///
/// # Errors
/// All violations. What the end client chose (method, path, user agent) never is one: see [`AccessContext`].
pub fn read_validate_key(request: &v1::ValidateKeyRequest) -> Result<ValidateKey<'_>, FieldViolations> {
    let mut fields = Fields::default();
    let read = read(&mut fields, request);
    fields.finish(read)
}

fn read<'a>(fields: &mut Fields, request: &'a v1::ValidateKeyRequest) -> Option<ValidateKey<'a>> {
    let keyspace = (!request.keyspace.is_empty()).then(|| KeyspaceName::parse(&request.keyspace));
    let keyspace = fields.take_optional("keyspace", keyspace);
    let query = (!request.permission_query.is_empty()).then(|| Query::parse(&request.permission_query));
    let query = fields.take_optional("permission_query", query);
    let (context, log) = match &request.context {
        None => (Some(AccessContext::default()), Some(LogContext::default())),
        Some(context) => {
            fields.within("context", |fields| (access_context(fields, context), log_context(fields, context)))
        }
    };
    let consistency = consistency::read(fields, request.consistency.as_ref());
    Some(ValidateKey {
        key_text: &request.key_text,
        keyspace: keyspace?,
        query: query?,
        context: context?,
        log: log?,
        consistency: consistency?,
    })
}

/// Reads one item of `StreamValidateKeys`: what is wrong with it, its id included, concerns the item alone. An id that is
/// wrong reads as empty.
#[must_use]
pub fn read_stream_item(item: &v1::StreamValidateKeysRequest) -> BatchItem<'_> {
    if item.id.is_empty() || item.id.len() > ITEM_ID_BYTES_MAX {
        let rule = format_args!("must have 1 to {ITEM_ID_BYTES_MAX} bytes");
        return BatchItem { id: "", request: Err(FieldViolations::one("id", rule)) };
    }
    BatchItem { id: &item.id, request: read_item(item.request.as_ref()) }
}

/// Reads `ExplainValidation`.
///
/// # Errors
/// All violations, as of `ValidateKey` and under `request`.
pub fn read_explain_validation(
    request: &v1::ExplainValidationRequest,
) -> Result<ExplainValidation<'_>, FieldViolations> {
    let mut fields = Fields::default();
    let validation = match &request.request {
        Some(validation) => fields.within("request", |fields| read(fields, validation)),
        None => {
            fields.refuse("request", "must be set");
            None
        }
    };
    let text = fields.take("reason_text", ReasonText::parse(&request.reason_text));
    let explain = validation.zip(text).map(|(request, text)| ExplainValidation { request, text });
    fields.finish(explain)
}

fn read_item(request: Option<&v1::ValidateKeyRequest>) -> Result<ValidateKey<'_>, FieldViolations> {
    request.map_or_else(|| Err(FieldViolations::one("request", "must be set")), read_validate_key)
}

/// Reads `BatchValidateKeys`.
///
/// # Errors
/// What is wrong with the batch as a whole: no item, too many, an id that is missing, too long or there twice.
pub fn read_batch_validate_keys(request: &v1::BatchValidateKeysRequest) -> Result<Vec<BatchItem<'_>>, FieldViolations> {
    let mut fields = Fields::default();
    let count = request.items.len();
    if count == 0 || count > BATCH_ITEMS_MAX {
        fields.refuse("items", format_args!("{count} items, 1 to {BATCH_ITEMS_MAX} are allowed"));
        return fields.finish(None);
    }
    let mut ids = BTreeSet::new();
    let mut items = Vec::with_capacity(count);
    for (at, item) in request.items.iter().enumerate() {
        let field = || format!("items[{at}].id");
        if item.id.is_empty() || item.id.len() > ITEM_ID_BYTES_MAX {
            fields.refuse(&field(), format_args!("must have 1 to {ITEM_ID_BYTES_MAX} bytes"));
        } else if !ids.insert(item.id.as_str()) {
            fields.refuse(&field(), "must be unique in the batch");
        }
        items.push(BatchItem { id: &item.id, request: read_item(item.request.as_ref()) });
    }
    fields.finish(Some(items))
}

fn access_context(fields: &mut Fields, context: &v1::RequestContext) -> Option<AccessContext> {
    let address = (!context.client_ip.is_empty()).then(|| context.client_ip.parse::<IpAddr>());
    let client_address =
        fields.take_optional("client_ip", address.map(|read| read.map_err(|_| "must be an IPv4 or IPv6 address")));
    let named = |text: &str| !text.is_empty();
    Some(AccessContext {
        client_address: client_address?,
        method: named(&context.method).then(|| Method::parse(&context.method).ok()).flatten(),
        resource: named(&context.resource).then(|| ResourcePath::parse(&context.resource).ok()).flatten(),
    })
}

fn log_context<'a>(fields: &mut Fields, context: &'a v1::RequestContext) -> Option<LogContext<'a>> {
    let bytes: usize = context.tags.iter().map(|(tag, value)| tag.len() + value.len()).sum();
    if context.tags.len() > TAGS_MAX || bytes > TAGS_BYTES_MAX {
        fields.refuse("tags", format_args!("at most {TAGS_MAX} pairs and {TAGS_BYTES_MAX} bytes are allowed"));
        return None;
    }
    let end = context.user_agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
    Some(LogContext {
        user_agent: &context.user_agent[..end],
        tags: context.tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::Revision;

    #[test]
    fn what_the_caller_wrote_wrongly_is_told_and_what_the_end_client_chose_is_not() {
        let request = v1::ValidateKeyRequest {
            keyspace: "payments".to_owned(),
            permission_query: "orders:read and".to_owned(),
            context: Some(v1::RequestContext {
                client_ip: "10.0.0".to_owned(),
                method: "no method".to_owned(),
                resource: "/../etc".to_owned(),
                user_agent: "é".repeat(1_000),
                ..Default::default()
            }),
            consistency: Some(v1::Consistency {
                requirement: Some(v1::consistency::Requirement::AtLeastAsFresh(v1::consistency::AtLeastAsFresh {
                    revision: None,
                })),
            }),
            ..Default::default()
        };
        let violations = read_validate_key(&request).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            named,
            ["keyspace", "permission_query", "context.client_ip", "consistency.at_least_as_fresh.revision"]
        );
    }

    #[test]
    fn what_cannot_be_read_of_the_end_client_is_not_named() {
        let request = v1::ValidateKeyRequest {
            key_text: "anything".to_owned(),
            context: Some(v1::RequestContext {
                client_ip: "::ffff:10.0.0.1".to_owned(),
                method: "no method".to_owned(),
                resource: "/a/%2F".to_owned(),
                user_agent: "é".repeat(1_000),
                ..Default::default()
            }),
            consistency: Some(Consistency::AtLeastAsFresh(Revision::new(3, 1_042)).into()),
            ..Default::default()
        };
        let read = read_validate_key(&request).unwrap();
        assert!(read.context.client_address.is_some());
        assert_eq!((read.context.method, read.context.resource.clone()), (None, None));
        assert_eq!(read.log.user_agent.len(), USER_AGENT_BYTES_MAX);
        assert_eq!(read.consistency, Consistency::AtLeastAsFresh(Revision::new(3, 1_042)));
        assert!(!format!("{read:?}").contains("anything"));
    }

    #[test]
    fn one_bad_item_does_not_spoil_the_batch_but_an_id_twice_does() {
        let item = |id: &str, keyspace: &str| v1::BatchValidateKeysItem {
            id: id.to_owned(),
            request: Some(v1::ValidateKeyRequest { keyspace: keyspace.to_owned(), ..Default::default() }),
        };
        let batch = |items| v1::BatchValidateKeysRequest { items };
        let mixed = batch(vec![item("a", "tenants/a/keyspaces/b"), item("b", "nonsense")]);
        let read = read_batch_validate_keys(&mixed).unwrap();
        assert!(read[0].request.is_ok() && read[1].request.is_err());
        let twice = batch(vec![item("a", ""), item("a", "")]);
        assert_eq!(read_batch_validate_keys(&twice).unwrap_err().list()[0].field, "items[1].id");
        assert!(read_batch_validate_keys(&batch(Vec::new())).is_err());
        assert!(read_batch_validate_keys(&batch(vec![item("a", ""); BATCH_ITEMS_MAX + 1])).is_err());
    }

    #[test]
    fn whatever_is_wrong_with_an_item_of_a_stream_is_the_items_alone() {
        let item = |id: &str, request| v1::StreamValidateKeysRequest { id: id.to_owned(), request };
        let good = Some(v1::ValidateKeyRequest::default());
        let right = item("a", good.clone());
        assert!(read_stream_item(&right).request.is_ok());
        for (item, field) in [
            (item("", good.clone()), "id"),
            (item(&"x".repeat(65), good), "id"),
            (item("a", None), "request"),
            (item("a", Some(v1::ValidateKeyRequest { keyspace: "b".to_owned(), ..Default::default() })), "keyspace"),
        ] {
            let read = read_stream_item(&item);
            assert_eq!(read.request.unwrap_err().list()[0].field, field);
            assert_eq!(read.id, if field == "id" { "" } else { "a" });
        }
    }

    #[test]
    fn an_explanation_names_the_fields_of_its_validation() {
        let wrong = v1::ExplainValidationRequest {
            request: Some(v1::ValidateKeyRequest {
                key_text: "secret".to_owned(),
                keyspace: "payments".to_owned(),
                ..Default::default()
            }),
            reason_text: "x".repeat(513),
        };
        let violations = read_explain_validation(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["request.keyspace", "reason_text"]);
        let missing = read_explain_validation(&v1::ExplainValidationRequest::default()).unwrap_err();
        assert_eq!(missing.list()[0].field, "request");
        let right = v1::ExplainValidationRequest {
            request: Some(v1::ValidateKeyRequest { key_text: "secret".to_owned(), ..Default::default() }),
            reason_text: "a customer asked".to_owned(),
        };
        let read = read_explain_validation(&right).unwrap();
        assert_eq!(read.text.as_str(), "a customer asked");
        assert!(!format!("{read:?}").contains("secret"));
    }
}
