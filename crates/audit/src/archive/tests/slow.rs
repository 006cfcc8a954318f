//! A store that takes its time, while an old folder is published for the first time.

use super::*;
use crate::keeping::trimmable;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use std::fmt;
use std::pin::Pin;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_stream::Stream;
use tonic::async_trait;

type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// How long each write takes: another continent.
const EACH_PUT: Duration = Duration::from_millis(200);
/// What was stored before there was an archive.
const OLD: u64 = 40_000;

#[derive(Debug)]
struct Slow(InMemory);

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow")
    }
}

#[async_trait]
impl ObjectStore for Slow {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        sleep(EACH_PUT).await;
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, to: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<Result<Path>>) -> BoxStream<Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_an_old_folder_that_is_published_to_a_slow_store() {
    let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
    let place = Place::Store(Arc::new(Slow(InMemory::new())));
    let mut disk = Disk::open_or_create(folder.path(), JournalOptions::default(), &place, CLUSTER).await.unwrap();
    append(&mut disk, OLD);
    let (promised, seen) = watch::channel(OLD);
    let covered = watch::Sender::new(u64::MAX);
    let published = disk.archive.published();
    let (trimmable, _bounding) = trimmable(seen, (published.clone(), true), covered.subscribe(), OLD);
    let (stop, stopped) = watch::channel(false);
    let publishing = tokio::spawn(publisher(&disk).run(stopped));
    let (mut seconds, mut before) = (0, 0);
    while *published.borrow() < OLD {
        // Following goes on: what comes is durable at once, and the cluster may forget it.
        let at = Instant::now();
        append(&mut disk, 50);
        assert_eq!(at.elapsed(), Duration::ZERO, "nobody waits for the store");
        promised.send_replace(disk.log.next());
        sleep(Duration::from_secs(1)).await;
        let reached = *published.borrow();
        assert!(reached >= before, "{reached}");
        if reached < OLD {
            assert_eq!(*trimmable.borrow(), disk.log.next(), "{reached} are published");
        }
        (before, seconds) = (reached, seconds + 1);
        assert!(seconds < 600, "{reached} of {OLD} after {seconds} s");
    }
    println!("{OLD} entries in {seconds} s of simulated time, {} a put", EACH_PUT.as_millis());
    // From then on an entry is forgotten once it is on the other machine too.
    while *published.borrow() < disk.log.next() {
        sleep(Duration::from_secs(1)).await;
    }
    append(&mut disk, 50);
    let next = disk.log.next();
    promised.send_replace(next);
    tokio::task::yield_now().await;
    assert_eq!(*trimmable.borrow(), next - 50);
    while *published.borrow() < next {
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(*trimmable.borrow(), next);
    stop.send_replace(true);
    publishing.await.unwrap().unwrap();
    println!("all of it after {} s", begun.elapsed().as_secs());
}
