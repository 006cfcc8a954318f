//! Entries that are sent elsewhere: at least once, in order, whatever dies.

use latchkey_audit::LogName;
use latchkey_audit::exporting::{Batch, Exporter, Exports, Filter, SinkStatus, Source, Whose};
use latchkey_config::{AuditSettings, SinkSettings, Sources};
use latchkey_export::sink::BoxFuture;
use latchkey_export::{Record, SetAside, Sink, SinkError, Taken};
use latchkey_transparency::Hash;
use latchkey_wire::pb::v1;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Status;

/// A log of numbers, every third of them another tenant's.
#[derive(Debug)]
struct Numbers {
    stored: watch::Sender<u64>,
    /// The first that is still kept.
    kept_from: AtomicU64,
    /// The leaf of its first entry, where it has one and tells.
    leaf: Option<u8>,
}

impl Numbers {
    fn with(count: u64) -> Arc<Self> {
        Arc::new(Self { stored: watch::Sender::new(count), kept_from: AtomicU64::new(0), leaf: None })
    }

    /// A log of so many entries, which tells which one it is.
    fn of(leaf: u8, count: u64) -> Arc<Self> {
        Arc::new(Self { stored: watch::Sender::new(count), kept_from: AtomicU64::new(0), leaf: Some(leaf) })
    }
}

impl Source for Numbers {
    type Item = Record;

    const KEPT_BY: &'static str = "archive.retention_days";

    fn first(&self) -> u64 {
        self.kept_from.load(Ordering::Relaxed)
    }

    async fn whose(&self) -> Result<Whose, Status> {
        Ok(match self.leaf {
            None => Whose::Any,
            Some(_) if *self.stored.borrow() == 0 => Whose::Empty,
            Some(leaf) => Whose::Log(LogName::of(&Hash::new([leaf; 32]))),
        })
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.stored.subscribe()
    }

    async fn read(&self, from: u64, max: usize, filter: &Filter) -> Result<Batch, Status> {
        let (stored, mut next, mut records) = (*self.stored.borrow(), from, Vec::new());
        if from < self.first() {
            return Ok(Batch { records, next: self.first(), missed: self.first() - from });
        }
        while next < stored && records.len() < max {
            let tenant = if next.is_multiple_of(3) { "tenants/other" } else { "tenants/acme" };
            if filter.holds(tenant, "key.created") {
                let entry = v1::Entry { sequence: next, action: "key.created".to_owned(), ..v1::Entry::default() };
                records.push(Record { entry, leaf: [0; 32], origin: "latchkey/00".into() });
            }
            next += 1;
        }
        Ok(Batch { records, next, missed: 0 })
    }
}

/// A sink that does as it is told, for each call.
#[derive(Clone, Debug, Default)]
struct Told {
    seen: Arc<Mutex<Vec<u64>>>,
    calls: Arc<AtomicUsize>,
    fails: Arc<Mutex<Vec<SinkError>>>,
    /// It takes this many at once at most.
    room: Option<usize>,
    /// It will never take these.
    bad: Arc<Mutex<Range<u64>>>,
    /// It takes a batch as a whole or not at all, and does not say which one is wrong.
    is_whole: bool,
}

impl Sink for Told {
    fn send<'a>(&'a self, batch: &'a [Record], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if self.room.is_some_and(|room| batch.len() > room) {
                return Err(SinkError::TooLarge { server: "told".to_owned(), taken: 0 });
            }
            let bad = self.bad.lock().unwrap().clone();
            if self.is_whole && batch.len() > 1 && batch.iter().any(|record| bad.contains(&record.sequence())) {
                return Err(SinkError::Wrong { server: "told".to_owned(), taken: 0 });
            }
            let failed = self.fails.lock().unwrap().pop();
            let taken = failed.as_ref().map_or(batch.len(), SinkError::taken);
            let good = batch[..taken].iter().map(Record::sequence).filter(|sequence| !bad.contains(sequence));
            self.seen.lock().unwrap().extend(good);
            if let Some(error) = failed {
                return Err(error);
            }
            let bad = batch.iter().filter(|record| bad.contains(&record.sequence()));
            let aside = bad.map(|record| SetAside { sequence: record.sequence(), reason: "no".to_owned() });
            Ok(Taken { set_aside: aside.collect() })
        })
    }
}

fn busy(taken: usize) -> SinkError {
    SinkError::Refused { server: "told".to_owned(), code: 503, to_do: "it is tried again", retry_after: None, taken }
}

fn settings(name: &str, more: &str) -> SinkSettings {
    let kind = "kind = 'file'\nfolder = '/out'\nbatch_entries_max = 10\n";
    settings_of(&format!("name = '{name}'\n"), &format!("{kind}{more}"))
}

fn settings_of(name: &str, more: &str) -> SinkSettings {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let head =
        "data_folder = '/data'\ncluster_secret_file = '/s'\nkek_file = '/k'\nregistry_endpoints = ['127.0.0.1:7720']\n";
    let sink = format!("[[sink]]\n{name}{more}");
    file.write_all(format!("{head}{sink}").as_bytes()).unwrap();
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    AuditSettings::load(&sources).unwrap_or_else(|mistakes| panic!("{mistakes}")).sink.remove(0)
}

/// Exporters of one process.
struct House {
    folder: tempfile::TempDir,
    exports: Exports,
    stop: watch::Sender<bool>,
}

impl House {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), exports: Exports::default(), stop: watch::Sender::new(false) }
    }

    fn begin(&self, settings: &SinkSettings, sink: &Told, numbers: &Arc<Numbers>) -> JoinHandle<()> {
        let folder = self.folder.path().join(settings.name.as_str());
        let exporter = Exporter::new(settings, Box::new(sink.clone()), folder, numbers.clone(), &self.exports);
        tokio::spawn(exporter.run(self.stop.subscribe()))
    }

    async fn until(&self, name: &str, holds: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        loop {
            let found = self.exports.list().into_iter().find(|(found, status)| found == name && holds(status));
            if let Some((_, status)) = found {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn file(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_dead_sink_stops_nothing_else_and_takes_all_when_it_lives_again() {
    let (house, numbers) = (House::new(), Numbers::with(25));
    let (dead, alive) = (Told::default(), Told::default());
    dead.fails.lock().unwrap().extend((0..20).map(|_| busy(0)));
    let _dead = house.begin(&settings("dead", ""), &dead, &numbers);
    let _alive = house.begin(&settings("alive", ""), &alive, &numbers);
    house.until("alive", |status| status.next == 25).await;
    let failing = house.until("dead", |status| status.failing.is_some()).await;
    assert_eq!((failing.next, failing.kind, failing.place.as_str()), (0, "file", "/out"));
    assert!(failing.failing.unwrap().1.contains("503"));
    numbers.stored.send_replace(30);
    house.until("alive", |status| status.next == 30).await;
    let status = house.until("dead", |status| status.next == 30).await;
    assert_eq!(status.failing, None);
    let all: Vec<u64> = (0..30).collect();
    assert_eq!((&*dead.seen.lock().unwrap(), &*alive.seen.lock().unwrap()), (&all, &all));
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_before_an_error_does_not_come_again_and_the_rest_does_in_order() {
    let (house, numbers) = (House::new(), Numbers::with(12));
    let sink = Told::default();
    sink.fails.lock().unwrap().extend([busy(4), busy(3)]);
    let _task = house.begin(&settings("some", ""), &sink, &numbers);
    house.until("some", |status| status.next == 12).await;
    assert_eq!(*sink.seen.lock().unwrap(), (0..12).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_sink_goes_on_from_its_cursor_after_a_kill() {
    let (house, numbers) = (House::new(), Numbers::with(12));
    let first = Told::default();
    let task = house.begin(&settings("elk", ""), &first, &numbers);
    house.until("elk", |status| status.next == 12).await;
    task.abort();
    let _ = task.await;
    assert_eq!(file(&house.folder.path().join("elk"), "cursor"), "12\n");
    numbers.stored.send_replace(20);
    let second = Told::default();
    let again = House { folder: house.folder, ..House::new() };
    let _task = again.begin(&settings("elk", ""), &second, &numbers);
    again.until("elk", |status| status.next == 20).await;
    assert_eq!(*second.seen.lock().unwrap(), (12..20).collect::<Vec<_>>());
    // Another name is another sink; one that is to begin with what comes begins there.
    let third = Told::default();
    let _task = again.begin(&settings("late", "from_beginning = false"), &third, &numbers);
    again.until("late", |status| status.next == 20).await;
    numbers.stored.send_replace(22);
    again.until("late", |status| status.next == 22).await;
    assert_eq!(*third.seen.lock().unwrap(), [20, 21]);
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_will_never_take_is_written_down_and_holds_up_nothing() {
    let (house, numbers) = (House::new(), Numbers::with(12));
    let sink = Told::default();
    *sink.bad.lock().unwrap() = 5..6;
    let task = house.begin(&settings("elk", ""), &sink, &numbers);
    let status = house.until("elk", |status| status.next == 12).await;
    assert_eq!(status.set_aside, 1);
    let told = file(&house.folder.path().join("elk"), "set-aside.jsonl");
    assert!(told.starts_with(r#"{"sequence":5,"reason":"no","#), "{told}");
    task.abort();
    let _ = task.await;
    let again = House { folder: house.folder, ..House::new() };
    let _task = again.begin(&settings("elk", ""), &sink, &numbers);
    assert_eq!(again.until("elk", |status| status.next == 12).await.set_aside, 1, "also after a restart");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_refuses_all_fails_and_is_sent_all_of_it_once_it_takes_any() {
    for (name, sink) in [
        ("items", Told::default()),
        ("whole", Told { is_whole: true, ..Told::default() }),
        ("narrow", Told { room: Some(0), ..Told::default() }),
    ] {
        let (house, numbers) = (House::new(), Numbers::with(10));
        let _task = house.begin(&settings(name, ""), &sink, &numbers);
        if sink.room.is_none() {
            house.until(name, |status| status.next == 10).await;
        }
        *sink.bad.lock().unwrap() = 10..200;
        numbers.stored.send_replace(110);
        let status = house.until(name, |status| status.failing.is_some()).await;
        let calls = sink.calls.load(Ordering::Relaxed);
        while sink.calls.load(Ordering::Relaxed) < calls + 500 {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let (_, later) = house.exports.list().remove(0);
        // One may be set aside on the word of the batch before it.
        assert!(later.set_aside <= 1 && later.next == status.next && later.next <= 11, "{name}: {later:?}");
        assert!(later.failing.as_ref().is_some_and(|(_, why)| why.contains("refuses all")), "{name}: {later:?}");
        assert!(later.waits_since.is_some(), "{name}");
        if sink.room.is_none() {
            *sink.bad.lock().unwrap() = 0..0;
            let well = house.until(name, |status| status.next == 110).await;
            assert_eq!((well.set_aside, well.failing), (later.set_aside, None));
            assert_eq!(sink.seen.lock().unwrap().len() as u64, 110 - well.set_aside);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_are_wrong_one_after_the_other_are_set_aside_once_one_behind_them_is_taken() {
    for is_whole in [false, true] {
        let (house, numbers) = (House::new(), Numbers::with(3));
        let sink = Told { is_whole, ..Told::default() };
        *sink.bad.lock().unwrap() = 0..3;
        let _task = house.begin(&settings("elk", ""), &sink, &numbers);
        let status = house.until("elk", |status| status.failing.is_some()).await;
        assert_eq!((status.next, status.set_aside), (0, 0), "nothing shows that it takes any");
        numbers.stored.send_replace(12);
        let status = house.until("elk", |status| status.next == 12).await;
        assert_eq!((status.set_aside, status.failing), (3, None));
        assert_eq!(*sink.seen.lock().unwrap(), (3..12).collect::<Vec<_>>());
        let told = file(&house.folder.path().join("elk"), "set-aside.jsonl");
        assert_eq!(told.lines().count(), 3, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let (house, numbers) = (House::new(), Numbers::with(40));
    let sink = Told { room: Some(3), ..Told::default() };
    let _task = house.begin(&settings("narrow", ""), &sink, &numbers);
    house.until("narrow", |status| status.next == 40).await;
    assert_eq!(*sink.seen.lock().unwrap(), (0..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_sink_gets_the_entries_that_it_is_to_get_and_its_cursor_passes_the_others() {
    let (house, numbers) = (House::new(), Numbers::with(9));
    let (acme, none) = (Told::default(), Told::default());
    let _acme = house.begin(&settings("acme", "tenants = ['acme']\nactions = ['key.*']"), &acme, &numbers);
    let _none = house.begin(&settings("none", "actions = ['rotation.*']"), &none, &numbers);
    house.until("acme", |status| status.next == 9).await;
    house.until("none", |status| status.next == 9).await;
    assert_eq!(*acme.seen.lock().unwrap(), [1, 2, 4, 5, 7, 8]);
    assert_eq!(none.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_before_a_sink_took_it_is_counted_once_and_not_forgotten_by_a_restart() {
    let (house, numbers) = (House::new(), Numbers::with(40));
    let sink = Told::default();
    // It takes 9, and is away when all up to 25 goes.
    sink.fails.lock().unwrap().extend((0..3).map(|_| busy(0)).chain([busy(9)]));
    let task = house.begin(&settings("elk", ""), &sink, &numbers);
    house.until("elk", |status| status.next == 9 && status.failing.is_some()).await;
    numbers.kept_from.store(25, Ordering::Relaxed);
    let status = house.until("elk", |status| status.next == 40).await;
    assert_eq!(status.missed, 16);
    assert_eq!(*sink.seen.lock().unwrap(), (0..9).chain(25..40).collect::<Vec<_>>());
    task.abort();
    let _ = task.await;
    assert_eq!(file(&house.folder.path().join("elk"), "cursor"), "40 16\n");
    let again = House { folder: house.folder, ..House::new() };
    let _task = again.begin(&settings("elk", ""), &sink, &numbers);
    assert_eq!(again.until("elk", |status| status.next == 40).await.missed, 16);
    // One that begins now begins with what is there: it missed nothing.
    let _task = again.begin(&settings("new", ""), &Told::default(), &numbers);
    assert_eq!(again.until("new", |status| status.next == 40).await.missed, 0);
}

/// What a sink takes of each of these logs, that lie in the same place one after the other, up to their ends.
async fn one_after_the_other(more: &str, logs: &[Arc<Numbers>]) -> Vec<Vec<u64>> {
    let (mut house, mut all) = (House::new(), Vec::new());
    for log in logs {
        let sink = Told::default();
        let task = house.begin(&settings("elk", more), &sink, log);
        let end = *log.stored.borrow();
        house.until("elk", |status| status.next == end && status.well_at.is_some()).await;
        task.abort();
        let _ = task.await;
        all.push(std::mem::take(&mut *sink.seen.lock().unwrap()));
        house = House { folder: house.folder, ..House::new() };
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_followed_another_log_begins_with_the_first_entry_of_this_one() {
    let upto = |next| (0..next).collect::<Vec<u64>>();
    for count in [10, 50, 60] {
        let taken = one_after_the_other("", &[Numbers::of(1, 50), Numbers::of(2, count)]).await;
        assert_eq!(taken[1], upto(count));
    }
    // Also one that began with what came.
    let taken = one_after_the_other("from_beginning = false", &[Numbers::of(1, 50), Numbers::of(2, 60)]).await;
    assert_eq!(taken, [vec![], upto(60)]);
    // The same one goes on, as does an older copy of it at its end, since all of that is there.
    let copy = Numbers::of(1, 45);
    let taken = one_after_the_other("", &[Numbers::of(1, 50), Numbers::of(1, 55), copy, Numbers::of(1, 58)]).await;
    assert_eq!(taken[1..], [(50..55).collect(), vec![], (45..58).collect::<Vec<_>>()]);
    // A cursor of a build that knew no names: one that is beyond the log is of another, and one that is not gets a name.
    let taken = one_after_the_other("", &[Numbers::with(50), Numbers::of(2, 10)]).await;
    assert_eq!(taken[1], upto(10));
    let taken = one_after_the_other("", &[Numbers::with(50), Numbers::of(1, 52), Numbers::of(2, 60)]).await;
    assert_eq!(taken[1..], [vec![50, 51], upto(60)]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_with_a_cursor_waits_for_a_log_that_is_empty_and_says_so() {
    let house = House::new();
    let (sink, empty) = (Told::default(), Numbers::of(2, 0));
    let folder = house.folder.path().join("elk");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("cursor"), "500\n").unwrap();
    let _task = house.begin(&settings("elk", ""), &sink, &empty);
    let status = house.until("elk", |status| status.failing.is_some()).await;
    assert!(status.failing.unwrap().1.contains("no entry yet") && status.waits_since.is_some());
    empty.stored.send_replace(10);
    assert_eq!(house.until("elk", |status| status.next == 10).await.failing, None);
    assert_eq!(*sink.seen.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert!(file(&folder, "cursor").starts_with("10 0 0202"), "{}", file(&folder, "cursor"));
}

/// A log of which a sink wants the first entry alone, and that has grown whenever it was read; once it cannot be read.
#[derive(Debug, Default)]
struct Busy {
    stored: watch::Sender<u64>,
    reads: AtomicUsize,
}

impl Source for Busy {
    type Item = Record;

    const KEPT_BY: &'static str = "archive.retention_days";

    fn first(&self) -> u64 {
        0
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.stored.subscribe()
    }

    async fn read(&self, from: u64, _: usize, _: &Filter) -> Result<Batch, Status> {
        self.stored.send_modify(|stored| *stored += 1);
        let next = *self.stored.borrow();
        self.stored.send_modify(|stored| *stored += 1);
        if self.reads.fetch_add(1, Ordering::Relaxed) == 1 {
            return Err(Status::unavailable("away"));
        }
        let record = || Record { entry: v1::Entry::default(), leaf: [0; 32], origin: "latchkey/00".into() };
        Ok(Batch { records: (from == 0).then(record).into_iter().collect(), next, missed: 0 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_wants_little_of_a_busy_log_is_not_behind_and_fails_no_more_once_the_log_is_read() {
    let (house, busy) = (House::new(), Arc::new(Busy::default()));
    let settings = settings("few", "from_beginning = true");
    let folder = house.folder.path().join("few");
    let exporter = Exporter::new(&settings, Box::new(Told::default()), folder, busy.clone(), &house.exports);
    let _task = tokio::spawn(exporter.run(house.stop.subscribe()));
    house.until("few", |status| status.taken_at.is_some()).await;
    house.until("few", |status| status.failing.is_some()).await;
    while busy.reads.load(Ordering::Relaxed) < 20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = house.until("few", |_| true).await;
    assert_eq!((status.waits_since, status.failing), (None, None));
}

/// What a process logs.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_url_of_a_sink_may_hold_as_a_secret_is_told_nowhere() {
    let (house, numbers, lines) = (House::new(), Numbers::with(5), Lines::default());
    let writer = lines.clone();
    let logged = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_max_level(tracing::Level::TRACE);
    let _logging = tracing::subscriber::set_default(logged.finish());
    let more = "kind = 'http'\nurl = 'http://127.0.0.1:1/path?token=x'\n";
    let settings = settings_of("name = 'hook'\n", more);
    let sink = latchkey_export::sink::open(&settings);
    let folder = house.folder.path().join("hook");
    let exporter = Exporter::new(&settings, sink, folder, numbers.clone(), &house.exports);
    let debug = format!("{settings:?} {exporter:?}");
    let _task = tokio::spawn(exporter.run(house.stop.subscribe()));
    let status = house.until("hook", |status| status.failing.is_some()).await;
    assert_eq!(status.place, "http://127.0.0.1:1/path?***");
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("a sink takes no entries"), "{logged}");
    for told in [debug, format!("{status:?}"), logged] {
        assert!(!told.contains("token=x"), "{told}");
    }
}
