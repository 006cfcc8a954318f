use std::fs;

use super::*;
use crate::profile::Profile;

const COMPLETE: &str = r#"
cluster_secret_file = "/etc/latchkey/cluster-secret"
kek_file = "/etc/latchkey/kek"

[node]
id = 1
region = "eu-west-1"
data_folder = "/var/lib/latchkey"
"#;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<ValidationSettings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latchkey.toml");
    fs::write(&path, file).unwrap();
    ValidationSettings::load(&Sources { file: Some(path), environment: pairs(environment), flags: pairs(flags) })
}

fn mistakes(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    load(file, environment, flags).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_not_said_has_the_default_that_its_documentation_names() {
    let settings = load(COMPLETE, &[], &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7720");
    assert_eq!(settings.raft.listen.to_string(), "127.0.0.1:7721");
    assert_eq!(settings.metrics_listen.to_string(), "127.0.0.1:7729");
    assert_eq!(settings.raft.profile, Profile::OneSite);
    assert_eq!((settings.raft.heartbeat_ms, settings.raft.staleness_floor_ms), (150, 5_000));
    assert_eq!(settings.telemetry.log_filter, "info,openraft=off");
    assert_eq!(settings.telemetry.otlp_endpoint, None);
    assert!(settings.members.is_empty());
}

#[test]
fn a_profile_moves_all_its_times() {
    let raft = load(COMPLETE, &[("LATCHKEY_RAFT__PROFILE", "wan")], &[]).unwrap().raft;
    assert_eq!((raft.heartbeat_ms, raft.election_min_ms, raft.election_max_ms), (500, 1_500, 3_000));
    assert_eq!((raft.round_trip_ms, raft.staleness_floor_ms), (100, 10_000));
}

#[test]
fn a_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let file = format!("listen = \"127.0.0.1:1\"\nmetrics_listen = \"127.0.0.1:2\"\n{COMPLETE}");
    let environment = [("LATCHKEY_LISTEN", "127.0.0.1:3"), ("LATCHKEY_NODE__ID", "4")];
    let settings = load(&file, &environment, &[("listen", "127.0.0.1:0")]).unwrap();
    assert_eq!(settings.listen.port(), 0);
    assert_eq!(settings.metrics_listen.port(), 2);
    assert_eq!(settings.node.id, 4);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let file = "colour = true\n[node]\nid = \"one\"\n[raft]\nhartbeat_ms = 150\nelection_min_ms = 300\n";
    let told = mistakes(file, &[("LATCHKEY_LISTEN", "0.0.0.0:7720")], &[]);
    let begins = [
        "node.id (\"one\", ",
        "node.region is not set, expected a word such as eu-west-1; set it in the file, or as LATCHKEY_NODE__REGION",
        "node.data_folder is not set",
        "listen (\"0.0.0.0:7720\", LATCHKEY_LISTEN) must be a loopback address",
        "raft.election_min_ms (300) must be at least 3 x raft.heartbeat_ms (150); raise the first or lower the second",
        "cluster_secret_file is not set",
        "kek_file is not set",
        "colour (",
        "raft.hartbeat_ms (",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    for (mistake, begin) in told.iter().zip(begins) {
        assert!(mistake.starts_with(begin), "{mistake:?} should begin with {begin:?}");
    }
    assert!(told[3].contains("mutual TLS, which is not built yet"), "{}", told[3]);
    assert!(told[8].ends_with("is no setting; did you mean raft.heartbeat_ms?"), "{}", told[8]);
}

#[test]
fn the_value_of_an_unknown_setting_is_not_repeated() {
    let told = mistakes(&format!("cluster_secret = \"hunter2\"\n{COMPLETE}"), &[], &[]);
    assert_eq!(told.len(), 1);
    assert!(!told[0].contains("hunter2") && told[0].ends_with("did you mean cluster_secret_file?"), "{told:?}");
}

#[test]
fn a_staleness_below_what_an_election_takes_is_refused_with_all_numbers() {
    let told = mistakes(COMPLETE, &[], &[("raft.staleness_floor_ms", "2000")]);
    let expected = "raft.staleness_floor_ms (2000) must be at least 2 x raft.election_max_ms (1200) + 3 x \
                    raft.heartbeat_ms (150) + 4 x raft.round_trip_ms (5) = 2870; ";
    assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
}

#[test]
fn a_value_that_is_wrong_by_itself_is_not_judged_again_by_its_relations() {
    let told = mistakes(COMPLETE, &[], &[("raft.heartbeat_ms", "soon"), ("raft.election_min_ms", "1")]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("raft.heartbeat_ms (\"soon\", flag) must be a whole number"), "{told:?}");
}

#[test]
fn secrets_in_the_data_folder_and_listeners_on_one_port_are_refused() {
    let flags = [("kek_file", "/var/lib/latchkey/kek"), ("metrics_listen", "127.0.0.1:7720")];
    let told = mistakes(COMPLETE, &[], &flags);
    assert!(told[0].starts_with("kek_file (/var/lib/latchkey/kek) must not lie in node.data_folder"), "{told:?}");
    assert!(
        told[1].starts_with("metrics_listen (127.0.0.1:7720) must differ from listen (127.0.0.1:7720)"),
        "{told:?}"
    );
    assert_eq!(told.len(), 2);
}

#[test]
fn members_are_read_from_the_file_and_this_replica_must_be_among_them() {
    let member = |id: u64| {
        format!(
            "[[members]]\nid = {id}\nregion = \"eu\"\napi_address = \"127.0.0.1:1{id}\"\nraft_address = \"127.0.0.1:2{id}\"\n"
        )
    };
    let settings = load(&format!("{COMPLETE}{}{}", member(1), member(2)), &[], &[]).unwrap();
    assert_eq!(settings.members.iter().map(|member| member.id).collect::<Vec<_>>(), [1, 2]);

    let told = mistakes(&format!("{COMPLETE}{}{}", member(2), member(2)), &[], &[]);
    assert!(told[0].starts_with("members[1].id (2) must be the id of one member only"), "{told:?}");
    assert!(told[1].starts_with("node.id (1) must be among the ids of members ({2})"), "{told:?}");
}

#[test]
fn a_file_that_is_missing_or_broken_is_told_with_the_rest() {
    let sources = Sources { file: Some("/nowhere/latchkey.toml".into()), ..Sources::default() };
    let missing = ValidationSettings::load(&sources).unwrap_err();
    assert!(missing.0[0].to_string().starts_with("/nowhere/latchkey.toml cannot be read"), "{missing}");
    assert_eq!(missing.0.len(), 6, "and the five required settings: {missing}");

    let broken = mistakes("[node]\nid = = 1\n", &[], &[]);
    assert!(broken[0].contains("is no TOML at line 2"), "{broken:?}");
}
