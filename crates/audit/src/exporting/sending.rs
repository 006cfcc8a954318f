//! The tasks of all sinks, and what becomes of one that ends as none may.

use crate::exporting::Exports;
use latchkey_telemetry::{Clock as _, SystemClock};
use std::collections::HashMap;
use tokio::task::{Id, JoinSet};

/// The tasks of all sinks. They end with it.
#[derive(Debug)]
pub struct Sending {
    tasks: JoinSet<()>,
    sinks: HashMap<Id, String>,
    exports: Exports,
}

impl Sending {
    /// None yet.
    pub(super) fn new(exports: &Exports) -> Self {
        Self { tasks: JoinSet::new(), sinks: HashMap::new(), exports: exports.clone() }
    }

    /// Adds the task of a sink.
    pub(super) fn spawn(&mut self, sink: String, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.sinks.insert(id, sink);
    }

    /// Adds a task that is no sink's.
    pub(super) fn spawn_beside(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until all have ended. A sink whose task panicked fails from then on: its last status would say for ever that it is well.
    pub async fn run(mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let Some(error) = ended.err().filter(|error| !error.is_cancelled()) else { continue };
            let sink = self.sinks.get(&error.id()).map_or("", String::as_str);
            tracing::error!(sink, %error, "a task of exporting ended, which is a bug; audit has to be started again");
            if sink.is_empty() {
                continue;
            }
            let now = SystemClock.unix_millis();
            self.exports.update(sink, |status| {
                status.failing = Some((now, "its task ended, which is a bug: start audit again".to_owned()));
                status.waits_since.get_or_insert(now);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sink_whose_task_panics_fails_and_no_other_does() {
        let exports = Exports::default();
        let mut sending = Sending::new(&exports);
        sending.spawn("well".to_owned(), async {});
        sending.spawn("broken".to_owned(), async { panic!("a bug") });
        exports.update("well", |status| status.next = 7);
        exports.update("broken", |status| status.well_at = Some(SystemClock.unix_millis()));
        sending.run().await;
        let [(_, broken), (_, well)] = &exports.list()[..] else { panic!("two sinks") };
        assert!(broken.failing.as_ref().is_some_and(|(_, why)| why.contains("bug")) && broken.waits_since.is_some());
        assert_eq!((well.failing.as_ref(), well.next), (None, 7));
    }
}
