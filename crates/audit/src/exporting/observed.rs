//! What replicas observed, batch by batch, for those who count by themselves or keep the access log elsewhere.

use crate::access::{Line, LineNames, shown};
use crate::collect::{Observed, ObservedError, RawCell, RawLine, RawPage, outcome_word};
use crate::exporting::{Batch, Exporter, Exports, Filter, Source, origin};
use crate::observing::Observations;
use crate::usage::countries::network_text;
use latchkey_config::SinkSettings;
use latchkey_domain::{ClusterId, KeyId, UnixMillis, VersionId};
use latchkey_export::sink::open_observing;
use latchkey_export::{Access, Item, Place, Reported, Usage};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tonic::Status;

/// Between two looks whether the store is open.
const PAUSE: Duration = Duration::from_millis(500);
/// Batches that are read at once at most, so that a cursor moves on also where a sink wants little of them.
const BATCHES_MAX: u64 = 64;
const MINUTE_MS: u64 = 60_000;

/// What replicas observed, once its store is open.
#[derive(Clone, Debug)]
pub struct Raw {
    observations: Observations,
    origin: Arc<str>,
}

impl Raw {
    /// Of this cluster.
    #[must_use]
    pub fn new(observations: Observations, cluster: ClusterId) -> Self {
        Self { observations, origin: origin(cluster) }
    }

    /// Batches that there are and were.
    pub(super) fn batches(&self) -> u64 {
        self.observations.get().map_or(0, |observed| *observed.raw_next().borrow())
    }

    /// Sends to one sink until it is stopped.
    pub(super) async fn send<T: FromRaw>(
        self,
        settings: SinkSettings,
        folder: PathBuf,
        exports: Exports,
        stopped: watch::Receiver<bool>,
    ) {
        let sink = open_observing::<T>(&settings).expect("the settings were checked: this kind takes the stream");
        let observed = loop {
            match self.observations.get() {
                Some(observed) => break observed.clone(),
                None => sleep(PAUSE).await,
            }
        };
        let name = settings.name.to_string();
        let source = Arc::new(RawSource::<T> { name, observed, origin: self.origin, item: PhantomData });
        Exporter::new(&settings, sink, folder, source, &exports).run(stopped).await;
    }
}

/// The log of batches, as one sink reads it.
#[derive(Debug)]
struct RawSource<T> {
    name: String,
    observed: Observed,
    origin: Arc<str>,
    item: PhantomData<fn() -> T>,
}

/// What a batch is made of.
pub(super) trait FromRaw: Item {
    /// Those of one batch, each with the name of its tenant.
    fn read(page: RawPage, sequence: u64, origin: &Arc<str>) -> Vec<(String, Self)>;
}

impl<T: FromRaw> Source for RawSource<T> {
    type Item = T;

    const KEPT_BY: &'static str = "usage.raw_bytes_max";

    fn first(&self) -> u64 {
        self.observed.raw_first()
    }

    fn hold(&self, from: u64) {
        self.observed.raw_hold(&self.name, from);
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.observed.raw_next()
    }

    async fn read(&self, from: u64, max: usize, filter: &Filter) -> Result<Batch<T>, Status> {
        let (observed, origin, filter) = (self.observed.clone(), self.origin.clone(), filter.clone());
        let read = spawn_blocking(move || read(&observed, &origin, from, max, &filter)).await;
        let read = read.map_err(|error| Status::internal(error.to_string()))?;
        read.map_err(|error| Status::unavailable(error.to_string()))
    }
}

fn read<T: FromRaw>(
    observed: &Observed,
    origin: &Arc<str>,
    from: u64,
    max: usize,
    filter: &Filter,
) -> Result<Batch<T>, ObservedError> {
    // A cursor that is ahead is of a store that is no more: all of the new one is to come.
    let (next, first) = (*observed.raw_next().borrow(), observed.raw_first());
    let begin = if from > next { first } else { from };
    if begin != from {
        tracing::warn!(
            from,
            next,
            "what replicas observed is kept in another store than before; a sink begins it anew"
        );
    }
    let (mut records, mut at) = (Vec::new(), begin);
    while records.len() < max && at - begin < BATCHES_MAX {
        let page = observed.raw_read(at, 1)?;
        if page.missed > 0 && at == begin {
            return Ok(Batch { records: Vec::new(), next: begin + page.missed, missed: page.missed });
        }
        if page.missed > 0 || page.next == at {
            break;
        }
        at = page.next;
        let items = T::read(page, at - 1, origin).into_iter();
        records.extend(items.filter(|(tenant, _)| filter.holds(tenant, "")).map(|(_, item)| item));
    }
    Ok(Batch { records, next: at, missed: 0 })
}

/// The resource names of a key and a version. Without a keyspace they begin with `keys`.
fn ids(keyspace: &str, key: &[u8], version: &[u8]) -> (String, String) {
    let key = <[u8; 12]>::try_from(key).ok().and_then(KeyId::from_bytes);
    let version = <[u8; 12]>::try_from(version).ok().and_then(VersionId::from_bytes);
    let key = key.map_or_else(String::new, |key| format!("{keyspace}/keys/{key}").trim_start_matches('/').to_owned());
    let version = version.map_or_else(String::new, |version| format!("{key}/versions/{version}"));
    (key, version)
}

fn usage(cell: RawCell, sequence: u64, origin: &Arc<str>) -> (String, Usage) {
    let RawCell { batch: (node, incarnation, batch), region, tenant, names, at, cell } = cell;
    let place =
        Place { sequence, origin: origin.clone(), node: node.0, incarnation, batch, tenant: tenant.0, at, region };
    let (key, version) = ids(&names.keyspace, &cell.key_id, &cell.version_id);
    let counted = (0..).zip(cell.outcomes).filter(|(_, count)| *count > 0);
    let usage = Usage {
        place,
        minute: UnixMillis::new(cell.minute.saturating_mul(MINUTE_MS)),
        tenant: names.tenant.clone(),
        keyspace: names.keyspace,
        owner: names.owner,
        key,
        version,
        outcomes: counted.map(|(outcome, count)| (outcome_word(outcome), count)).collect(),
        latency: cell.latency,
        networks: cell.networks.into_iter().map(|network| (network_text(&network.network), network.count)).collect(),
        other_networks: cell.other_networks,
        last_used: cell.last_used_unix_ms.map(UnixMillis::new),
        reported: cell.reported.map(|reported| Reported {
            requests: reported.requests,
            status_classes: reported.status_classes,
            request_bytes: reported.request_bytes,
            response_bytes: reported.response_bytes,
            latency: reported.latency,
            load_milli: reported.load_milli,
        }),
    };
    (names.tenant, usage)
}

fn access(line: RawLine, sequence: u64, origin: &Arc<str>) -> (String, Access) {
    let RawLine { batch: (node, incarnation, batch), region, tenant, names, at, line } = line;
    let place = Place {
        sequence,
        origin: origin.clone(),
        node: node.0,
        incarnation,
        batch,
        tenant: tenant.0,
        at,
        region: region.clone(),
    };
    let named = LineNames { tenant: names.tenant.clone(), keyspace: names.keyspace };
    let line = shown(Line { key: Vec::new(), region, record: line }, named);
    (names.tenant, Access { place, line })
}

impl FromRaw for Usage {
    fn read(page: RawPage, sequence: u64, origin: &Arc<str>) -> Vec<(String, Self)> {
        page.cells.into_iter().map(|cell| usage(cell, sequence, origin)).collect()
    }
}

impl FromRaw for Access {
    fn read(page: RawPage, sequence: u64, origin: &Arc<str>) -> Vec<(String, Self)> {
        page.lines.into_iter().map(|line| access(line, sequence, origin)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect;
    use crate::collect::tests::{Ring, answer, cell, open};
    use latchkey_domain::NodeId;
    use latchkey_export::sink::BoxFuture;
    use latchkey_export::{Sink, SinkError, Taken};
    use latchkey_wire::pb::internal::v1 as pb;
    use std::sync::Mutex;

    /// It takes one at once, and is away in every third call.
    #[derive(Clone, Debug, Default)]
    struct Narrow(Arc<Mutex<(usize, Vec<Usage>)>>);

    impl Sink<Usage> for Narrow {
        fn send<'a>(&'a self, batch: &'a [Usage], _: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
            Box::pin(async move {
                let mut seen = self.0.lock().unwrap();
                seen.0 += 1;
                let server = "narrow".to_owned();
                if batch.len() > 1 {
                    return Err(SinkError::TooLarge { server, taken: 0 });
                }
                if seen.0.is_multiple_of(3) {
                    return Err(SinkError::Answer { server, expected: "anything" });
                }
                seen.1.extend_from_slice(batch);
                Ok(Taken::default())
            })
        }
    }

    fn settings(more: &str) -> SinkSettings {
        let file = tempfile::NamedTempFile::new().unwrap();
        let head = "data_folder = '/data'\ncluster_secret_file = '/s'\nkek_file = '/k'\nregistry_endpoints = ['127.0.0.1:7720']\n";
        let sink = "[[sink]]\nname = 'house'\nkind = 'file'\nfolder = '/out'\nstream = 'usage'\n";
        std::fs::write(file.path(), format!("{head}{sink}{more}")).unwrap();
        let sources =
            latchkey_config::Sources { file: Some(file.path().to_owned()), ..latchkey_config::Sources::default() };
        latchkey_config::AuditSettings::load(&sources).unwrap_or_else(|mistakes| panic!("{mistakes}")).sink.remove(0)
    }

    fn take(observed: &Observed, number: u64, keys: std::ops::Range<u64>) {
        let cells = keys.map(|key| cell(1, 1, key, number, &[0, 2, 0, 1])).collect();
        let batch = collect::Batch::read(NodeId(1), answer(1, 9, number, cells)).unwrap().unwrap();
        observed.take(&batch).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_takes_less_than_a_batch_gets_each_sum_once_and_what_was_gone_before_is_counted() {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let observed = open(&folder.path().join("observed"), &ring);
        (1..4).for_each(|number| take(&observed, number, 1..5));
        let (exports, stop) = (Exports::default(), watch::Sender::new(false));
        let source = |observed: &Observed| RawSource::<Usage> {
            name: "house".to_owned(),
            observed: observed.clone(),
            origin: "latchkey/c1".into(),
            item: PhantomData,
        };
        let sink = Narrow::default();
        let run = || {
            let opened = Box::new(sink.clone());
            let source = Arc::new(source(&observed));
            let exporter = Exporter::new(&settings(""), opened, folder.path().join("house"), source, &exports);
            tokio::spawn(exporter.run(stop.subscribe()))
        };
        let until = async |next: u64| {
            while !exports.list().iter().any(|(_, status)| status.next == next) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let task = run();
        until(3).await;
        task.abort();
        let _ = task.await;
        let seen = sink.0.lock().unwrap().1.clone();
        let ids: std::collections::BTreeSet<_> = seen.iter().map(Item::id).collect();
        assert_eq!((seen.len(), ids.len()), (12, 12));
        assert_eq!(seen[0].outcomes, [("VALID".to_owned(), 2), ("NOT_FOUND".to_owned(), 1)]);
        // Away while the log is let go of: nobody holds it.
        observed.raw_hold("house", u64::MAX);
        take(&observed, 4, 1..2);
        observed.flush().unwrap();
        take(&observed, 5, 1..2);
        let _task = run();
        until(5).await;
        let (_, status) = exports.list().remove(0);
        assert_eq!((status.missed, status.stream), (1, latchkey_config::SinkStream::Usage));
        assert_eq!(sink.0.lock().unwrap().1.len(), 13);
        exports.measure(0, 7, UnixMillis::new(0));
        assert_eq!(exports.list()[0].1.lag_entries, 2);
    }

    #[test]
    fn a_sink_that_is_given_another_stream_has_another_cursor() {
        let (data, usage) = (std::path::Path::new("/data"), settings(""));
        let entries = SinkSettings { stream: latchkey_config::SinkStream::Entries, ..usage.clone() };
        // A sequence of one stream would pass over what is below it in the other, and say nothing.
        let folders = [&entries, &usage].map(|settings| crate::exporting::cursor_folder(settings, data));
        assert_eq!(
            folders.map(|folder| folder.display().to_string()),
            ["/data/exports/house", "/data/exports/house/usage"]
        );
        assert_eq!(crate::exporting::followers(&[entries, usage]), ["house"]);
    }

    #[test]
    fn what_is_written_before_a_sink_says_how_far_it_is_is_kept_for_it() {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let kept = |followers: &[&str]| {
            let followers = followers.iter().map(ToString::to_string).collect();
            let options = collect::Options { followers, ..collect::Options::default() };
            Observed::open(folder.path(), collect::tests::CLUSTER, ring.clone(), options).unwrap()
        };
        let observed = kept(&["house"]);
        take(&observed, 1, 1..2);
        drop(observed);
        // A process that ends before the task of the sink has begun writes what is in memory.
        let observed = kept(&["house"]);
        observed.flush().unwrap();
        assert_eq!((observed.raw_first(), observed.raw_read(0, 9).unwrap().missed), (0, 0));
        observed.raw_hold("house", 1);
        take(&observed, 2, 1..2);
        observed.flush().unwrap();
        assert_eq!(observed.raw_first(), 1, "what it has goes");
    }

    #[test]
    fn what_a_lost_segment_held_is_counted_as_missed() {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let observed = open(folder.path(), &ring);
        observed.raw_hold("house", 0);
        for number in 1..3 {
            take(&observed, number, 1..2);
            observed.flush().unwrap();
        }
        drop(observed);
        // A disk that lost the newer files: what is in runs is not asked of the log again.
        for lost in 1..3 {
            std::fs::remove_file(folder.path().join(format!("{lost:020}.log"))).unwrap();
        }
        let observed = open(folder.path(), &ring);
        let batch = |from| read::<Usage>(&observed, &"latchkey/c1".into(), from, 10, &Filter::default()).unwrap();
        assert_eq!((batch(0).next, batch(0).missed), (1, 0));
        assert_eq!((batch(1).next, batch(1).missed), (2, 1));
        take(&observed, 3, 1..2);
        assert_eq!((batch(1).next, batch(1).missed), (2, 1));
        assert_eq!((batch(2).next, batch(2).missed), (3, 0));
    }

    #[test]
    fn lines_of_the_access_log_come_with_their_names_to_those_who_are_to_have_them() {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let observed = open(folder.path(), &ring);
        let mut told = answer(1, 9, 1, Vec::new());
        let line = |tenant| pb::AccessRecord { tenant: Some(tenant), count: 1, ..pb::AccessRecord::default() };
        told.records = vec![line(1), line(2), line(1)];
        let name = |number: u32, name: &str| pb::ObservedName {
            kind: pb::observed_name::Kind::Tenant.into(),
            number,
            tenant: number,
            name: name.to_owned(),
        };
        told.names = vec![name(1, "tenants/acme"), name(2, "tenants/other")];
        observed.take(&collect::Batch::read(NodeId(1), told).unwrap().unwrap()).unwrap();
        let read =
            |more| read::<Access>(&observed, &"latchkey/c1".into(), 0, 10, &Filter::new(&settings(more))).unwrap();
        assert_eq!((read("").records.len(), read("").next), (3, 1));
        let acme = read("tenants = ['acme']").records;
        assert_eq!(acme.iter().map(|access| access.place.at).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(acme[0].line.tenant, "tenants/acme");
        // Ahead of all there is: the store is another one.
        assert_eq!(super::read::<Access>(&observed, &"latchkey/c1".into(), 9, 10, &Filter::default()).unwrap().next, 1);
    }
}
