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
    let told = mistakes(file, &[("LATCHKEY_LISTEN", "nowhere")], &[]);
    let begins = [
        "node.id (\"one\", ",
        "node.region is not set, expected a word such as eu-west-1; set it in the file, or as LATCHKEY_NODE__REGION",
        "node.data_folder is not set",
        "listen (\"nowhere\", LATCHKEY_LISTEN) must be an address and a port",
        "raft.election_min_ms (300) must be at least 3 x raft.heartbeat_ms (150); raise the first or lower the second",
        "kek_file is not set",
        "colour (",
        "raft.hartbeat_ms (",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    for (mistake, begin) in told.iter().zip(begins) {
        assert!(mistake.starts_with(begin), "{mistake:?} should begin with {begin:?}");
    }
    assert!(told[7].ends_with("is no setting; did you mean raft.heartbeat_ms?"), "{}", told[7]);
}

#[test]
fn the_value_of_an_unknown_setting_is_not_repeated() {
    let told = mistakes(&format!("cluster_secret = \"hunter2\"\n{COMPLETE}"), &[], &[]);
    assert_eq!(told.len(), 1);
    assert!(!told[0].contains("hunter2") && told[0].ends_with("did you mean cluster_secret_file?"), "{told:?}");
}

#[test]
fn an_election_without_anything_to_draw_from_is_refused_before_raft_does() {
    let told = mistakes(COMPLETE, &[], &[("raft.election_min_ms", "1200"), ("raft.election_max_ms", "1200")]);
    let expected = "raft.election_max_ms (1200) must be more than raft.election_min_ms (1200); raise the first or lower \
                    the second";
    assert_eq!(told, [expected]);
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

    let told = mistakes(COMPLETE, &[], &[("kek_files_previous", "/etc/latchkey/old, /var/lib/latchkey/kek")]);
    assert!(told[0].starts_with("kek_files_previous (/var/lib/latchkey/kek) must not lie in"), "{told:?}");
    assert_eq!(told.len(), 1);
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
    assert_eq!(missing.0.len(), 5, "and the four required settings: {missing}");

    let broken = mistakes("[node]\nid = = 1\n", &[], &[]);
    assert!(broken[0].contains("is no TOML at line 2"), "{broken:?}");
}

const TLS: &str = r#"
[tls]
certificate_file = "/etc/latchkey/replica-1.pem"
key_file = "/etc/latchkey/replica-1.key"
trust_file = "/etc/latchkey/trust.pem"
trust_domain = "latchkey.example"
"#;

#[test]
fn off_loopback_nothing_is_served_or_dialled_without_tls() {
    let member = "[[members]]\nid = 1\nregion = \"eu\"\napi_address = \"replica-1.example:7720\"\n\
                  raft_address = \"10.0.0.1:7721\"\n";
    let flags = [("listen", "0.0.0.0:7720"), ("raft.listen", "[::]:7721"), ("metrics_listen", "10.0.0.1:7729")];
    let told = mistakes(&format!("{COMPLETE}{member}"), &[], &flags);
    let begins = [
        "listen (0.0.0.0:7720) must be on loopback where there is no TLS; use 127.0.0.1 or [::1], or set tls.",
        "raft.listen ([::]:7721) must be on loopback",
        "metrics_listen (10.0.0.1:7729) must be on loopback",
        "members[0].api_address (replica-1.example:7720) must be on loopback",
        "members[0].raft_address (10.0.0.1:7721) must be on loopback",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    for (mistake, begin) in told.iter().zip(begins) {
        assert!(mistake.starts_with(begin), "{mistake:?} should begin with {begin:?}");
    }
    let settings = load(&format!("{COMPLETE}{member}{TLS}"), &[], &flags).unwrap();
    assert!(settings.tls.is_on() && !settings.listen.ip().is_loopback());
}

#[test]
fn certificates_take_the_place_of_the_secret_and_one_of_both_must_be() {
    let complete = COMPLETE.replace("cluster_secret_file", "#");
    let told = mistakes(&complete, &[], &[]);
    assert!(told[0].starts_with("cluster_secret_file (empty) must be set where there is no TLS"), "{told:?}");
    assert!(load(&format!("{complete}{TLS}"), &[], &[]).unwrap().cluster_secret_file.is_none());
}

#[test]
fn half_of_the_certificate_settings_is_refused_and_so_is_a_key_in_the_data_folder() {
    let told = mistakes(COMPLETE, &[("LATCHKEY_TLS__KEY_FILE", "/k")], &[]);
    let names = ["tls.certificate_file", "tls.trust_file", "tls.trust_domain"];
    assert_eq!(told.len(), names.len(), "{told:?}");
    for (mistake, name) in told.iter().zip(names) {
        assert!(mistake.starts_with(&format!("{name} (empty) must be set where another of the four is")), "{mistake}");
    }
    let told = mistakes(&format!("{COMPLETE}{TLS}"), &[], &[("tls.key_file", "/var/lib/latchkey/key")]);
    assert!(told[0].starts_with("tls.key_file (/var/lib/latchkey/key) must not lie in node.data_folder"), "{told:?}");
    let told = mistakes(&format!("{COMPLETE}{TLS}"), &[], &[("tls.trust_domain", "Latchkey")]);
    assert!(told[0].contains("must be a trust domain such as latchkey.example"), "{told:?}");
}
