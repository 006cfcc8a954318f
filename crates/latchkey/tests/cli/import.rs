//! Keys of other systems: what comes in, what does not and why, and what an export tells of them.

use crate::world::World;
use latchkey_telemetry::{Clock as _, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;

const DAY_MILLIS: u64 = 86_400_000;

/// Texts as Unkey makes them.
const FIRST: &str = "sk_live_3ZcKq7WvN1pYtB8sDfGhJk";
const SECOND: &str = "sk_live_9XyLm2RtV6wQzC4uEaHgPn";

pub(crate) fn importing(world: &World) {
    world.done("keyspace create acme/imports --prefix acme_imp --environment production --allowed-permission 'orders:*' --maximum-lifetime 365d");
    unkey(world);
    bad_rows(world);
    others(world);
    exporting(world);
}

fn hash(text: &str) -> Value {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"value": hex, "variant": "sha256_hex"})
}

/// A row that comes in, with other fields besides.
fn row(id: &str, text: &str, more: &Value) -> Value {
    let expires = SystemClock.unix_millis().millis() + 30 * DAY_MILLIS;
    let mut row = json!({
        "keyId": id, "hash": hash(text), "start": &text[..12], "expires": expires, "permissions": ["orders:read"],
    });
    for (name, value) in more.as_object().expect("an object") {
        row[name] = value.clone();
    }
    row
}

fn write(world: &World, name: &str, lines: &[String]) {
    fs::write(world.file(name), lines.join("\n")).expect("it can be written");
}

fn unkey(world: &World) {
    let rows = [
        row(
            "key_1",
            FIRST,
            &json!({"name": "Payments", "ownerId": "user_7", "roles": ["Night Shift"], "meta": {"billingTier": "pro"}}),
        ),
        row("key_2", SECOND, &json!({"enabled": false})),
    ];
    write(world, "unkey.json", &[json!({"data": rows}).to_string()]);
    let import =
        "key import acme/imports FOLDER/unkey.json --from unkey --create-format --create-owners --create-roles";
    let told = world.ended(&format!("{import} --dry-run"), 0);
    assert!(told.err.contains("would be declared: sk_live_{base58:17-24}"), "{told:?}");
    assert!(told.err.contains("Nothing was changed"), "{told:?}");
    assert_eq!(world.json("keyspace show acme/imports").get("importFormats"), None);

    let told = world.ended(import, 0);
    assert!(told.out.contains("2 imported, 0 there already, 0 refused of 2 rows"), "{told:?}");
    assert!(!world.file("unkey.json.latchkey-import").exists(), "all is settled");
    let told = world.ended(import, 0);
    assert!(told.out.contains("0 imported, 2 there already"), "twice is once: {told:?}");

    let outcome = |text: &str, more: &str, code: i32| {
        fs::write(world.file("foreign.key"), text).expect("it can be written");
        let told = world.ended(&format!("validate FOLDER/foreign.key --fully-consistent -o json {more}"), code);
        let answer: Value = serde_json::from_str(&told.out).expect("JSON");
        answer["outcome"].as_str().expect("a word").to_owned()
    };
    assert_eq!(outcome(FIRST, "--keyspace acme/imports -p orders:read", 0), "VALID");
    assert_eq!(outcome(FIRST, "--keyspace acme/orders", 3), "MALFORMED", "elsewhere nothing is looked up");
    assert_eq!(outcome(SECOND, "--keyspace acme/imports", 3), "SUSPENDED");
    let found = world.json("key list acme/imports --state active")["keys"][0].clone();
    assert_eq!((&found["displayName"], &found["metadata"]["billing_tier"]), (&json!("Payments"), &json!("pro")));
    assert_eq!(
        (&found["imported"]["sourceId"], &found["imported"]["start"]),
        (&json!("key_1"), &json!("sk_live_3ZcK"))
    );
    assert!(found["owner"].as_str().is_some_and(|owner| owner.starts_with("tenants/acme/owners/user-7-")), "{found}");
}

/// Each kind of row that does not come in, with its reason.
fn bad_rows(world: &World) {
    let text = |number: usize| format!("sk_live_3ZcKq7WvN1pYtB8sDfG{number:03}").replace('0', "z");
    let changed = |number: usize, more: &Value| row(&format!("bad_{number}"), &text(number), more).to_string();
    let past = SystemClock.unix_millis().millis() - DAY_MILLIS;
    let kinds: Vec<(String, &str)> = vec![
        ("{\"keyId\": \"bad_1\", ".to_owned(), "ROW_MALFORMED"),
        (changed(2, &json!({"hash": null})), "MATERIAL_MISSING"),
        (changed(3, &json!({"hash": "tooshort"})), "DIGEST_INVALID"),
        (changed(4, &json!({"hash": {"value": "x", "variant": "bcrypt"}})), "DIGEST_INVALID"),
        (changed(5, &json!({"remaining": 10})), "UNSUPPORTED"),
        (changed(6, &json!({"refill": {"interval": "daily", "amount": 5}})), "UNSUPPORTED"),
        (changed(7, &json!({"ratelimits": [{"name": "requests", "limit": 5}]})), "UNSUPPORTED"),
        (changed(8, &json!({"identity": {"externalId": "shop", "ratelimits": [{"limit": 5}]}})), "UNSUPPORTED"),
        (changed(9, &json!({"shoeSize": 42})), "FIELD_UNKNOWN"),
        (changed(10, &json!({"deletedAt": 1_700_000_000_000_u64})), "DELETED"),
        (changed(11, &json!({"start": "pk_test_abcd"})), "FORMAT_UNKNOWN"),
        (changed(12, &json!({"expires": "soon"})), "FIELD_INVALID"),
        (changed(13, &json!({"permissions": ["not a word"]})), "FIELD_INVALID"),
        (changed(14, &json!({"name": "x".repeat(129)})), "FIELD_INVALID"),
        (changed(15, &json!({"permissions": ["billing:read"]})), "PERMISSION_NOT_ALLOWED"),
        (changed(16, &json!({"ownerId": "nobody"})), "OWNER_NOT_FOUND"),
        (changed(17, &json!({"roles": ["nothing"]})), "ROLE_NOT_FOUND"),
        (changed(18, &json!({"expires": past})), "EXPIRY_PAST"),
        (changed(19, &json!({"expires": 4_102_444_800_000_u64})), "LIFETIME_TOO_LONG"),
        (changed(20, &json!({"hash": hash(FIRST)})), "DIGEST_TAKEN"),
        (changed(21, &json!({"keyId": "key_2"})), "SOURCE_ID_TAKEN"),
        (changed(22, &json!({"start": text(22)})), "START_INVALID"),
        (changed(23, &json!({"hash": null, "plaintext": "sk_live_short", "start": ""})), "SHAPE_MISMATCH"),
        (changed(24, &json!({"hash": hash("twice"), "keyId": "twice_1"})), ""),
        (changed(25, &json!({"hash": hash("twice"), "keyId": "twice_2"})), "DUPLICATE_IN_BATCH"),
    ];
    let lines: Vec<String> = kinds.iter().map(|(line, _)| line.clone()).collect();
    write(world, "bad.json", &lines);
    let told = world.ended("key import acme/imports FOLDER/bad.json --from unkey --refused FOLDER/refused.csv", 3);
    assert!(told.out.contains("1 imported") && told.out.contains("24 refused of 25 rows"), "{told:?}");
    let report = fs::read_to_string(world.file("refused.csv")).expect("it was written");
    let told: Vec<(usize, String)> = report
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].parse().expect("a line"), cells[3].to_owned())
        })
        .collect();
    let expected = kinds.iter().zip(1..).filter(|((_, reason), _)| !reason.is_empty());
    let expected: Vec<(usize, String)> = expected.map(|((_, reason), line)| (line, (*reason).to_owned())).collect();
    assert_eq!(told, expected, "{report}");
    for (number, _) in kinds.iter().enumerate() {
        assert!(!report.contains(&text(number)), "no key text is in a report");
    }
    assert!(!report.contains("sk_live_short"), "{report}");

    // What cannot be kept may be kept as metadata, or left behind by name.
    write(world, "budget.json", &[changed(30, &json!({"remaining": 10, "shoeSize": 42}))]);
    let import = "key import acme/imports FOLDER/budget.json --from unkey --ignore-field shoeSize";
    world.ended(import, 3);
    let told = world.json(&format!("{import} --keep-unsupported-as-metadata"));
    assert_eq!((&told["imported"], &told["fieldsKeptAsMetadata"]["remaining"]), (&json!(1), &json!(1)));
    assert_eq!(told["fieldsLeftBehind"]["shoeSize"], 1);
}

fn others(world: &World) {
    let gateway = "apikey1234abcdefghij0123456789";
    let lines =
        ["Name,KEY,description,Enabled,usageplanIds", &format!("First,{gateway},why,TRUE,"), "Second,short,,true,"];
    write(world, "aws.csv", &lines.map(str::to_owned));
    let shape = "--create-format --shape '{alphanumeric:30}'";
    // A keyspace that bounds lives gives one to what says nothing; this one does not.
    world.done("keyspace create acme/gateway --prefix acme_gw --environment production");
    let told = world.ended(&format!("key import acme/gateway FOLDER/aws.csv --from aws {shape}"), 3);
    assert!(told.out.contains("1 imported") && told.err.contains("SHAPE_MISMATCH"), "{told:?}");
    assert!(told.err.contains("line 3") && !told.err.contains("short"), "{told:?}");
    fs::write(world.file("foreign.key"), gateway).expect("it can be written");
    world.done("validate FOLDER/foreign.key --keyspace acme/gateway --fully-consistent");

    // Seam's own example: `extractLongToken` gives what is behind the last `_`.
    let (short, long) = ("BRTRKFsL", "51FwqftsmMDHHbJAMEXXHCgG");
    let lines = [
        "shortToken,longTokenHash,prefix",
        &format!("{short},{},mycompany", hash(long)["value"].as_str().expect("a text")),
    ];
    write(world, "seam.csv", &lines.map(str::to_owned));
    world.done("key import acme/gateway FOLDER/seam.csv --from prefixed --create-format");
    fs::write(world.file("foreign.key"), format!("mycompany_{short}_{long}")).expect("it can be written");
    world.done("validate FOLDER/foreign.key --keyspace acme/gateway --fully-consistent");
    fs::write(world.file("foreign.key"), format!("mycompany_BRTRKFsM_{long}")).expect("it can be written");
    world.ended("validate FOLDER/foreign.key --keyspace acme/gateway --fully-consistent", 3);

    let text = "old_3ZcKq7WvN1pYtB8sDfGhJk";
    let lines = ["id;team;sha256", &format!("77;shop;{}", hash(text)["value"].as_str().expect("a text"))];
    write(world, "plain.csv", &lines.map(str::to_owned));
    let import = "key import acme/gateway FOLDER/plain.csv --from csv --map digest=sha256 --map source_id=id";
    let told = world.ended(&format!("{import} --format old"), 2);
    assert!(told.err.contains("--create-format"), "{told:?}");
    let declare = "--create-format --format old --shape 'old_{base58:22}'";
    world.ended(&format!("{import} {declare}"), 3);
    world.done(&format!("{import} {declare} --map owner=team"));
    fs::write(world.file("foreign.key"), text).expect("it can be written");
    world.done("validate FOLDER/foreign.key --keyspace acme/gateway --fully-consistent");
    world.ended(&import.replace("digest=sha256", "digest=nothing"), 2);
    fs::write(world.file("plain.csv.latchkey-import"), "{}").expect("it can be written");
    let told = world.ended(import, 2);
    assert!(told.err.contains("no journal"), "{told:?}");
}

fn exporting(world: &World) {
    let told = world.ended("key export acme/imports FOLDER/keys.csv", 0);
    assert!(told.err.contains("4 keys are in"), "{told:?}");
    let text = fs::read_to_string(world.file("keys.csv")).expect("it was written");
    assert!(text.starts_with("name,keyspace,display_name,owner,") && text.lines().count() == 5, "{text}");
    assert!(!text.contains(FIRST) && !text.contains(hash(FIRST)["value"].as_str().expect("a text")), "{text}");
    let lines = world.done("key export acme - --format jsonl --filter 'state = ACTIVE'");
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mine = rows.iter().find(|row| row["source_id"] == "key_1").expect("it is active");
    assert_eq!(
        (&mine["state"], &mine["import_format"], &mine["age_days"]),
        (&json!("ACTIVE"), &json!("unkey"), &json!(0))
    );
    assert!(rows.iter().any(|row| row["keyspace"] == "tenants/acme/keyspaces/gateway"), "all keyspaces of the tenant");
    world.ended("key export acme/nothing -", 4);
}
