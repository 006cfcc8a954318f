//! The command line against every service: each command once, as a person or a script uses it.

mod audit_log;
mod import;
mod keyring;
mod proving;
mod rotation;
mod usage;
mod world;

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use world::World;

#[test]
fn every_command_does_what_it_says() {
    let mut world = World::start();
    outcomes_of_the_seed(&world);
    directory(&world);
    let key = making_and_reading(&world);
    changing(&world, &key);
    rotating(&world, &key);
    rotation::delivering(&world);
    revoking(&world, &key);
    auditing(&world);
    proving::taking_home(&world);
    destroyed(&world);
    usage::telling(&world);
    import::importing(&world);
    running(&world);
    profiles(&world);
    looking_around(&world);
    replicas(&world);
    keyring::rotating(&world);
    operating(&world);
    refusals(&world);
    assert_eq!(world.left(), Vec::<String>::new(), "these were never carried out");
    assert_eq!(world.end(), Some(0), "dev ends in peace");

    // A seed is applied at every start, and changes nothing that is there.
    world.start_again();
    outcomes_of_the_seed(&world);
    audit_log::lost(&mut world);
    assert_eq!(world.end(), Some(0));
}

/// The text of the key `valid` in every cluster that began with the shipped seed.
const VALID: &str = "acme_orders_Mgrfe9oFfuJZ1QpB_SgNoo66T4g63oxCZkDD0Y7x4dzWT91Xe1cYnn4\n";

fn outcomes_of_the_seed(world: &World) {
    assert_eq!(fs::read_to_string(world.file("dev/secrets/seed/valid.key")).expect("it is there"), VALID);
    let question = "--keyspace acme/orders --permission-query orders:read";
    for (name, outcome) in [
        ("valid", "VALID"),
        ("malformed", "MALFORMED"),
        ("unknown", "NOT_FOUND"),
        ("elsewhere", "WRONG_KEYSPACE"),
        ("revoked", "REVOKED"),
        ("suspended", "SUSPENDED"),
        ("later", "NOT_YET_VALID"),
        ("expired", "EXPIRED"),
        ("network", "NETWORK_NOT_ALLOWED"),
        ("method", "METHOD_NOT_ALLOWED"),
        ("resource", "RESOURCE_NOT_ALLOWED"),
        ("powerless", "INSUFFICIENT_PERMISSIONS"),
    ] {
        let told = world.run(&format!("validate SEED/{name}.key {question} --output json"));
        let answer: Value = serde_json::from_str(&told.out).expect("JSON");
        assert_eq!(answer["outcome"], outcome, "{name}: {}", told.err);
        assert_eq!(told.code, if outcome == "VALID" { 0 } else { 3 }, "{name}");
        let mode = fs::metadata(world.file(&format!("dev/secrets/seed/{name}.key")))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let valid = world.json(&format!("validate SEED/valid.key {question}"));
    let version = valid["version"].as_str().expect("the answer names it");
    let reported = world.json(&format!("report {version} --requests 3 --status 200 --latency 12ms --request-bytes 70"));
    assert_eq!(reported["countedCount"], 1, "{reported:#}");
    world.ended(&format!("report {version} --status 600"), 2);
    world.ended(&format!("report {}/0000000000000000", version.rsplit_once('/').expect("a name").0), 4);
    let explained = world.ended(&format!("explain SEED/powerless.key {question} --reason-text 'ticket 7'"), 3).out;
    assert!(explained.contains("INSUFFICIENT_PERMISSIONS") && explained.contains("FAILED"), "{explained}");
}

fn directory(world: &World) {
    world.done("tenant create initech --display-name 'Initech Inc'");
    world.done("tenant update initech --keyspaces-max 1");
    assert_eq!(world.json("tenant show initech")["quotas"]["keyspaces"], 1);
    assert!(world.done("tenant list").contains("Initech Inc"));

    world.done("keyspace create initech/api --prefix init --environment staging --default-lifetime 30d");
    world.done("keyspace update initech/api --display-name API --clear default_lifetime");
    world.done("keyspace update initech/api --staleness-policy last-known --last-known-max 5m");
    let keyspace = world.json("keyspace show initech/api");
    assert_eq!((&keyspace["stalenessPolicy"], &keyspace["lastKnownMax"]), (&"LAST_KNOWN".into(), &"300s".into()));
    world.ended("keyspace update initech/api --last-known-max 5m", 2);
    world.done("keyspace update initech/api --staleness-policy refuse");
    let keyspace = world.json("keyspace show initech/api");
    assert_eq!((&keyspace["stalenessPolicy"], keyspace.get("lastKnownMax")), (&"REFUSE".into(), None));
    assert_eq!((&keyspace["displayName"], keyspace.get("defaultLifetime")), (&Value::from("API"), None));
    assert!(world.done("keyspace list initech").contains("init"));
    world.ended("keyspace create initech/second --prefix init2 --environment staging", 1);

    world.done("owner create initech/bill --contact bill@initech.example");
    world.done("owner update bill --tenant initech --display-name Bill");
    assert!(world.done("owner show initech/bill").contains("Bill"));
    assert!(world.done("owner list initech").contains("bill@initech.example"));

    world.done("role create initech/reader --permission 'docs:read'");
    world.done("role update initech/reader --method GET");
    assert_eq!(world.json("role show initech/reader")["methods"][0], "GET");
    assert!(world.done("role list initech").contains("read-only"));

    world.done("identity create initech/bot --grant validator:initech");
    world.done("identity update initech/bot --grant issuer:initech/api");
    assert!(world.done("identity list initech").contains("issuer:initech/api"));
    assert_eq!(world.json("identity show initech/bot")["grants"][0]["duty"], "ISSUER");

    for (kind, name) in
        [("identity", "bot"), ("role", "reader"), ("owner", "bill"), ("keyspace", "api"), ("tenant", "")]
    {
        let full = format!("{kind} delete initech/{name}");
        let told = world.ended(full.trim_end_matches('/'), 2);
        assert!(told.err.contains("--yes") && told.err.contains("create time"), "it is shown, and kept: {told:?}");
        let also = if kind == "tenant" { " --destroy-data" } else { "" };
        world.done(&format!("{} --yes{also}", full.trim_end_matches('/')));
        world.ended(full.replace("delete", "show").trim_end_matches('/'), 4);
    }
}

/// What is left of a tenant whose data was destroyed.
fn destroyed(world: &World) {
    // What was done a moment ago is stored a moment later.
    let told =
        (0..100).map(|_| world.run("tenant destruction initech")).find(|told| told.code == 0).expect("it is told");
    assert!(told.out.contains("its keys left the keyring at") && told.out.contains("Backups taken before"), "{told:?}");
    let json = world.json("tenant destruction initech");
    assert_eq!(json["name"], "tenants/initech");
    let held = &json["replicas"][0]["wrappedKeys"];
    assert!(held == "HELD" || held == "GONE" || held == "UNKNOWN", "{json}");
    // Its entries are unreadable. That it was destroyed is the cluster's own, and what others were refused is theirs.
    let filter = "subject = tenants/initech AND action != access.refused";
    let entries = world.json(&format!("audit list --filter '{filter}' --limit 0"));
    let actions: Vec<_> =
        entries["entries"].as_array().into_iter().flatten().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["tenant.deleted"], "{entries}");
    let told = world.ended("tenant destruction acme", 2);
    assert!(told.err.contains("no entry says"), "{told:?}");
    destroyed_later(world);
}

/// A tenant is deleted and keeps its data; a backup is taken, and then the data is destroyed after all.
fn destroyed_later(world: &World) {
    world.done("tenant create brief");
    world.done("tenant delete brief --yes");
    world.done("backup create --out FOLDER/before.backup");
    let name = world.json("backup show FOLDER/before.backup")["name"].as_str().expect("a name").to_owned();
    // What was done a moment ago is stored a moment later.
    let told = (0..100).map(|_| world.run("tenant destroy-data brief --dry-run")).find(|told| told.code == 0);
    assert!(told.expect("it was deleted").err.contains("dry run"));
    let told = world.ended("tenant destroy-data brief", 2);
    assert!(told.err.contains("--yes"), "{told:?}");
    world.done("tenant destroy-data brief --yes");
    let told = (0..100).map(|_| world.run("tenant destruction brief")).find(|told| told.code == 0).expect("it is told");
    assert!(told.out.contains(&name) && told.out.contains("nobody here knows"), "{told:?}");
    let json = world.json("tenant destruction brief");
    assert_eq!((&json["backups"]["last"]["name"], &json["backups"]["last"]["state"]), (&name.into(), &"GIVEN".into()));
    assert!(world.done("tenant destroy-data brief --yes").contains("was destroyed at"), "a repeat changes nothing");
    world.ended("tenant destroy-data nobody --yes", 2);
}

/// The short name of a key of `acme/orders`, whose text lies in `orders.key`.
fn making_and_reading(world: &World) -> String {
    let told = world.ended("key create acme/orders --permission orders:read --permission orders:write --owner shop", 0);
    assert!(told.out.starts_with("acme_orders_") && told.out.lines().count() == 1, "only the text: {}", told.out);
    assert!(told.err.contains("not shown again"), "{}", told.err);
    assert!(!told.err.contains(told.out.trim()), "the text is on standard output only");

    let told = world.ended("key create acme/orders --dry-run --permission orders:read", 0);
    assert!(told.err.contains("Nothing was changed") && !told.out.contains("acme_orders_"), "{told:?}");

    let line = "key create acme/orders --permission orders:read --permission orders:write --owner shop --lifetime 1h \
                --display-name nightly --metadata team=a --key-text-file FOLDER/orders.key --output json";
    let made: Value = serde_json::from_str(&world.done(line)).expect("JSON");
    assert_eq!(made.get("keyText"), None, "it is in the file");
    let path = world.file("orders.key");
    assert_eq!(fs::metadata(&path).expect("it was written").permissions().mode() & 0o777, 0o600);
    world.done("validate FOLDER/orders.key");
    let input = fs::read_to_string(&path).expect("it was written");
    let told = world.run_with("validate --permission-query orders:write -o yaml", &[], &input);
    assert!(told.code == 0 && told.out.starts_with("outcome: VALID\n"), "{told:?}");

    let full = made["key"]["name"].as_str().expect("it has a name").to_owned();
    assert_eq!(world.json(&format!("key show {full}"))["metadata"]["team"], "a");
    let listed = world.done("key list acme/orders --owner shop --state active --order-by 'create_time desc' --limit 1");
    assert!(listed.contains("nightly") && listed.lines().count() == 2, "{listed}");
    full.replace("tenants/", "").replace("keyspaces/", "").replace("keys/", "")
}

fn changing(world: &World, key: &str) {
    world.done(&format!("key update {key} --purpose reports --clear metadata"));
    let shown = world.json(&format!("key show {key}"));
    assert_eq!((&shown["purpose"], shown.get("metadata")), (&Value::from("reports"), None));

    let outcome = |question: &str| {
        let told = world.run(&format!("validate FOLDER/orders.key --fully-consistent {question} -o json"));
        let answer: Value = serde_json::from_str(&told.out).expect("JSON");
        answer["outcome"].as_str().expect("a word").to_owned()
    };
    world.done(&format!("key suspend {key} --reason-text 'looked at'"));
    assert_eq!(outcome(""), "SUSPENDED");
    world.done(&format!("key resume {key}"));
    assert_eq!(outcome(""), "VALID");
    world.done(&format!("key restrict {key} --permission orders:read --for 10m"));
    assert_eq!(outcome("-p orders:write"), "INSUFFICIENT_PERMISSIONS");
    world.done(&format!("key resume {key} --reason-text 'nothing was wrong'"));
    assert_eq!(outcome("-p orders:write"), "VALID");
}

fn rotating(world: &World, key: &str) {
    let rotate = |more: &str| {
        let told = world.ended(&format!("key rotate {key} --key-text-file FOLDER/next.key --force -o json {more}"), 0);
        let answer: Value = serde_json::from_str(&told.out).expect("JSON");
        answer["rotation"]["name"].as_str().expect("it has a name").to_owned()
    };
    let first = rotate("--overlap 1h");
    assert_eq!(world.json(&format!("rotation show {first}"))["state"], "OVERLAP");
    for text in ["orders.key", "next.key"] {
        world.done(&format!("validate FOLDER/{text} --fully-consistent"));
    }
    assert!(
        world.json("validate FOLDER/orders.key --fully-consistent").get("rotation").is_some(),
        "the old one is told"
    );
    world.ended(&format!("key rotate {key}"), 1);
    assert!(world.done("rotation list acme/orders").contains("OVERLAP"));
    world.done(&format!("rotation roll-back {first} --overlap 0s --reason-text 'not delivered'"));
    world.ended("validate FOLDER/next.key --fully-consistent", 3);

    let standby = world.json(&format!("rotation prepare {key} --key-text-file FOLDER/standby.key"));
    let name = standby["rotation"]["name"].as_str().expect("it has a name");
    world.ended("validate FOLDER/standby.key --fully-consistent", 3);
    world.done(&format!("rotation cancel {name} --reason-text 'not needed'"));

    let second = rotate("--overlap 1h");
    world.done(&format!("rotation complete {second}"));
    world.ended("validate FOLDER/orders.key --fully-consistent", 3);
    world.done("validate FOLDER/next.key --fully-consistent");
    assert!(world.done(&format!("rotation list {key}")).contains("ROLLED_BACK"));
}

fn revoking(world: &World, key: &str) {
    let told = world.ended(&format!("key revoke {key} --reason unused --dry-run"), 0);
    assert!(told.out.contains("versions"), "{}", told.out);
    assert!(told.err.contains("Nothing was changed"), "{}", told.err);
    world.done("validate FOLDER/next.key --fully-consistent");
    let told = world.ended(&format!("key revoke {key} --reason compromised --reason-text 'found in a log'"), 0);
    assert!(told.err.contains(&format!("REVOKED: {key}; 1 of 1 replicas")), "{}", told.err);

    // Nobody takes away what they stand on without saying so.
    let own = world.json("key list system/management --owner system/root")["keys"][0]["name"].clone();
    let own = own.as_str().expect("it has a name");
    for deed in ["revoke --reason unused", "suspend"] {
        let told = world.ended(&format!("key {deed} {own}"), 2);
        assert!(told.err.contains("that you use now") && told.err.contains("--yes"), "{}", told.err);
    }
    world.ended("validate FOLDER/next.key --fully-consistent", 3);

    // Whoever holds a key may end it, without an identity.
    world.done("key create acme/orders --key-text-file FOLDER/own.key");
    let told = world.run_with("key revoke --key-text-file FOLDER/own.key", &[("LATCHKEY_KEY_FILE", "")], "");
    assert_eq!(told.code, 0, "{}", told.err);
    world.ended("validate FOLDER/own.key --fully-consistent", 3);

    // On one replica alone, for the day without a quorum; with one, the audit log has it at once.
    let made = world.json("key create acme/orders --key-text-file FOLDER/local.key");
    let local = made["key"]["name"].as_str().expect("it has a name").to_owned();
    let deny = format!("key deny-locally {local} --reason compromised --then nothing");
    assert!(world.ended(&deny, 2).err.contains("--yes"));
    assert_eq!(world.json(&format!("{deny} --yes"))["recorded"], true);
    assert_eq!(world.json("key local-denials")["denials"][0]["name"], local.as_str());
    assert!(world.done("key local-denials").contains("COMPROMISED"));
    let denied = world.ended("validate FOLDER/local.key --output json", 3).out;
    assert!(denied.contains("SUSPENDED"), "{denied}");
    assert!(world.ended("doctor", 3).out.contains("denies"), "doctor does not forget it");
    assert_eq!(world.json(&format!("key allow-locally {local}"))["wasDenied"], true);
    world.done("validate FOLDER/local.key");
    assert!(world.done("key local-denials").contains("denies no key"));

    for _ in 0..3 {
        world.done("key create acme/billing --owner warehouse --key-text-file FOLDER/many.key --force");
    }
    let scope = "key revoke-all --scope tenants/acme/owners/warehouse --reason owner-left";
    assert!(world.done(&format!("{scope} --dry-run")).contains('3'));
    let told = world.ended(scope, 2);
    assert!(told.err.contains("3 keys") && told.err.contains("--yes"), "{}", told.err);
    world.done("validate FOLDER/many.key --fully-consistent");
    world.done(&format!("{scope} --yes"));
    world.ended("validate FOLDER/many.key --fully-consistent", 3);

    world.done("key create acme/billing --display-name 'batch 1' --key-text-file FOLDER/batch.key");
    let filter = "key revoke-all --keyspace acme/billing --filter 'display_name = \"batch*\"' --reason unused --yes";
    assert_eq!(world.json(filter)["keyCount"], "1");
    world.ended("validate FOLDER/batch.key --fully-consistent", 3);
}

fn auditing(world: &World) {
    // What was done a moment ago is stored a moment later.
    let mut listed = String::new();
    for _ in 0..100 {
        listed = world.done("audit list acme --action 'key.*' --limit 0");
        if listed.contains("found in a log") {
            break;
        }
    }
    assert!(listed.contains("key.created") && listed.contains("system/root"), "{listed}");
    assert!(listed.contains("found in a log"), "{listed}");
    assert!(world.done("audit list acme --since 1h").contains("found in a log"));
    let entries = world.json("audit list --oldest-first --limit 5");
    assert_eq!(entries["entries"].as_array().map(Vec::len), Some(5), "{entries}");

    // It ends when its reader does.
    let program = env!("CARGO_BIN_EXE_latchkey");
    let script = format!("{program} audit tail --from-sequence 0 --output json | head -n 3");
    let tailed = world.run_with(&format!("run --key-text-file FOLDER/own.key -- sh -c '{script}'"), &[], "");
    assert_eq!((tailed.code, tailed.out.lines().count()), (0, 3), "{tailed:?}");
    for line in tailed.out.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|entry| entry.get("action").is_some()), "{line}");
    }
    world.ended("audit tail --filter nonsense", 2);
    assert!(world.done("audit exports").contains("No sink is set up."));
}

fn running(world: &World) {
    let told = world.ended("run --keyspace acme/orders --permission orders:read --env K -- sh -c 'echo $K; exit 9'", 9);
    fs::write(world.file("ran.key"), &told.out).expect("it can be written");
    assert!(told.out.starts_with("acme_orders_"), "{told:?}");
    let told = world.ended("validate FOLDER/ran.key --fully-consistent -o json", 3);
    assert!(told.out.contains("REVOKED"), "{}", told.out);
    world.ended("run --key-text-file FOLDER/ran.key -- /nothing/there", 127);
    let told = world.ended("run --keyspace acme/orders -- no-such-command", 127);
    assert!(told.err.contains("no-such-command"), "{}", told.err);
}

fn profiles(world: &World) {
    let alone = [("LATCHKEY_KEY_FILE", ""), ("LATCHKEY_ISSUANCE_ADDRESS", "")];
    world.done("login --profile gateway --key-file SEED/acme.gateway.key");
    let told = world.run_with("--profile gateway validate SEED/valid.key", &alone, "");
    assert_eq!(told.code, 0, "{}", told.err);
    let told = world.run_with("--profile gateway key list acme/orders", &alone, "");
    assert_eq!(told.code, 5, "a validator reads nothing: {}", told.err);
    assert!(told.err.contains("do: ask somebody"), "{}", told.err);

    let file = world.file(".config/latchkey/config.toml");
    assert_eq!(fs::metadata(&file).expect("it was written").permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let told = world.ended("tenant list", 2);
    assert!(told.err.contains("chmod 600"), "{}", told.err);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let told = world.ended("logout --profile gateway", 0);
    assert!(told.err.contains("gateway"), "{}", told.err);
    world.ended("logout --profile gateway", 4);
    assert!(!file.exists(), "nothing is left in it");

    let wrong = fs::read_to_string(world.file("dev/secrets/seed/unknown.key")).expect("the seed wrote it");
    let told = world.run_with("login --key-file -", &[], &wrong);
    assert_eq!(told.code, 5, "a key of nobody is not kept: {}", told.err);
    assert!(!told.err.contains(wrong.trim()), "{}", told.err);
}

fn looking_around(world: &World) {
    let status = world.done("cluster show");
    assert!(status.contains("SERVING") && status.contains("leader"), "{status}");
    let told = world.ended("doctor", 0);
    assert!(told.err.contains("All is well") && told.out.contains("system/root"), "{told:?}");
    let told = world.ended("doctor --audit-address 127.0.0.1:1 --output json", 3);
    assert!(told.out.contains("\"well\": false") && told.out.contains("start audit"), "{}", told.out);

    assert!(world.done("completions bash").contains("revoke-all"));
    world.ended("man FOLDER/man", 0);
    assert!(world.file("man/latchkey-key-rotate.1").exists());
}

fn replicas(world: &World) {
    let nine = "9 --region lab --address replica-9.invalid:7720 --raft-address replica-9.invalid:7721";
    let told = world.ended(&format!("cluster add {nine} --dry-run"), 0);
    assert!(told.err.contains("Nothing was changed"), "{}", told.err);
    assert!(!world.done("cluster show").contains("replica-9"));
    world.done(&format!("cluster add {nine} --wait 0s"));
    let told = world.ended(&format!("cluster add {nine}"), 1);
    assert!(told.err.contains("ALREADY_EXISTS"), "an id is used once: {}", told.err);
    assert!(world.done("cluster show").contains("replica-9"));

    let told = world.ended("cluster promote 9", 1);
    assert!(told.err.contains("MEMBERSHIP_UNSAFE") && told.err.contains("not heard"), "{}", told.err);
    let told = world.ended("cluster demote 1", 1);
    assert!(told.err.contains("REPLICA_STATE") && told.err.contains("another voter"), "{}", told.err);
    world.ended("cluster transfer 9", 1);
    world.done("cluster transfer 1 --dry-run");

    let told = world.ended("cluster begin-audit-log --dry-run", 1);
    assert!(told.err.contains("AUDIT_LOG_NOT_LOST") && told.err.contains("--force"), "{}", told.err);

    let told = world.ended("replica rebuild 9 --id 10 --dry-run", 0);
    assert!(told.err.contains("add replica 10") && told.err.contains("remove replica 9"), "{}", told.err);
    world.ended("replica rebuild 7 --id 10 --dry-run", 2);

    let told = world.ended("cluster remove 9", 2);
    assert!(told.err.contains("finally") && told.err.contains("--yes"), "nobody said yes: {}", told.err);
    let told = world.ended("cluster remove 9 --yes", 0);
    assert!(told.err.contains("Replica 9 is gone"), "{}", told.err);
    assert!(world.done("cluster show").contains("RETIRED"));
    world.ended(&format!("cluster add {nine}"), 1);
}

fn refusals(world: &World) {
    let told = world.ended("key show acme/orders/0000000000000000", 4);
    assert!(told.err.contains("NOT_FOUND") && told.err.contains("do: latchkey key list"), "{}", told.err);
    let told = world.ended("key create acme/orders --permission billing:read", 1);
    assert!(told.err.contains("PERMISSION_NOT_ALLOWED") && told.err.contains("do: choose"), "{}", told.err);
    let told = world.ended("key create acme/orders --permission 'not a word' --network nowhere", 2);
    assert!(told.err.contains("field permissions[0]") && told.err.contains("field networks[0]"), "{}", told.err);
    let told = world.ended("key create acme/orders --key-text-file FOLDER/no/such/folder/key", 2);
    assert!(told.err.contains("cannot write"), "and no key is made whose text would be lost: {}", told.err);
    let told = world.ended("key create orders", 2);
    assert!(told.err.contains("TENANT/KEYSPACE") && told.err.contains("LATCHKEY_TENANT"), "{}", told.err);
    let told = world.ended("tenant list --issuance-address 127.0.0.1:1", 6);
    assert!(told.err.contains("nobody answers") && told.err.contains("--issuance-address"), "{}", told.err);
    let told = world.ended("tenant list --issuance-address 127.0.0.1:1 --output json", 6);
    assert_eq!(serde_json::from_str::<Value>(&told.err).expect("JSON")["error"]["exit"], 6);
    let told = world.run_with("tenant list", &[("LATCHKEY_KEY_FILE", "")], "");
    assert!(told.code == 5 && told.err.contains("IDENTITY_MISSING") && told.err.contains("login"), "{told:?}");
    world.ended("key frobnicate", 2);
}

/// What an operator does on his own machine, and to one process.
fn operating(world: &World) {
    let env = fs::read_to_string(world.file("dev/env")).expect("dev wrote it");
    let validation = env.lines().find(|line| line.contains("LATCHKEY_VALIDATION_ADDRESS=")).expect("it is exported");
    let port = validation.trim_matches('\'').rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let metrics = format!("127.0.0.1:{}", port.expect("a port") + 9);
    world.done(&format!("health {metrics} latchkey.validate"));
    world.ended(&format!("health {metrics} latchkey.nothing"), 4);

    world.done("backup create --out FOLDER/one.backup --verify --kek-file FOLDER/dev/secrets/kek");
    world.ended("backup create --out FOLDER/one.backup", 2);
    assert!(world.done("backup show FOLDER/one.backup").contains("epoch"));
    world.done("backup verify FOLDER/one.backup --kek-file FOLDER/dev/secrets/kek");
    let file = world.file("one.backup");
    let mut bytes = fs::read(&file).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(world.file("two.backup"), bytes).expect("it is ours");
    assert_ne!(world.run("backup show FOLDER/two.backup").code, 0, "a flipped bit is told");

    world.done("pki init --trust-domain latchkey.example --folder FOLDER/pki");
    world.done("pki issue --folder FOLDER/pki --role replica/3 --out FOLDER/issued");
    assert!(world.done("pki show FOLDER/issued/replica-3.pem").contains("spiffe://latchkey.example/replica/3"));
    world.done("pki renew FOLDER/issued/replica-3.pem --folder FOLDER/pki");

    assert!(world.done("plan --keys 1000000").contains("memory"));
}
