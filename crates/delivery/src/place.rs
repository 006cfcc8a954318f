//! Forms of places: `/run/keys/{tenant}/{keyspace}/{key}`.

use latchkey_domain::KeyName;

/// Fills the words in braces with the ids of a key. Ids have no `/`, no `.` and no space, so that none leads elsewhere.
pub(crate) fn fill(form: &str, key: &KeyName) -> String {
    form.replace("{tenant}", key.keyspace.tenant.as_str())
        .replace("{keyspace}", key.keyspace.keyspace.as_str())
        .replace("{key}", &key.key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_becomes_its_id() {
        let key = KeyName::parse("tenants/acme/keyspaces/orders/keys/0Jx5k3f9QmZ2aB7c").unwrap();
        assert_eq!(fill("/run/{tenant}/{keyspace}-{key}.key", &key), "/run/acme/orders-0Jx5k3f9QmZ2aB7c.key");
        assert_eq!(fill("/run/key", &key), "/run/key");
    }
}
