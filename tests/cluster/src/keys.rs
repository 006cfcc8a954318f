//! Keys as callers make, check and revoke them.

use crate::caller::{Caller, reason};
use crate::cluster::{CALL_MAX, KEYSPACE};
use crate::report::Trouble;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::consistency::{AtLeastAsFresh, Requirement};
use std::time::Duration;
use tonic::Status;

/// A key that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Its resource name.
    pub(crate) name: String,
    /// What its holder sends.
    pub(crate) text: String,
    /// Where it exists.
    pub(crate) revision: v1::Revision,
}

/// What to make: the display name tells which request made a key.
pub(crate) fn create(label: &str, request_id: &str) -> v1::CreateKeyRequest {
    v1::CreateKeyRequest {
        parent: KEYSPACE.to_owned(),
        display_name: label.to_owned(),
        request_id: request_id.to_owned(),
        wait_for: v1::WaitFor::Committed.into(),
        ..Default::default()
    }
}

/// Reads the answer of a creation.
pub(crate) fn made(answer: v1::CreateKeyResponse) -> Result<Made, Trouble> {
    let name = answer.key.map(|key| key.name).unwrap_or_default();
    match answer.revision {
        Some(revision) if !name.is_empty() && !answer.key_text.is_empty() => {
            Ok(Made { name, text: answer.key_text, revision })
        }
        _ => Err(Trouble::wrong(format!("{name} was acknowledged without name, text or revision"))),
    }
}

/// Makes one key, where nothing stands in the way.
pub(crate) async fn make(issuance: &Caller, request: v1::CreateKeyRequest) -> Result<Made, Trouble> {
    let answer = issuance.issuance().create_key(issuance.ask(request, CALL_MAX)).await;
    made(answer.map_err(|status| Trouble::wrong(format!("CreateKey: {status}")))?.into_inner())
}

/// A question about a key.
pub(crate) fn question(key: &Made, fresh: bool) -> v1::ValidateKeyRequest {
    let at_least = || v1::Consistency {
        requirement: Some(Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: Some(key.revision) })),
    };
    v1::ValidateKeyRequest { key_text: key.text.clone(), consistency: fresh.then(at_least), ..Default::default() }
}

/// Asks one replica about a key.
pub(crate) async fn validate(
    replica: &Caller,
    key: &Made,
    fresh: bool,
    within: Duration,
) -> Result<v1::Outcome, Status> {
    let answer = replica.validation().validate_key(replica.ask(question(key, fresh), within)).await?;
    Ok(answer.into_inner().outcome())
}

/// Asks one replica about many keys, each at its own revision. Returns those that are not valid, and why.
pub(crate) async fn validate_all(replica: &Caller, keys: &[Made]) -> Result<Vec<String>, Trouble> {
    use v1::validate_key_result::Result as One;
    let mut wrong = Vec::new();
    for keys in keys.chunks(200) {
        let item = |(id, key)| v1::BatchValidateKeysItem { id: format!("{id}"), request: Some(question(key, true)) };
        let items = (0..).zip(keys).map(|(id, key): (u32, _)| item((id, key))).collect();
        let request = replica.ask(v1::BatchValidateKeysRequest { items }, CALL_MAX);
        let answer = replica.validation().batch_validate_keys(request).await;
        let answer = answer.map_err(|status| Trouble::wrong(format!("BatchValidateKeys: {}", reason(&status))))?;
        for (key, result) in keys.iter().zip(answer.into_inner().results) {
            match result.result {
                Some(One::Response(answer)) if answer.outcome() == v1::Outcome::Valid && answer.key == key.name => {}
                Some(One::Response(answer)) => wrong.push(format!("{} is {:?}", key.name, answer.outcome())),
                Some(One::Error(error)) => wrong.push(format!("{}: {}", key.name, error.message)),
                None => wrong.push(format!("{}: no result", key.name)),
            }
        }
    }
    Ok(wrong)
}

/// All keys of the keyspace, as issuance lists them.
pub(crate) async fn list(issuance: &Caller) -> Result<Vec<v1::Key>, Trouble> {
    list_of(issuance, KEYSPACE).await
}

/// All keys of a keyspace, as issuance lists them.
pub(crate) async fn list_of(issuance: &Caller, keyspace: &str) -> Result<Vec<v1::Key>, Trouble> {
    let (mut keys, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            v1::ListKeysRequest { parent: keyspace.to_owned(), page_size: 1_000, page_token, ..Default::default() };
        let answer = issuance.issuance().list_keys(issuance.ask(request, CALL_MAX)).await;
        let answer = answer.map_err(|status| Trouble::wrong(format!("ListKeys: {status}")))?.into_inner();
        keys.extend(answer.keys);
        if answer.next_page_token.is_empty() {
            return Ok(keys);
        }
        page_token = answer.next_page_token;
    }
}
