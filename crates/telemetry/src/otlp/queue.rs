//! A bounded queue into the export. Putting something in never waits.

use tokio::sync::mpsc;

/// Items that wait at most: of spans about 2 MB.
const ITEMS_MAX: usize = 4_096;

/// The end that things are put into.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    signal: &'static str,
    items: mpsc::Sender<T>,
}

/// A queue for one signal.
pub(crate) fn queue<T>(signal: &'static str) -> (Queue<T>, mpsc::Receiver<T>) {
    let (items, taken) = mpsc::channel(ITEMS_MAX);
    (Queue { signal, items }, taken)
}

impl<T> Queue<T> {
    /// Puts it in, or drops it and counts that.
    pub(crate) fn put(&self, item: T) {
        if self.items.try_send(item).is_err() {
            super::dropped(self.signal, "queue_full", 1);
        }
    }
}
