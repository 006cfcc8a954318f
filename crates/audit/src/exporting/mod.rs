//! Sending entries elsewhere: each sink has a task, a cursor and a back-off of its own, so that one that is dead stops nothing else.
//!
//! ```text
//! journal -> Source: filtered, opened -> Sink: took it -> set aside, if any -> cursor, durable
//!                      ^------------------- back-off ------ did not
//! ```
//! What replicas observed goes the same way: its source is the log of their batches, of which no more is kept for a sink than there is
//! room for, and what one missed is counted. Of a batch that is sent in parts the cursor moves with the last of them.
//!
//! The cursor is the next sequence that the sink has not taken. It is moved only after the sink took all below it, so entries come at
//! least once, in the order of their sequences, also over a crash. It is a cursor into one log: where another one has begun, or an older
//! copy was put back, the sink begins with the first that it cannot have.
//!
//! What a sink will never take is written down by its number and passed: the entry itself stays in the audit log, and one entry never
//! holds up all others. But a place that refuses whatever it is sent is broken: nothing is set aside before it takes another.

mod cursor;
mod filter;
mod observed;
mod pause;
mod rpc;
mod runner;
mod sending;
mod set_aside;
mod source;
mod status;

pub(crate) use pause::Pauses;
pub(crate) use rpc::read_exports;
pub(crate) use runner::NOTICES;
pub(crate) use source::origin;

pub use cursor::{Cursor, CursorError};
pub use filter::Filter;
pub use observed::Raw;
pub use runner::Exporter;
pub use sending::Sending;
pub use source::{Batch, Source, Whose};
pub use status::{Exports, SinkStatus};

use crate::notices::{ContactsOverRegistry, Ledger, NoticeSink, Senders};
use latchkey_config::{NoticeSettings, SinkSettings, SinkStream};
use latchkey_export::{Access, Record, Sink, Usage, sink};
use latchkey_link::Registry;
use latchkey_telemetry::{Clock as _, SystemClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// The folder of cursors within the data folder.
const FOLDER: &str = "exports";
/// Between two looks at how far sinks are.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// The sinks that follow what replicas observed, by their names.
pub(crate) fn followers(sinks: &[SinkSettings]) -> Vec<String> {
    sinks.iter().filter(|sink| sink.stream != SinkStream::Entries).map(|sink| sink.name.to_string()).collect()
}

/// Where a sink's cursor lies: one for each stream, as a sequence of one is none of another.
fn cursor_folder(settings: &SinkSettings, data_folder: &Path) -> PathBuf {
    let folder = data_folder.join(FOLDER).join(settings.name.as_str());
    if settings.stream == SinkStream::Entries { folder } else { folder.join(settings.stream.as_str()) }
}

/// Begins to send to all sinks. The tasks end when `stopped` says so, or with the answer, which somebody has to run.
pub fn begin<S: Source<Item = Record>>(
    sinks: &[SinkSettings],
    data_folder: &Path,
    source: &Arc<S>,
    raw: &Raw,
    exports: &Exports,
    stopped: &watch::Receiver<bool>,
) -> Sending {
    let mut tasks = Sending::new(exports);
    for settings in sinks {
        let folder = cursor_folder(settings, data_folder);
        let (settings, exports, stopped) = (settings.clone(), exports.clone(), stopped.clone());
        let name = settings.name.to_string();
        match settings.stream {
            SinkStream::Entries => {
                let opened: Box<dyn Sink> = sink::open(&settings);
                tasks.spawn(name, Exporter::new(&settings, opened, folder, source.clone(), &exports).run(stopped));
            }
            SinkStream::Usage => tasks.spawn(name, raw.clone().send::<Usage>(settings, folder, exports, stopped)),
            SinkStream::Access => tasks.spawn(name, raw.clone().send::<Access>(settings, folder, exports, stopped)),
        }
    }
    tasks.spawn_beside(measure(source.watch(), raw.clone(), exports.clone()));
    tasks
}

/// Begins to tell people what concerns their keys. The task ends when `stopped` says so, or with the others.
pub fn begin_notices<S: Source<Item = Record>, R: Registry>(
    tasks: &mut Sending,
    (settings, senders): (&NoticeSettings, Senders),
    folder: PathBuf,
    source: &Arc<S>,
    registry: Arc<R>,
    exports: &Exports,
    stopped: &watch::Receiver<bool>,
) {
    let ledger = Ledger::open(&folder);
    let sink = NoticeSink::new(settings, senders, ContactsOverRegistry::new(registry), ledger);
    let exporter = Exporter::notices(Box::new(sink), folder, source.clone(), exports);
    tasks.spawn(NOTICES.to_owned(), exporter.run(stopped.clone()));
}

/// Tells each second how far sinks are: one that is dead tells nothing by itself.
async fn measure(stored: watch::Receiver<u64>, raw: Raw, exports: Exports) {
    loop {
        exports.measure(*stored.borrow(), raw.batches(), SystemClock.unix_millis());
        sleep(MEASURE_INTERVAL).await;
    }
}
