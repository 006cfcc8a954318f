//! `Debug` by hand for the messages that carry a key text: its length is shown, never its text.

use crate::pb::{disk::v1 as disk, internal::v1 as internal, v1};
use core::fmt;

/// Stands for a hidden text.
struct Hidden(usize);

impl Hidden {
    fn text(text: &str) -> Self {
        Self(text.len())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hidden ({} bytes)", self.0)
    }
}

impl fmt::Debug for disk::NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, signed, tree_epoch, tree_index } = self;
        f.debug_struct("NodeKey")
            .field("seed", &Hidden(seed.len()))
            .field("signed", signed)
            .field("tree_epoch", tree_epoch)
            .field("tree_index", tree_index)
            .finish()
    }
}

impl fmt::Debug for v1::ValidateKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_text, keyspace, permission_query, context, consistency } = self;
        f.debug_struct("ValidateKeyRequest")
            .field("key_text", &Hidden::text(key_text))
            .field("keyspace", keyspace)
            .field("permission_query", permission_query)
            .field("context", context)
            .field("consistency", consistency)
            .finish()
    }
}

impl fmt::Debug for v1::ImportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the holder of a key would recognise is enough to find a row by.
        f.debug_struct("ImportedKey")
            .field("format", &self.format)
            .field("material", &self.material)
            .field("source_id", &self.source_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::imported_key::Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => f.debug_tuple("Digest").field(&Hidden(digest.len())).finish(),
            Self::KeyText(text) => f.debug_tuple("KeyText").field(&Hidden::text(text)).finish(),
        }
    }
}

impl fmt::Debug for v1::CreateKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, version, key_text, revision, regions, replayed, sealed_key_text } = self;
        f.debug_struct("CreateKeyResponse")
            .field("key", key)
            .field("version", version)
            .field("key_text", &Hidden::text(key_text))
            .field("revision", revision)
            .field("regions", regions)
            .field("replayed", replayed)
            .field("sealed_key_text", &Hidden(sealed_key_text.len()))
            .finish()
    }
}

impl fmt::Debug for v1::IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, version, key_text, sealed_key_text } = self;
        f.debug_struct("IssuedKey")
            .field("key", key)
            .field("version", version)
            .field("key_text", &Hidden::text(key_text))
            .field("sealed_key_text", &Hidden(sealed_key_text.len()))
            .finish()
    }
}

impl fmt::Debug for v1::RevokeKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            reason,
            reason_text,
            grace,
            wait_for,
            wait_timeout,
            validate_only,
            etag,
            request_id,
            key_text,
        } = self;
        f.debug_struct("RevokeKeyRequest")
            .field("name", name)
            .field("reason", reason)
            .field("reason_text", reason_text)
            .field("grace", grace)
            .field("wait_for", wait_for)
            .field("wait_timeout", wait_timeout)
            .field("validate_only", validate_only)
            .field("etag", etag)
            .field("request_id", request_id)
            .field("key_text", &Hidden::text(key_text))
            .finish()
    }
}

impl fmt::Debug for v1::RotateKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rotation, key, version, key_text, revision, regions, replayed, sealed_key_text } = self;
        f.debug_struct("RotateKeyResponse")
            .field("rotation", rotation)
            .field("key", key)
            .field("version", version)
            .field("key_text", &Hidden::text(key_text))
            .field("revision", revision)
            .field("regions", regions)
            .field("replayed", replayed)
            .field("sealed_key_text", &Hidden(sealed_key_text.len()))
            .finish()
    }
}

impl fmt::Debug for v1::PrepareStandbyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rotation, key, version, key_text, revision, regions, replayed, sealed_key_text } = self;
        f.debug_struct("PrepareStandbyResponse")
            .field("rotation", rotation)
            .field("key", key)
            .field("version", version)
            .field("key_text", &Hidden::text(key_text))
            .field("revision", revision)
            .field("regions", regions)
            .field("replayed", replayed)
            .field("sealed_key_text", &Hidden(sealed_key_text.len()))
            .finish()
    }
}

impl fmt::Debug for internal::AuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, key_text, client_ip } = self;
        f.debug_struct("AuthenticateRequest")
            .field("target", target)
            .field("key_text", &Hidden::text(key_text))
            .field("client_ip", client_ip)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_a_key_text() {
        let key_text = "acme_live_0000000000000001_secret".to_owned();
        let request = v1::ValidateKeyRequest { key_text: key_text.clone(), ..Default::default() };
        let batch = v1::BatchValidateKeysItem { id: "1".to_owned(), request: Some(request) };
        let response = v1::CreateKeyResponse { key_text: key_text.clone(), ..Default::default() };
        let issued = v1::BatchCreateKeysResponse {
            keys: vec![v1::IssuedKey { key_text: key_text.clone(), ..Default::default() }],
            ..Default::default()
        };
        let revoke = v1::RevokeKeyRequest { key_text: key_text.clone(), ..Default::default() };
        let rotated = v1::RotateKeyResponse { key_text: key_text.clone(), ..Default::default() };
        let standby = v1::PrepareStandbyResponse { key_text, ..Default::default() };
        for shown in [
            format!("{batch:?}"),
            format!("{response:?}"),
            format!("{issued:?}"),
            format!("{revoke:?}"),
            format!("{rotated:?}"),
            format!("{standby:?}"),
        ] {
            assert!(shown.contains("hidden (33 bytes)"), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
