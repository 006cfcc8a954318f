//! Rotations whose steps the service takes, policies, and secrets that are sealed.

use crate::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// How often a rotation is looked at until it is where it is to be: each look is a process, so this takes long enough.
const LOOKS_MAX: usize = 600;

pub(crate) fn delivering(world: &World) {
    let key = world.json("key create acme/orders --permission orders:read --key-text-file FOLDER/first.key");
    let key = key["key"]["name"].as_str().expect("it has a name").to_owned();
    moved_by_the_service(world, &key);
    held_and_resumed(world, &key);
    sealed(world, &key);
    policies(world);
    due(world);
}

/// The state of a rotation, once it is that.
fn until(world: &World, rotation: &str, state: &str) -> Value {
    let mut shown = Value::Null;
    for _ in 0..LOOKS_MAX {
        shown = world.json(&format!("rotation show {rotation}"));
        if shown["state"] == state {
            return shown;
        }
    }
    panic!("it never was {state}: {shown:#}");
}

fn start(world: &World, key: &str, more: &str) -> String {
    let started = world.json(&format!("rotation start {key} {more}"));
    assert_eq!(started.get("keyText"), None, "nobody is shown a text that is delivered");
    started["rotation"]["name"].as_str().expect("it has a name").to_owned()
}

fn moved_by_the_service(world: &World, key: &str) {
    let told = world.ended(&format!("rotation start {key}"), 2);
    assert!(told.err.contains("--deliver"), "it has to go somewhere: {}", told.err);
    let told = world.ended(&format!("rotation start {key} --deliver files --dry-run"), 0);
    assert!(told.err.contains("Nothing was changed"), "{}", told.err);

    let rotation = start(world, key, "--deliver files --overlap 1h --overlap-min 1m --silence 30m");
    let shown = until(world, &rotation, "OVERLAP");
    let file = format!("dev/delivered/acme/orders/{}", key.rsplit('/').next().expect("it has an id"));
    let mode = fs::metadata(world.file(&file)).expect("it was delivered").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for text in [format!("FOLDER/{file}"), "FOLDER/first.key".to_owned()] {
        world.done(&format!("validate {text} --fully-consistent"));
    }
    assert_eq!((&shown["delivery"]["store"], &shown["terms"]["silence"]), (&"files".into(), &"1800s".into()));
    assert!(world.done("rotation list acme --state overlap").contains(&rotation[rotation.len() - 16..]));
    assert!(world.done("rotation list acme/orders --filter 'state = HELD'").contains("no rotation"));

    // Both versions were used just now, and the picture of it ends with the rotation.
    let evidence = world.json(&format!("rotation show {rotation}"))["evidence"].clone();
    assert!(evidence["new"]["count"].is_string() && evidence["old"]["count"].is_string(), "{evidence:#}");
    world.done(&format!("rotation complete {rotation}"));
    let watched = world.done(&format!("rotation watch {rotation} --every 1s"));
    assert!(watched.contains("COMPLETED") && watched.lines().count() == 1, "a line for each change: {watched}");
    let watched = world.json(&format!("rotation watch {rotation}"));
    assert_eq!(watched["state"], "COMPLETED");
    world.ended("validate FOLDER/first.key --fully-consistent", 3);
    world.done(&format!("validate FOLDER/{file} --fully-consistent"));
}

fn held_and_resumed(world: &World, key: &str) {
    let rotation = start(world, key, "--deliver files --overlap 1h");
    until(world, &rotation, "OVERLAP");
    world.done(&format!("rotation hold {rotation} --reason-text 'the shop deploys first'"));
    let held = world.json(&format!("rotation show {rotation}"));
    assert_eq!((&held["state"], &held["hold"]["cause"]), (&"HELD".into(), &"ASKED".into()), "{held:#}");
    assert!(world.done("rotation list acme --state held").contains("ASKED"));
    world.done(&format!("rotation resume {rotation}"));
    assert_eq!(world.json(&format!("rotation show {rotation}"))["state"], "OVERLAP");
    world.done(&format!("rotation roll-back {rotation} --reason-text 'the shop does not start'"));
    let watched = world.ended(&format!("rotation watch {rotation}"), 3);
    assert!(watched.out.contains("ROLLED_BACK"), "{watched:?}");

    // A store that is not there holds the rotation, and nothing is retired.
    let rotation = start(world, key, "--deliver nowhere");
    let held = until(world, &rotation, "HELD");
    assert_eq!(held["hold"]["cause"], "DELIVERY", "{held:#}");
    world.done(&format!("rotation cancel {rotation}"));
}

fn sealed(world: &World, key: &str) {
    let public = world.done("recipient new --private-key-file FOLDER/shop.private");
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{public}");
    assert!(world.ended("recipient new --private-key-file FOLDER/shop.private", 2).err.contains("--force"));
    assert_eq!(world.done("recipient public --private-key-file FOLDER/shop.private"), public);
    let private = world.file("shop.private");
    assert_eq!(fs::metadata(&private).expect("it was written").permissions().mode() & 0o777, 0o600);
    fs::write(world.file("shop.pem"), public).expect("it is ours");

    let told = world.ended("key create acme/orders --recipient FOLDER/shop.pem -o json", 0);
    fs::write(world.file("made.json"), &told.out).expect("it is ours");
    assert!(told.err.contains("open-sealed") && !told.out.contains("\"keyText\""), "{told:?}");
    world.done("open-sealed FOLDER/made.json --private-key-file FOLDER/shop.private --key-text-file FOLDER/opened.key");
    world.done("validate FOLDER/opened.key --fully-consistent");

    // An emergency: only the new text is accepted, and only the recipient can read it.
    let rotated = world.json(&format!("key rotate {key} --emergency --recipient FOLDER/shop.pem"));
    let (digits, version) = (&rotated["sealedKeyText"], &rotated["version"]);
    let (digits, version) = (digits.as_str().expect("base64"), version.as_str().expect("a name"));
    let open = format!("open-sealed --private-key-file FOLDER/shop.private --version {version}");
    let opened = world.run_with(&open, &[], digits);
    assert_eq!(opened.code, 0, "{}", opened.err);
    fs::write(world.file("emergency.key"), &opened.out).expect("it is ours");
    world.done("validate FOLDER/emergency.key --fully-consistent");
    let versions = world.json(&format!("key show {key}"))["versions"].clone();
    let active = versions.as_array().expect("a list").iter().filter(|version| version["state"] == "ACTIVE").count();
    let retiring = versions.as_array().expect("a list").iter().any(|version| version["state"] == "RETIRING");
    assert!(active == 1 && !retiring, "{versions:#}");

    world.done("recipient new --private-key-file FOLDER/other.private");
    let other = open.replace("shop.private", "other.private");
    let told = world.run_with(&other, &[], digits);
    assert!(told.code == 2 && told.err.contains("does not open") && told.out.is_empty(), "{told:?}");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).expect("it is ours");
    assert!(world.run_with(&open, &[], digits).err.contains("chmod 600"));
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("it is ours");

    // The service seals as well, once every replica accepts the version.
    let rotation = start(world, key, "--recipient FOLDER/shop.pem --overlap 1h");
    until(world, &rotation, "OVERLAP");
    fs::write(world.file("rotation.json"), world.done(&format!("rotation show {rotation} -o json")))
        .expect("it is ours");
    world.done("open-sealed FOLDER/rotation.json --private-key-file FOLDER/shop.private --key-text-file FOLDER/opened.key --force");
    world.done("validate FOLDER/opened.key --fully-consistent");
    world.done(&format!("rotation complete {rotation}"));
}

fn policies(world: &World) {
    let told = world.ended("keyspace update acme/billing --rotation-class high --rotation-mode automatic", 2);
    assert!(told.err.contains("delivery"), "a secret without a place: {}", told.err);
    world.done("keyspace update acme/billing --rotation-class moderate --rotation-mode notify --rotation-notice 7d --rotation-notice 1d");
    let policy = world.json("keyspace show acme/billing")["rotationPolicy"].clone();
    assert_eq!((&policy["riskClass"], &policy["notices"][0]), (&"MODERATE".into(), &"604800s".into()), "{policy:#}");

    // What is shown is what can be given, with a change.
    fs::write(world.file("policy.json"), policy.to_string()).expect("it is ours");
    world.done("keyspace create acme/policies --prefix acme_pol --environment staging --rotation-policy FOLDER/policy.json --rotation-jitter 3d");
    let policy = world.json("keyspace show acme/policies")["rotationPolicy"].clone();
    assert_eq!((&policy["riskClass"], &policy["jitter"]), (&"MODERATE".into(), &"259200s".into()), "{policy:#}");
    let made = world.json(
        "key create acme/policies --rotation-class high --rotation-mode notify --key-text-file FOLDER/policy.key",
    );
    let key = made["key"]["name"].as_str().expect("it has a name").to_owned();
    assert_eq!(world.json(&format!("key show {key}"))["rotationPolicy"]["riskClass"], "HIGH");
    world.done(&format!(
        "key update {key} --rotation-class custom --rotation-mode notify --rotation-interval 10d --rotation-overlap 1d"
    ));
    assert_eq!(world.json(&format!("key show {key}"))["rotationPolicy"]["interval"], "864000s");
    world.done(&format!("key update {key} --clear rotation_policy"));
    assert_eq!(world.json(&format!("key show {key}")).get("rotationPolicy"), None);
    fs::write(world.file("policy.json"), "{\"riskClass\": \"HIGHEST\"}").expect("it is ours");
    let told = world.ended("keyspace update acme/policies --rotation-policy FOLDER/policy.json", 2);
    assert!(told.err.contains("policy.json"), "{}", told.err);
}

fn due(world: &World) {
    assert!(world.done("rotation due acme/policies").contains("No key is due"));
    let told = world.done("rotation due acme --within 200d");
    assert!(told.contains("acme/policies/") && told.contains("NOTIFY"), "{told}");
    let listed = world.json("rotation due acme/policies --within 200d");
    assert_eq!(listed["dueRotations"].as_array().map(Vec::len), Some(1), "{listed:#}");
}
