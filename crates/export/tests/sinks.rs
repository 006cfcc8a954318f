//! What sinks send, and what they make of the answers.

#![allow(clippy::unwrap_used)]

mod support;

use latchkey_export::sink::{open, open_observing};
use latchkey_export::{Access, Item as _, Record, SetAside, SinkError, Taken, Usage};
use latchkey_wire::pb::v1;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::server::Server;
use support::{access, record, settings, usage};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

const NOW: u64 = 1_795_420_800;

fn records(sequences: std::ops::Range<u64>) -> Vec<Record> {
    sequences.map(|sequence| record(sequence, "key.created")).collect()
}

fn secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn elasticsearch_creates_each_entry_once_under_its_id() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let token = secret(folder.path(), "token", "c2VjcmV0\n");
    let sink =
        open(&settings(&format!("kind = 'elasticsearch'\nurl = 'http://{}'\ntoken_file = '{token}'", server.address)));
    assert_eq!(sink.send(&records(0..2), NOW).await.unwrap(), Taken::default());
    let [asked] = &server.asked()[..] else { panic!("one call") };
    assert!(asked.head.starts_with("POST /logs-latchkey.audit-default/_bulk?filter_path="), "{}", asked.head);
    assert_eq!(asked.header("authorization"), Some("ApiKey c2VjcmV0"));
    let lines = asked.lines();
    assert_eq!(lines[2], json!({"create": {"_id": "0123456789abcdef0123456789abcdef-1-abababab"}}));
    assert_eq!((lines.len(), &lines[3]["event"]["sequence"]), (4, &json!(1)));
    assert!(asked.body.ends_with(b"\n"), "or the last one is not read");
}

#[tokio::test]
async fn an_item_that_elasticsearch_will_never_take_is_set_aside_and_what_is_there_already_is_well() {
    let server = Server::start().await;
    let sink = open(&settings(&format!("kind = 'elasticsearch'\nurl = 'http://{}'", server.address)));
    let item = |status: u16, word: &str| json!({"create": {"status": status, "error": {"type": word}}});
    let items = [item(201, ""), item(409, "version_conflict_engine_exception"), item(400, "mapper_parsing_exception")];
    server.answers(200, &json!({"errors": true, "items": items}).to_string());
    let taken = sink.send(&records(0..3), NOW).await.unwrap();
    let reason = "mapper_parsing_exception (status 400)".to_owned();
    assert_eq!(taken.set_aside, [SetAside { sequence: 2, reason }]);
    // One that can be taken later: nothing is set aside before all others are settled.
    let items = [item(400, "mapper_parsing_exception"), item(429, "es_rejected_execution_exception")];
    server.answers(200, &json!({"errors": true, "items": items}).to_string());
    let busy = sink.send(&records(0..2), NOW).await.unwrap_err();
    assert!(matches!(busy, SinkError::Busy { count: 1, .. }), "{busy}");
    for (status, body) in [(200, "it works"), (200, r#"{"errors":true,"items":[]}"#)] {
        server.answers(status, body);
        let other = sink.send(&records(0..2), NOW).await.unwrap_err();
        assert!(matches!(other, SinkError::Answer { .. }), "{other}");
    }
    server.answers(413, "");
    assert!(matches!(sink.send(&records(0..2), NOW).await, Err(SinkError::TooLarge { taken: 0, .. })));
    server.answers(429, "secret words of ours");
    let refused = sink.send(&records(0..2), NOW).await.unwrap_err();
    assert_eq!(refused.retry_after().unwrap().as_secs(), 7);
    assert!(refused.told().contains("429") && !refused.told().contains("secret"), "{}", refused.told());
}

#[tokio::test]
async fn a_webhook_gets_events_in_batches_singly_or_as_headers_and_each_is_signed() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let key = secret(folder.path(), "key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let common = format!("kind = 'http'\nurl = 'http://{}/hook?a=b'\nsigning_key_files = ['{key}']\n", server.address);
    let sink = |more: &str| open(&settings(&format!("{common}{more}")));
    sink("").send(&records(0..2), NOW).await.unwrap();
    sink("batch_entries_max = 1").send(&records(0..2), NOW).await.unwrap();
    sink("binary = true").send(&records(7..8), NOW).await.unwrap();
    sink("format = 'ocsf'").send(&records(0..2), NOW).await.unwrap();
    let asked = server.asked();
    let types: Vec<_> = asked.iter().map(|asked| asked.header("content-type").unwrap()).collect();
    let single = "application/cloudevents+json";
    assert_eq!(
        types,
        ["application/cloudevents-batch+json", single, single, "application/json", "application/x-ndjson"]
    );
    assert!(asked.iter().all(|asked| asked.head.starts_with("POST /hook?a=b ")));
    let ids: Vec<_> =
        asked.iter().map(|asked| asked.header("webhook-id").unwrap().rsplit_once("cdef-").unwrap().1).collect();
    let ids: Vec<_> = ids.iter().map(|id| id.replace("-abababab", "")).collect();
    assert_eq!(ids, ["0-1", "0", "1", "7", "0-1"], "the same for each attempt");
    assert!(asked.iter().all(|asked| asked.header("webhook-signature").unwrap().starts_with("v1,")));
    assert_eq!(asked[3].header("ce-type"), Some("example.latchkey.key.created"));
    assert_eq!(asked[3].header("ce-sequence"), Some("00000000000000000007"));
    assert_eq!(serde_json::from_slice::<Value>(&asked[3].body).unwrap()["sequence"], "7");
}

#[tokio::test]
async fn what_a_webhook_took_before_an_error_is_told_with_it() {
    let server = Server::start().await;
    let sink = open(&settings(&format!("kind = 'http'\nurl = 'http://{}'\nbatch_entries_max = 1", server.address)));
    for status in [200, 200, 503] {
        server.answers(status, "");
    }
    let refused = sink.send(&records(0..4), NOW).await.unwrap_err();
    assert_eq!((refused.taken(), server.asked().len()), (2, 3), "{refused}");
    // What it will never take is not among what it took: nobody would write that down. Nor is anything called behind it.
    for status in [200, 400] {
        server.answers(status, "");
    }
    let refused = sink.send(&records(0..4), NOW).await.unwrap_err();
    assert!(matches!(refused, SinkError::Wrong { taken: 1, .. }), "a smaller batch has it: {refused}");
    assert_eq!(server.asked().len(), 2);
    server.answers(422, "");
    let taken = sink.send(&records(4..5), NOW).await.unwrap();
    assert_eq!(taken.set_aside, [SetAside { sequence: 4, reason: "status 422".to_owned() }]);
}

#[tokio::test]
async fn clickhouse_gets_one_insert_with_a_token_that_tells_a_repeat() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let password = secret(folder.path(), "password", "p\n");
    let text = format!(
        "kind = 'clickhouse'\nurl = 'http://{}'\ntable = 'audit.entries'\nusername = 'u'\npassword_file = '{password}'",
        server.address
    );
    let sink = open(&settings(&text));
    for _ in 0..2 {
        sink.send(&records(3..5), NOW).await.unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked[0].head.lines().next(), asked[1].head.lines().next());
    assert!(asked[0].head.contains("INSERT%20INTO%20audit.entries%20FORMAT%20JSONEachRow"), "{}", asked[0].head);
    assert!(
        asked[0].head.contains("insert_deduplication_token=0123456789abcdef0123456789abcdef-3-abababab-4-abababab ")
    );
    assert_eq!((asked[0].header("authorization"), asked[0].lines().len()), (Some("Basic dTpw"), 2));
}

#[tokio::test]
async fn usage_is_rows_for_clickhouse_and_lines_for_a_webhook_and_files_and_an_id_tells_a_repeat() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let rows = [usage(7, 0), usage(7, 1)];
    let usage_to = |text: &str| open_observing::<Usage>(&settings(&format!("stream = 'usage'\n{text}"))).unwrap();
    let house = format!("kind = 'clickhouse'\nurl = 'http://{}'\ntable = 'latchkey.usage'", server.address);
    usage_to(&house).send(&rows, NOW).await.unwrap();
    usage_to(&format!("kind = 'http'\nurl = 'http://{}/hook'", server.address)).send(&rows, NOW).await.unwrap();
    usage_to(&format!("kind = 'file'\nfolder = '{}'", folder.path().display())).send(&rows, NOW).await.unwrap();
    let asked = server.asked();
    assert!(asked[0].head.contains("INSERT%20INTO%20latchkey.usage%20FORMAT%20JSONEachRow"), "{}", asked[0].head);
    let token = format!("insert_deduplication_token={}-2-beef-47-3-1 ", rows[0].id());
    assert!(asked[0].head.contains(&token), "{}", asked[0].head);
    assert_eq!(asked[1].header("content-type"), Some("application/x-ndjson"));
    assert_eq!(asked[0].body, asked[1].body);
    let file = fs::read(folder.path().join("usage-00000000000000000007.open")).unwrap();
    assert_eq!(file, asked[0].body);
    let lines = asked[0].lines();
    assert_eq!((&lines[0]["requests"], &lines[0]["denials"]), (&json!(12), &json!(2)));
    assert_ne!(lines[0]["id"], lines[1]["id"]);
}

#[tokio::test]
async fn lines_of_the_access_log_go_to_a_data_stream_of_their_own() {
    let server = Server::start().await;
    let text = format!("stream = 'access'\nkind = 'elasticsearch'\nurl = 'http://{}'", server.address);
    let line = access(7, v1::access::Kind::Denied, v1::Outcome::Expired);
    open_observing::<Access>(&settings(&text)).unwrap().send(std::slice::from_ref(&line), NOW).await.unwrap();
    let [asked] = &server.asked()[..] else { panic!("one call") };
    assert!(asked.head.starts_with("POST /logs-latchkey.access-default/_bulk"), "{}", asked.head);
    assert_eq!(asked.lines()[0], json!({"create": {"_id": line.id()}}));
}

#[tokio::test]
async fn a_file_is_whole_when_it_has_its_last_name_and_what_a_crash_left_of_a_line_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "kind = 'file'\nfolder = '{}'\nrotate_bytes = 600\nrotate_s = 60\nfiles_max = 2",
        folder.path().display()
    );
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let sink = open(&settings(&text));
    sink.send(&records(0..1), NOW).await.unwrap();
    assert_eq!(names(), ["audit-00000000000000000000.open"]);
    // A crash in the middle of a line.
    let path = folder.path().join("audit-00000000000000000000.open");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"{\"half"].concat()).unwrap();
    let sink = open(&settings(&text));
    sink.send(&records(1..2), NOW).await.unwrap();
    let lines = fs::read_to_string(&path).unwrap();
    let sequences: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sequences, ["0", "1"]);
    // By size, by age, and no more files than asked for.
    sink.send(&records(2..4), NOW).await.unwrap();
    assert_eq!(names(), ["audit-00000000000000000000.jsonl", "audit-00000000000000000002.open"]);
    sink.send(&records(4..5), NOW + 59).await.unwrap();
    for (sequence, now) in [(5, NOW + 200), (6, NOW + 300)] {
        sink.send(&records(sequence..sequence + 1), now).await.unwrap();
    }
    let whole = names().into_iter().filter(|name| name.ends_with(".jsonl")).collect::<Vec<_>>();
    assert_eq!(whole.len(), 2, "{:?}", names());
    let gone = open(&settings(&text.replace(&folder.path().display().to_string(), "/nowhere")));
    assert!(gone.send(&records(0..1), NOW).await.unwrap_err().told().contains("/nowhere"));
}

#[tokio::test]
async fn the_file_that_was_written_last_stays_where_sequences_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(format!("audit-{name}.jsonl"));
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW / 2);
    for (name, after) in [("00000000000000004711", 0), ("00000000000000005000", 1)] {
        let file = fs::File::create(path(name)).unwrap();
        file.set_modified(old + std::time::Duration::from_secs(after)).unwrap();
    }
    let text = format!("kind = 'file'\nfolder = '{}'\nrotate_s = 60\nfiles_max = 2", folder.path().display());
    let sink = open(&settings(&text));
    sink.send(&records(0..1), NOW).await.unwrap();
    sink.send(&records(1..2), NOW + 60).await.unwrap();
    assert!(path("00000000000000000000").exists(), "it was written last");
    assert!(path("00000000000000005000").exists() && !path("00000000000000004711").exists(), "it was written first");
}

#[tokio::test]
async fn the_query_of_a_url_is_sent_and_never_told() {
    let server = Server::start().await;
    for (kind, first) in [
        ("elasticsearch", "POST /in/logs-latchkey.audit-default/_bulk?token=x&filter_path="),
        ("http", "POST /in?token=x "),
        ("clickhouse", "POST /in?token=x&query=INSERT"),
    ] {
        let table = if kind == "clickhouse" { "table = 'a.b'" } else { "" };
        let sink =
            |address: &str| open(&settings(&format!("kind = '{kind}'\nurl = 'http://{address}/in?token=x'\n{table}")));
        let alive = sink(&server.address);
        let _ = alive.send(&records(0..1), NOW).await;
        let asked = server.asked().pop().unwrap();
        assert!(asked.head.starts_with(first), "{}", asked.head);
        if kind == "elasticsearch" {
            let item = json!({"create": {"status": 400, "error": {"type": "token=x"}}});
            server.answers(200, &json!({"errors": true, "items": [item]}).to_string());
            let aside = alive.send(&records(0..1), NOW).await.unwrap().set_aside;
            assert_eq!(aside[0].reason, "no reason (status 400)", "what a server says may repeat what we sent");
        }
        server.answers(403, "token=x");
        let refused = alive.send(&records(0..1), NOW).await.unwrap_err();
        let dead = sink("127.0.0.1:1").send(&records(0..1), NOW).await.unwrap_err();
        for told in [format!("{alive:?} {refused:?} {dead:?}"), refused.told(), dead.told()] {
            assert!(!told.contains("token=x"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_syslog_daemon_that_never_ends_the_connection_is_not_believed_to_have_read() {
    let daemon = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = daemon.local_addr().unwrap();
    let text = |limit| format!("kind = 'syslog'\nserver = '{address}'\ntls = false\ntime_limit_s = {limit}");
    // It accepts, and that is all.
    let stuck = tokio::spawn(async move {
        let accepted = daemon.accept().await.unwrap();
        (daemon, accepted)
    });
    let told = open(&settings(&text(1))).send(&records(0..1), NOW).await.unwrap_err();
    assert!(matches!(told, SinkError::Stream { .. }), "{told}");
    assert!(told.told().contains("did not end the connection"), "{}", told.told());
    let (daemon, _) = stuck.await.unwrap();
    // One that reads all and ends it is.
    let reading = tokio::spawn(async move {
        let (mut stream, _) = daemon.accept().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    });
    assert_eq!(open(&settings(&text(30))).send(&records(0..2), NOW).await.unwrap(), Taken::default());
    assert!(reading.await.unwrap().matches("key.created").count() >= 2);
}

#[tokio::test]
async fn nobody_there_is_told_with_what_the_system_says() {
    for text in [
        "kind = 'elasticsearch'\nurl = 'http://127.0.0.1:1'",
        "kind = 'http'\nurl = 'http://127.0.0.1:1'",
        "kind = 'otlp'\nurl = 'http://127.0.0.1:1'",
        "kind = 'syslog'\nserver = '127.0.0.1:1'\ntls = false",
        "kind = 'clickhouse'\nurl = 'http://127.0.0.1:1'\ntable = 'a.b'",
    ] {
        let told = open(&settings(text)).send(&records(0..1), NOW).await.unwrap_err().told();
        assert!(told.contains("127.0.0.1:1") && told.contains("refused"), "{told}");
    }
}
