//! People who are told what concerns their keys.

use latchkey_audit::checkpoint::Signing;
use latchkey_audit::exporting::{Exports, SinkStatus};
use latchkey_audit::notices::operators::{Seen, Watched};
use latchkey_audit::notices::{Contacts, Ledger, NoticeSink, Operators, Senders};
use latchkey_config::{AuditSettings, Contact, NoticeSettings, Sources};
use latchkey_domain::UnixMillis;
use latchkey_export::{Record, Sink, SinkError};
use latchkey_wire::pb::v1;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

const KEY: &str = "tenants/acme/keyspaces/live/keys/0Jx5k3f9QmZ2aB7c";
const DAY: u64 = 86_400;

/// A mail server that takes everything, but what is for `full@`.
#[derive(Clone, Default)]
struct Mails {
    taken: Arc<Mutex<Vec<(String, String)>>>,
    /// It hangs up at once.
    is_away: Arc<AtomicBool>,
    /// It does so once it has taken a message.
    leaves: Arc<AtomicBool>,
    /// It never answers who says good-bye.
    clings: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Mails {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mails, address) = (Self::default(), listener.local_addr().unwrap().to_string());
        let serving = mails.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.connections.fetch_add(1, Ordering::Relaxed);
                if serving.is_away.load(Ordering::Relaxed) {
                    continue;
                }
                let serving = serving.clone();
                tokio::spawn(async move { serving.talk(stream).await });
            }
        });
        (mails, address)
    }

    async fn talk(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220-mail.example\r\n220 ready\r\n").await.unwrap();
        let (mut to, mut line) = (String::new(), String::new());
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let answer = match line.split([' ', '\r']).next().unwrap() {
                "EHLO" => "250-mail.example\r\n250 PIPELINING\r\n",
                "RCPT" if line.contains("full@") => "552 full\r\n",
                "RCPT" => {
                    to = line.trim().trim_start_matches("RCPT TO:").to_owned();
                    "250 well\r\n"
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    let mut text = String::new();
                    while !text.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut text).await.unwrap();
                    }
                    self.taken.lock().unwrap().push((to.clone(), text));
                    self.is_away.fetch_or(self.leaves.load(Ordering::Relaxed), Ordering::Relaxed);
                    "250 taken\r\n"
                }
                "QUIT" if self.clings.load(Ordering::Relaxed) => std::future::pending().await,
                _ => "250 well\r\n",
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
            line.clear();
        }
    }

    fn taken(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

struct Known(&'static [&'static str]);
impl Contacts for Known {
    async fn of(&self, about: &str, _: Instant) -> Result<Vec<String>, Status> {
        let all = self.0.iter().map(|&contact| contact.to_owned()).collect();
        if about == KEY { Ok(all) } else { Err(Status::unavailable("away")) }
    }
}

fn settings(mail: &str) -> NoticeSettings {
    let flags = [
        ("data_folder", "/data"),
        ("cluster_secret_file", "/s"),
        ("kek_file", "/k"),
        ("registry_endpoints", "127.0.0.1:1"),
        ("notices.enabled", "true"),
        ("notices.smtp_server", mail),
        ("notices.smtp_tls", "false"),
        ("notices.from", "latchkey@example.com"),
        ("notices.operators", "ops@example.com"),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    AuditSettings::load(&Sources { flags, ..Sources::default() }).unwrap().notices
}

fn record(sequence: u64, action: &str, subject: &str) -> Record {
    let facts = [("due_at_ms".to_owned(), "5\r\n.\r\nRCPT TO:<x@y>".to_owned())].into();
    let (action, subject) = (action.to_owned(), subject.to_owned());
    let entry = v1::Entry { sequence, action, subject, facts, ..v1::Entry::default() };
    Record { entry, leaf: [0; 32], origin: "latchkey/0123".into() }
}

fn sink(mail: &str, contacts: &'static [&'static str], folder: &Path) -> NoticeSink<Known> {
    let settings = settings(mail);
    NoticeSink::new(&settings, Senders::new(&settings), Known(contacts), Ledger::open(folder))
}

#[tokio::test]
async fn the_contacts_of_a_key_are_told_once_a_day_also_over_a_restart() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    let contacts = &["keys@example.com", "mailto:team@example.com", "the keys team"];
    let due = [record(7, "key.rotation_due", KEY), record(8, "key.rotation_due", KEY)];
    let first = sink(&address, contacts, folder.path());
    assert!(first.send(&due, 10 * DAY).await.unwrap().set_aside.is_empty());
    let mut taken = mails.taken();
    taken.sort();
    assert_eq!(
        taken.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(),
        ["<keys@example.com>", "<team@example.com>"]
    );
    let text = &taken[0].1;
    assert!(
        text.contains("Message-ID: <0123-7-00000000@example.com>") && text.contains("is due for a rotation"),
        "{text}"
    );
    assert_eq!(text.matches("\r\n.\r\n").count(), 1, "{text}");
    let again = sink(&address, contacts, folder.path());
    again.send(&due, 10 * DAY + 5).await.unwrap();
    assert!(mails.taken().is_empty());
    // Another kind, and the next day.
    again.send(&[record(9, "rotation.held", &format!("{KEY}/rotations/r1"))], 10 * DAY + 9).await.unwrap();
    assert_eq!(mails.taken().len(), 2);
    again.send(&due[..1], 11 * DAY).await.unwrap();
    assert_eq!(mails.taken().len(), 2);
}

#[tokio::test]
async fn each_notice_of_an_end_is_told_once_however_near_it_is_to_the_one_before() {
    let (mails, address) = Mails::start().await;
    for (action, about) in
        [("key.expires_soon", KEY.to_owned()), ("rotation.ends_in_use", format!("{KEY}/rotations/r1"))]
    {
        let folder = tempfile::tempdir().unwrap();
        let soon = |sequence| record(sequence, action, &about);
        // A day before and an hour before, and the first of them comes again.
        for batch in [&[soon(1)][..], &[soon(1), soon(2)]] {
            sink(&address, &["mailto:a@example.com"], folder.path()).send(batch, DAY).await.unwrap();
            assert_eq!(mails.taken().len(), 1, "{batch:?}");
        }
    }
}

#[tokio::test]
async fn a_contact_that_cannot_be_told_holds_up_nobody() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    // A tenant wrote addresses of our own networks, and one that no server takes.
    let contacts = &[
        "https://127.0.0.1:9/steal",
        "https://localhost:9/",
        "https://169.254.169.254/",
        "https://127.0.0.1:9/<no-path-of-HTTP>`",
        "full@example.com",
        "keys@example.com",
    ];
    let taken = sink(&address, contacts, folder.path()).send(&[record(7, "key.rotation_due", KEY)], DAY).await.unwrap();
    // Once for the entry, however many contacts it has.
    assert_eq!(taken.set_aside.iter().map(|aside| aside.sequence).collect::<Vec<_>>(), [7]);
    assert_eq!(mails.taken().len(), 1);
}

#[tokio::test]
async fn operators_are_told_what_nobody_else_can_be_told() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    let sink = sink(&address, &["the keys team"], folder.path());
    sink.send(&[record(7, "key.rotation_due", KEY), record(8, "key.created", KEY)], DAY).await.unwrap();
    let taken = mails.taken();
    assert_eq!(taken.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), ["<ops@example.com>"]);
    // Who is to be told is not known now: nothing is passed, it comes again.
    let other = KEY.replace("live", "other");
    let error = sink.send(&[record(9, "key.rotation_due", &other)], DAY).await.unwrap_err();
    assert!(matches!(error, SinkError::Stream { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_contacts_fail_uses_up_its_own_patience() {
    let folder = tempfile::tempdir().unwrap();
    // Each attempt fails, and what is waited is the pauses between them.
    let mut settings = settings("127.0.0.1:9");
    settings.webhook_hosts = vec!["127.0.0.1:9".parse::<SocketAddr>().unwrap().into()];
    let sink = NoticeSink::new(
        &settings,
        Senders::new(&settings),
        Known(&["https://127.0.0.1:9/"]),
        Ledger::open(folder.path()),
    );
    let mut reasons = Vec::new();
    for sequence in 0..40 {
        let mut due = record(sequence, "key.rotation_due", KEY);
        due.entry.tenant = "tenants/acme".to_owned();
        reasons.push(sink.send(&[due], DAY).await.unwrap().set_aside.pop().unwrap().reason);
    }
    assert_eq!(reasons[0], "a contact was not told");
    assert_eq!(reasons[39], "the contacts of its tenant took too long in this hour");
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_asked_as_by_one_notice_and_what_was_for_it_comes_again() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    mails.is_away.store(true, Ordering::Relaxed);
    let sink = sink(&address, &["keys@example.com", "team@example.com"], folder.path());
    let kinds = ["key.rotation_due", "rotation.held", "rotation.failed"];
    let due: Vec<_> = (7..).zip(kinds).map(|(sequence, kind)| record(sequence, kind, KEY)).collect();
    let error = sink.send(&due, DAY).await.unwrap_err();
    assert!(matches!(error, SinkError::Mail { .. }) && error.told().contains(&address), "{}", error.told());
    // Six e-mails, each of which would have been tried three times. Two are a machine that stood still for a quarter of a second.
    let connections = mails.connections.load(Ordering::Relaxed);
    assert!(connections <= 2, "{connections} connections");
    mails.is_away.store(false, Ordering::Relaxed);
    while let Err(error) = sink.send(&due, DAY).await {
        tokio::time::sleep(error.retry_after().unwrap()).await;
    }
    assert_eq!(mails.taken().len(), 6);
}

#[tokio::test]
async fn who_was_told_before_midnight_is_not_told_again_since_the_mail_server_was_away_over_it() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    mails.leaves.store(true, Ordering::Relaxed);
    let sink = sink(&address, &["keys@example.com", "team@example.com"], folder.path());
    let due = [record(7, "key.rotation_due", KEY)];
    assert!(matches!(sink.send(&due, 2 * DAY - 1).await, Err(SinkError::Mail { .. })));
    assert_eq!(mails.taken.lock().unwrap().len(), 1);
    mails.leaves.store(false, Ordering::Relaxed);
    mails.is_away.store(false, Ordering::Relaxed);
    while let Err(error) = sink.send(&due, 2 * DAY).await {
        tokio::time::sleep(error.retry_after().unwrap()).await;
    }
    let mut told: Vec<_> = mails.taken().into_iter().map(|(to, _)| to).collect();
    told.sort();
    assert_eq!(told, ["<keys@example.com>", "<team@example.com>"]);
}

#[tokio::test]
async fn a_mail_server_that_has_a_message_and_says_no_good_bye_has_it_once() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    mails.clings.store(true, Ordering::Relaxed);
    let sink = sink(&address, &["keys@example.com"], folder.path());
    let taken = sink.send(&[record(7, "key.rotation_due", KEY)], DAY).await.unwrap();
    assert_eq!((taken.set_aside.len(), mails.taken().len()), (0, 1));
}

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(1_795_420_800_000 + seconds * 1_000)
}

async fn look(operators: &mut Operators, status: SinkStatus, signing: &Signing, halted: Option<&str>, seconds: u64) {
    let sinks = [("elk".to_owned(), status)];
    operators.step(&Seen { sinks: &sinks, signing, follows: true, halted, now: at(seconds) }).await;
}

fn subjects(mails: &Mails) -> Vec<String> {
    let subject = |text: &str| text.lines().find_map(|line| Some(line.strip_prefix("Subject: ")?.to_owned()));
    mails.taken().iter().map(|(_, text)| subject(text).unwrap()).collect()
}

#[tokio::test]
async fn operators_are_told_once_of_what_audit_alone_knows_and_once_that_it_ended_also_over_a_restart() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    let mut settings = settings(&address);
    // One of them cannot be told: that holds up nobody.
    settings.operators.push(Contact::parse("https://127.0.0.1:9/?token=x").unwrap());
    let begin = || Operators::new(&settings, Senders::new(&settings), "latchkey/c1", folder.path());
    let dead = || SinkStatus { failing: Some((at(0), "nobody is there".to_owned())), ..SinkStatus::default() };
    let well = || SinkStatus { well_at: Some(at(0)), ..SinkStatus::default() };
    let signs = Signing { is_on: true, signed: 5, ..Signing::default() };
    let late = Signing { waits: Duration::from_secs(601), refused: Some("another root".to_owned()), ..signs.clone() };
    let mut first = begin();
    look(&mut first, dead(), &signs, None, 899).await;
    assert!(mails.taken().is_empty());
    for seconds in [900, 905, 1_000] {
        look(&mut first, dead(), &signs, None, seconds).await;
    }
    assert_eq!(subjects(&mails), ["the sink elk falls behind, or takes nothing"]);
    look(&mut first, dead(), &late, Some("the log was rolled back"), 1_001).await;
    let told = subjects(&mails);
    assert!(told.len() == 3 && told.iter().all(|subject| subject.starts_with("the audit log ")), "{told:?}");
    drop(first);
    // The next process: nobody knows yet, then all is well, and that for a minute.
    let mut second = begin();
    let begun = Signing { is_on: true, ..Signing::default() };
    look(&mut second, SinkStatus::default(), &begun, None, 1_002).await;
    look(&mut second, dead(), &late, Some("the log was rolled back"), 1_003).await;
    for seconds in [1_010, 1_069] {
        look(&mut second, well(), &signs, None, seconds).await;
    }
    assert!(mails.taken().is_empty());
    look(&mut second, well(), &signs, None, 1_070).await;
    let mut told = subjects(&mails);
    told.sort();
    assert_eq!(told.len(), 4);
    assert_eq!(told[3], "the sink elk takes what it is sent again, or is no longer set up");
    look(&mut second, well(), &signs, None, 2_000).await;
    assert!(mails.taken().is_empty());
    // It is dead again: a new cause.
    look(&mut second, dead(), &signs, None, 3_000).await;
    assert_eq!(subjects(&mails).len(), 1);
    assert!(!format!("{second:?}").contains("token=x"));
}

#[tokio::test]
async fn operators_are_told_why_audit_stops_before_it_does_and_not_by_each_of_its_starts() {
    let (folder, (mails, address)) = (tempfile::tempdir().unwrap(), Mails::start().await);
    let settings = settings(&address);
    for expected in [1, 0] {
        let operators = Operators::new(&settings, Senders::new(&settings), "latchkey/c1", folder.path());
        let (halting, halted) = watch::channel(None);
        let (_signs, signing) = watch::channel(Signing { is_on: true, ..Signing::default() });
        let (_follows, follows) = watch::channel(true);
        let running = tokio::spawn(operators.run(Watched { exports: Exports::default(), signing, follows, halted }));
        halting.send_replace(Some("the log was rolled back".to_owned()));
        // It ends by itself once they were told.
        running.await.unwrap();
        let taken = mails.taken();
        assert_eq!(taken.len(), expected);
        assert!(taken.iter().all(|(_, text)| text.contains("Why: the log was rolled back")), "{taken:?}");
    }
}
