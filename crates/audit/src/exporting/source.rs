//! Where entries come from: the log, opened.

use crate::LogName;
use crate::cluster::Cluster;
use crate::entries::Entries;
use crate::exporting::Filter;
use crate::show;
use latchkey_export::{Item, Record};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

/// How long opening one block may take: keys may have to be asked for.
const OPEN_MAX: Duration = Duration::from_secs(5);
/// Entries that are passed over for one batch at most, so that a cursor moves on also where a sink wants few.
const PASSED_MAX: u64 = 8_192;

/// What is to be sent, in the order of its sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T = Record> {
    /// Those that were looked for.
    pub records: Vec<T>,
    /// The first sequence that was not looked at.
    pub next: u64,
    /// Sequences from the one asked for on that are not kept any more, and will never be sent; then there are no records.
    pub missed: u64,
}

/// Which log a source reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It does not tell, and sees by itself that a cursor is of another.
    Any,
    /// It has no entry yet.
    Empty,
    /// This one.
    Log(LogName),
}

/// A log that is exported.
pub trait Source: Send + Sync + 'static {
    /// What comes from there.
    type Item: Item;

    /// The setting that says how much is kept for a sink that is away.
    const KEPT_BY: &'static str;

    /// The oldest that is kept: where a sink that is new begins.
    fn first(&self) -> u64;

    /// Which log it is: cursors are of one.
    ///
    /// # Errors
    /// Any may pass.
    fn whose(&self) -> impl Future<Output = Result<Whose, Status>> + Send {
        std::future::ready(Ok(Whose::Any))
    }

    /// Notes that all below a sequence was taken: it need not be kept for the sink.
    fn hold(&self, _from: u64) {}

    /// Follows the number of entries that there are.
    fn watch(&self) -> watch::Receiver<u64>;

    /// The next from a sequence on that the filter holds, about `max`; empty with the same `next` at the end of the log.
    ///
    /// # Errors
    /// Any may pass.
    fn read(
        &self,
        from: u64,
        max: usize,
        filter: &Filter,
    ) -> impl Future<Output = Result<Batch<Self::Item>, Status>> + Send;
}

/// The name of the tree that a cluster's entries stand in.
pub(crate) fn origin(cluster: latchkey_domain::ClusterId) -> Arc<str> {
    let mut text = "latchkey/".to_owned();
    for byte in cluster.0 {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

impl<C: Cluster> Source for Entries<C> {
    type Item = Record;

    const KEPT_BY: &'static str = "archive.retention_days";

    fn first(&self) -> u64 {
        self.log().kept_from()
    }

    async fn whose(&self) -> Result<Whose, Status> {
        Ok(self.log().name().await?.map_or(Whose::Empty, Whose::Log))
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.log().watch()
    }

    async fn read(&self, from: u64, max: usize, filter: &Filter) -> Result<Batch, Status> {
        let origin = origin(self.reader().cluster());
        let kept_from = self.log().kept_from();
        if from < kept_from {
            return Ok(Batch { records: Vec::new(), next: kept_from, missed: kept_from - from });
        }
        let (mut records, mut at) = (Vec::new(), from);
        while records.len() < max && at - from < PASSED_MAX {
            let Some(block) = self.block(at).await? else { break };
            let by = Instant::now() + OPEN_MAX;
            let begin = at;
            for (sequence, frame) in (block.first..).zip(&block.frames).skip_while(|(sequence, _)| *sequence < begin) {
                if records.len() == max {
                    break;
                }
                at = sequence + 1;
                // What was destroyed with its tenant goes nowhere.
                let Some(found) = self.open(sequence, frame, by).await? else { continue };
                if filter.holds(&found.tenant, &found.told.action) {
                    let leaf = *frame.leaf.as_bytes();
                    records.push(Record { entry: show::entry(found), leaf, origin: origin.clone() });
                }
            }
        }
        Ok(Batch { records, next: at, missed: 0 })
    }
}
