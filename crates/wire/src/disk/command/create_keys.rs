//! Keys to be made.

use crate::disk::parts::{read_digest, read_metadata, read_slugs, read_terms, texts, write_metadata, write_terms};
use crate::disk::policy::{read_policy, write_policy};
use crate::disk::{DecodeError, fixed, key_id, parsed, required, span, time, version_id};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{DisplayName, IdentityName, KeyspaceName, OwnerName, Purpose, RingNumber, UnixMillis};
use latchkey_state::{CreateKeys, Expiry, HolderName, NewKey};

pub(super) fn write_create_keys(operation: &CreateKeys) -> disk::CreateKeys {
    disk::CreateKeys {
        keyspace: operation.keyspace.to_string(),
        keys: operation.keys.iter().map(write_new_key).collect(),
        replay: operation.replay.as_deref().map(<[u8]>::to_vec),
    }
}

pub(super) fn read_create_keys(operation: &disk::CreateKeys) -> Result<CreateKeys, DecodeError> {
    Ok(CreateKeys {
        keyspace: parsed(KeyspaceName::parse(&operation.keyspace), "keyspace")?,
        keys: operation.keys.iter().map(read_new_key).collect::<Result<_, _>>()?,
        replay: operation.replay.as_deref().map(Into::into),
    })
}

pub(super) fn write_new_key(key: &NewKey) -> disk::NewKey {
    use disk::new_key::{Expiry as PbExpiry, Holder as PbHolder};
    disk::NewKey {
        key_id: key.id.bytes().to_vec(),
        version_id: key.version.bytes().to_vec(),
        pepper: key.pepper.0,
        digest: key.digest.as_bytes().to_vec(),
        inner: key.inner.to_vec(),
        holder: match &key.holder {
            HolderName::None => None,
            HolderName::Owner(name) => Some(PbHolder::Owner(name.to_string())),
            HolderName::Identity(name) => Some(PbHolder::Identity(name.to_string())),
        },
        display_name: key.display_name.to_string(),
        purpose: key.purpose.to_string(),
        terms: Some(write_terms(&key.terms)),
        metadata: write_metadata(key.metadata.iter()),
        not_before_unix_ms: key.not_before.map(UnixMillis::millis),
        expiry: match key.expiry {
            Expiry::Default => None,
            Expiry::At(time) => Some(PbExpiry::ExpiresAtUnixMs(time.millis())),
            Expiry::After(span) => Some(PbExpiry::LifetimeMs(span.millis())),
        },
        roles: texts(key.roles.iter()),
        parent: key.parent.map(|id| id.bytes().to_vec()),
        rotation_policy: key.rotation_policy.as_deref().map(write_policy),
    }
}

pub(super) fn read_new_key(key: &disk::NewKey) -> Result<NewKey, DecodeError> {
    use disk::new_key::{Expiry as PbExpiry, Holder as PbHolder};
    let terms = read_terms(required(key.terms.as_ref(), "key.terms")?)?;
    if !terms.roles.is_empty() {
        return Err(DecodeError::new("key.terms.roles", "numbers, where roles are named"));
    }
    Ok(NewKey {
        id: key_id(&key.key_id, "key.id")?,
        version: version_id(&key.version_id, "key.version_id")?,
        pepper: RingNumber(key.pepper),
        digest: read_digest(&key.digest)?,
        inner: fixed(&key.inner, "key.inner")?,
        holder: match &key.holder {
            None => HolderName::None,
            Some(PbHolder::Owner(name)) => HolderName::Owner(parsed(OwnerName::parse(name), "key.owner")?),
            Some(PbHolder::Identity(name)) => HolderName::Identity(parsed(IdentityName::parse(name), "key.identity")?),
        },
        display_name: parsed(DisplayName::parse(&key.display_name), "key.display_name")?,
        purpose: parsed(Purpose::parse(&key.purpose), "key.purpose")?,
        terms,
        metadata: read_metadata(&key.metadata)?,
        not_before: key.not_before_unix_ms.map(|millis| time(millis, "key.not_before")).transpose()?,
        expiry: match key.expiry {
            None => Expiry::Default,
            Some(PbExpiry::ExpiresAtUnixMs(millis)) => Expiry::At(time(millis, "key.expires_at")?),
            Some(PbExpiry::LifetimeMs(millis)) => Expiry::After(span(millis, "key.lifetime")?),
        },
        roles: read_slugs(&key.roles, "key.roles")?,
        parent: key.parent.as_deref().map(|id| key_id(id, "key.parent")).transpose()?,
        rotation_policy: key.rotation_policy.as_ref().map(read_policy).transpose()?.map(Box::new),
    })
}
