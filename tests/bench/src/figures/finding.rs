//! `ListEntries` over many entries: made up, and followed, checked, sealed, stored and indexed as those of a cluster are. The handler
//! is asked as the RPC asks it, without the way between.

use crate::clock;
use crate::process::bytes_on_disk;
use crate::table::{Table, most, say};
use latchkey_audit::journal::{Journal, JournalOptions};
use latchkey_audit::{
    AuditKey, Cluster, Cursor, Entries, Event, Events, Followed, Follower, IndexOptions, LogStanding, Search, Vault,
    Visible,
};
use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, Revision, RingNumber, Sequence, TenantName, TenantNumber, UnixMillis};
use latchkey_telemetry::{OsEntropy, SystemClock};
use latchkey_transparency::{Frontier, commitment, leaf_hash};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::Status;

const CLUSTER: ClusterId = ClusterId([0xBE; 16]);
const SYSTEM: TenantNumber = TenantNumber(1);

/// Tenants, and keys over which all entries are spread, so that what is found for one lies anywhere.
const TENANTS: u64 = 20;
const KEYS: u64 = 100_000;

/// Ten entries a second: ten million are eleven days.
const BEGAN_MS: u64 = 1_767_225_600_000;
const STEP_MS: u64 = 100;

/// Entries in a page.
const PAGE_SIZE: usize = 100;

/// Questions of each kind.
const QUESTIONS: u64 = 1_000;

/// How long any question by a key may take.
const P99_MS_AIM: f64 = 50.0;

/// How long one page may take at most before it is cut short, as a call may.
const CALL_MAX: Duration = Duration::from_secs(5);

/// How often it is looked how far the index is.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Makes up `count` entries in `folder`, and asks.
pub(crate) async fn measure(folder: &Path, count: u64, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let folder = folder.join("finding");
    let cluster = Arc::new(MadeUp { count });
    let (began, path) = (clock::now(), folder.join("journal"));
    let journal = Journal::open_or_create(&path, CLUSTER, JournalOptions::default())?;
    let vault = Arc::new(Vault::new(cluster.clone()));
    let (reader, entries) = (journal.reader.clone(), Entries::new(journal.reader.clone(), vault.clone()));
    let follower = Follower::new(cluster, vault, journal.writer, OsEntropy, SystemClock);
    let (stop, stopped) = watch::channel(false);
    let following = tokio::spawn(follower.run(stopped));
    let indexing = tokio::spawn(entries.clone().keep_index(folder.join("index"), IndexOptions::default()));
    let mut told = clock::now();
    while reader.next() < count || entries.index().is_none_or(|index| index.next() < count) {
        if following.is_finished() {
            return Err("the entries were not stored".into());
        }
        if clock::now() - told > Duration::from_secs(10) {
            told = clock::now();
            let indexed = entries.index().map_or(0, latchkey_audit::Index::next);
            say(&format!("{} entries of {count} are stored, {indexed} indexed", reader.next()));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let took = (clock::now() - began).as_secs_f64();

    table.section(format!("ListEntries over {count} entries of {TENANTS} tenants"), "");
    table.single("entries followed, sealed, stored and indexed a second", count as f64 / took, None);
    let each = |bytes: u64| bytes as f64 / count as f64;
    table.single("bytes of an entry in the journal", each(bytes_on_disk(&path)), None);
    if let Some(index) = entries.index() {
        let (runs, bytes) = index.size();
        table.single("runs of the index", runs as f64, None);
        table.single("bytes of an entry in the index", each(bytes), None);
        table.single("MiB of memory that the index takes", index.memory_bytes() as f64 / f64::from(1 << 20), None);
    }
    for (name, filter, cursor, aim) in [
        ("by key", by_key as fn(u64) -> String, Cursor::From(0), true),
        ("by key, newest first", by_key, Cursor::Below(count), true),
        ("by key and action", by_key_and_action, Cursor::From(0), true),
        ("by actor, newest first", by_actor, Cursor::Below(count), false),
        ("by an hour", by_hour, Cursor::From(0), false),
    ] {
        let (mut took, mut found) = (Vec::new(), 0);
        for turn in 0..QUESTIONS {
            let search =
                Search::of_list(&filter(mixed(turn)), Visible::All, UnixMillis::new(BEGAN_MS + count * STEP_MS))
                    .map_err(|error| format!("{error:?}"))?;
            let since = clock::now();
            let page = entries.list(&search, cursor, PAGE_SIZE, Instant::now() + CALL_MAX).await?;
            took.push((clock::now() - since).as_secs_f64() * 1_000.0);
            found += page.found.len();
        }
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took[(took.len() - 1) * percent / 100];
        say(&format!("{name}: {} entries a page", found as u64 / QUESTIONS));
        table.single(format!("{name}: p50, ms"), at(50), None);
        table.single(format!("{name}: p99, ms"), at(99), if aim { most(P99_MS_AIM) } else { None });
    }
    stop.send_replace(true);
    indexing.abort();
    Ok(following.await??)
}

fn by_key(number: u64) -> String {
    format!("key = \"{}\"", key(number % KEYS))
}

fn by_key_and_action(number: u64) -> String {
    format!("{} AND action = \"key.revoked\"", by_key(number))
}

fn by_actor(number: u64) -> String {
    format!("actor = \"{}\"", actor(number % TENANTS))
}

fn by_hour(number: u64) -> String {
    let day = 1 + number % 2;
    format!("time >= \"2026-01-{day:02}T05:00:00Z\" AND time < \"2026-01-{day:02}T06:00:00Z\"")
}

/// The name of a key, each of a tenant of its own.
fn key(number: u64) -> String {
    format!("tenants/t{}/keyspaces/live/keys/{:016}", number % TENANTS, number)
}

fn actor(tenant: u64) -> String {
    format!("tenants/t{tenant}/identities/deploy")
}

/// Spreads numbers; splitmix64's mixer. Source: Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014.
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// A cluster whose events are made up as they are followed.
#[derive(Debug)]
struct MadeUp {
    count: u64,
}

/// The canonical bytes of an event, as `state` writes them.
fn event(sequence: u64) -> Vec<u8> {
    let text = |text: &str| [&u32::try_from(text.len()).expect("a short text").to_be_bytes(), text.as_bytes()].concat();
    let number = mixed(sequence) % KEYS;
    let tenant = number % TENANTS;
    let action = ["key.created", "key.updated", "key.revoked"][usize::try_from(sequence % 3).expect("small")];
    let mut bytes = vec![1];
    bytes.extend((BEGAN_MS + sequence * STEP_MS).to_be_bytes());
    bytes.push(0);
    bytes.extend(text(&actor(tenant)));
    bytes.extend(text(action));
    bytes.extend(text(&key(number)));
    bytes.push(1);
    bytes.extend(u32::try_from(tenant + 2).expect("small").to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(text("number"));
    bytes.extend(text(&sequence.to_string()));
    bytes
}

impl Cluster for MadeUp {
    async fn id(&self, _by: Instant) -> Result<ClusterId, Status> {
        Ok(CLUSTER)
    }

    async fn standing(&self, _by: Instant) -> Result<LogStanding, Status> {
        Err(Status::unavailable("nobody leads what is made up"))
    }

    async fn follow(&self, from: Sequence, _by: Instant) -> Result<Events, Status> {
        // Whoever heard nothing for long asks again, and is at the end then.
        if from.0 != 0 && from.0 != self.count {
            return Err(Status::out_of_range("what is made up is followed once"));
        }
        let mut tree = Frontier::new();
        let events = (from.0..self.count).map(move |sequence| {
            let (bytes, o, revision) = (event(sequence), [7; 32], Revision::new(1, sequence + 1));
            tree.push(leaf_hash(1, Sequence(sequence), revision, &commitment(&o, &bytes)));
            let root = tree.root();
            Ok(Followed::Event(Event {
                sequence: Sequence(sequence),
                revision,
                format: 1,
                bytes,
                o,
                root,
                trace: None,
            }))
        });
        let idle = tokio_stream::once(Ok(Followed::Progress)).chain(tokio_stream::pending());
        Ok(Box::pin(tokio_stream::iter(events).chain(idle)))
    }

    async fn trim(&self, _through: Sequence, _by: Instant) -> Result<(), Status> {
        Ok(())
    }

    async fn audit_key(
        &self,
        tenant: Option<TenantNumber>,
        _revision: Revision,
        _by: Instant,
    ) -> Result<Option<AuditKey>, Status> {
        let tenant = tenant.unwrap_or(SYSTEM);
        let mut key = [0xA0; 32];
        key[..4].copy_from_slice(&tenant.0.to_be_bytes());
        Ok(Some(AuditKey {
            number: RingNumber(tenant.0 + 100),
            key: Arc::new(DataKey::new(key)),
            tenant,
            name: TenantName::parse(&format!("tenants/t{}", u64::from(tenant.0).saturating_sub(2))).ok(),
        }))
    }
}
