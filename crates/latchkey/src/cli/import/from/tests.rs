//! Rows as other systems write them.

use super::*;
use crate::cli::import::digest;
use crate::cli::import::row::Material;
use serde_json::json;

/// The SHA-256 of the empty text.
const BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn read(source: Source, value: Value) -> Result<Row, Refused> {
    read_keeping(source, value, Keep::default()).0
}

fn read_keeping(source: Source, value: Value, keep: Keep) -> (Result<Row, Refused>, Tally) {
    let Value::Object(fields) = value else { panic!("an object") };
    let mapping = [("key_text", "k"), ("source_id", "n"), ("enabled", "on"), ("metadata.Team", "t"), ("roles", "r")];
    let mapping = Mapping::of(mapping.map(|(field, column)| (field.to_owned(), column.to_owned()))).unwrap();
    let mut tally = Tally::default();
    let read = Reader { source, mapping, keep }.read(3, fields, &mut tally);
    (read, tally)
}

#[test]
fn what_cannot_be_kept_refuses_the_row_unless_it_may_become_metadata() {
    for (field, value) in [
        ("remaining", json!(100)),
        ("credits", json!({"remaining": 5, "refill": null})),
        ("refill", json!({"interval": "daily", "amount": 3})),
        ("ratelimit", json!({"limit": 10})),
        ("ratelimits", json!([{"name": "requests"}])),
        ("shoeSize", json!(42)),
    ] {
        let row = json!({"keyId": "key_1", "hash": BASE64, "start": "a_", field: value});
        let refused = read(Source::Unkey, row.clone()).unwrap_err();
        assert_eq!((refused.line, refused.source_id.as_str(), refused.field.as_str()), (3, "key_1", field));
        let (kept, tally) = read_keeping(Source::Unkey, row, Keep { as_metadata: true, ..Keep::default() });
        let kept = kept.unwrap();
        assert!(kept.metadata.keys().all(|key| key.starts_with("source.")) && kept.metadata.len() == 1, "{field}");
        assert_eq!(tally.as_metadata[field], 1);
    }
    let told = read(Source::Unkey, json!({"id": "k", "hash": BASE64, "remaining": 0})).unwrap_err();
    assert_eq!((told.reason.as_str(), told.message.as_str()), ("UNSUPPORTED", "a budget of uses cannot be kept yet"));
    let plan = read(Source::Aws, json!({"name": "n", "key": "x", "usageplanids": "c7y23b"})).unwrap_err();
    assert_eq!(plan.reason, "UNSUPPORTED");
}

#[test]
fn a_digest_that_is_none_is_refused_and_not_repeated() {
    for hash in [
        json!("secret"),
        json!({"value": "secret", "variant": "bcrypt"}),
        json!(7),
        json!({"value": BASE64, "variant": "sha256_hex"}),
    ] {
        let refused = read(Source::Unkey, json!({"keyId": "k", "hash": hash})).unwrap_err();
        assert_eq!(refused.reason, "DIGEST_INVALID");
        assert!(!refused.message.contains("secret"));
    }
    assert_eq!(read(Source::Unkey, json!({"keyId": "k"})).unwrap_err().reason, "MATERIAL_MISSING");
    assert_eq!(read(Source::Aws, json!({"name": "n", "key": " "})).unwrap_err().reason, "MATERIAL_MISSING");
    assert_eq!(read(Source::Unkey, json!({"id": "k", "deletedAt": 1})).unwrap_err().reason, "DELETED");
}

#[test]
fn an_unkey_key_comes_in_with_all_that_it_has() {
    let row = read(Source::Unkey, json!({
        "keyId": "key_1", "apiId": "api_1", "workspaceId": "ws_1", "start": "sk_live_3ZcK", "enabled": false,
        "name": "Payments", "meta": {"plan": "pro", "seatCount": 3}, "createdAt": 1_701_425_400_000_u64,
        "updatedAt": 1, "expires": 1_893_456_000_000_u64, "permissions": ["data.read"], "roles": ["reader"],
        "credits": {"remaining": null, "refill": null}, "ratelimits": [], "hash": {"value": BASE64, "variant": "sha256_base64"},
        "identity": {"id": "id_1", "externalId": "user_7", "ratelimits": []},
    }))
    .unwrap();
    let digest = digest::parse(BASE64).unwrap();
    assert_eq!((row.source_id.as_str(), &row.material), ("key_1", &Material::Digest(digest)));
    assert_eq!((row.start.as_str(), row.display_name.as_str(), row.suspended), ("sk_live_3ZcK", "Payments", true));
    assert_eq!(row.owner.as_deref(), Some("user_7"));
    assert_eq!((row.permissions, row.roles), (vec!["data.read".to_owned()], vec!["reader".to_owned()]));
    assert_eq!(row.metadata, [("plan", "pro"), ("seat_count", "3")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
    assert_eq!(row.expire_time.unwrap().seconds, 1_893_456_000);
    assert_eq!(row.source_create_time.unwrap().seconds, 1_701_425_400);

    let old = json!({"id": "key_2", "hash": BASE64, "ownerId": "chronark", "expires": null, "remaining": null, "refill": null});
    let old = read(Source::Unkey, old).unwrap();
    assert_eq!((old.owner.as_deref(), old.expire_time, old.suspended), (Some("chronark"), None, false));
    let text = read(Source::Unkey, json!({"plaintext": "sk_text", "name": "n"})).unwrap();
    assert!(matches!(text.material, Material::Text(_)) && !format!("{text:?}").contains("sk_text"));
}

#[test]
fn the_others_are_read_by_their_names() {
    let hex = digest::parse(BASE64).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let row = json!({"shortToken": "BRTRKFsL", "longTokenHash": hex, "prefix": "mycompany", "created_at": "2023-11-14T22:13:20Z"});
    let row = read(Source::Prefixed, row).unwrap();
    assert_eq!((row.source_id.as_str(), row.start.as_str()), ("BRTRKFsL", "mycompany_BRTRKFsL"));

    let row =
        json!({"name": "First", "key": " apikey1234 ", "description": "why", "enabled": "FALSE", "usageplanids": ""});
    let row = read(Source::Aws, row).unwrap();
    assert_eq!(row.material, Material::Text("apikey1234".to_owned().into()));
    assert_eq!((row.display_name.as_str(), row.purpose.as_str(), row.suspended), ("First", "why", true));

    let row = read(Source::Csv, json!({"k": "text", "n": "7", "on": "no", "t": "a", "r": "x y"})).unwrap();
    assert_eq!((row.source_id.as_str(), row.suspended, row.roles.len()), ("7", true, 2));
    assert_eq!(row.metadata["team"], "a");
}

#[test]
fn a_mapping_names_fields_and_columns_that_there_are() {
    let of = |pairs: &[(&str, &str)]| {
        Mapping::of(pairs.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())))
    };
    assert!(of(&[("size", "a")]).unwrap_err().contains("key_text"));
    assert!(of(&[("digest", "a"), ("digest", "b")]).is_err());
    let heading = ["a".to_owned(), "b".to_owned()];
    assert!(of(&[("digest", "a"), ("key_text", "b")]).unwrap().fits(&heading).is_err());
    assert!(of(&[("owner", "a")]).unwrap().fits(&heading).is_err());
    assert!(of(&[("digest", "c")]).unwrap().fits(&heading).unwrap_err().contains("no column c"));
    assert!(of(&[("digest", "a"), ("metadata.x", "b")]).unwrap().fits(&heading).is_ok());
    let pairs = Mapping::pairs("# who\ndigest = a\n\nowner=b\n").unwrap();
    assert_eq!(pairs, [("digest".to_owned(), "a".to_owned()), ("owner".to_owned(), "b".to_owned())]);
    assert!(Mapping::pairs("nonsense").is_err());
}
