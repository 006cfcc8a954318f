//! Read indexes, gathered: one round to a quorum serves everyone who waited when it began.

use crate::types::Raft;
use latchkey_domain::planted::{self, Plant};
use tokio::sync::{mpsc, oneshot};

/// Callers waiting for a round.
const WAITING_MAX: usize = 1_024;

type Waiter = oneshot::Sender<Option<u64>>;

/// Asks for read indexes.
#[derive(Clone)]
pub(crate) struct ReadIndex(mpsc::Sender<Waiter>);

impl ReadIndex {
    /// The asker, and the task that owns the rounds; it ends when the last asker is gone.
    pub(crate) fn new(raft: Raft) -> (Self, impl Future<Output = ()> + Send) {
        let (asker, inbox) = mpsc::channel(WAITING_MAX);
        (Self(asker), run(raft, inbox))
    }

    /// The index that is committed now, if this replica is the leader and a quorum says so.
    pub(crate) async fn now(&self) -> Option<u64> {
        let (waiter, answer) = oneshot::channel();
        self.0.send(waiter).await.ok()?;
        answer.await.ok()?
    }
}

async fn run(raft: Raft, mut inbox: mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    while inbox.recv_many(&mut waiting, WAITING_MAX).await > 0 {
        let index = match raft.get_read_log_id().await {
            _ if planted::is(Plant::StaleQuorum) => raft.metrics().borrow().last_applied.map(|log_id| log_id.index),
            Ok((read, _)) => Some(read.map_or(0, |log_id| log_id.index)),
            Err(_) => None,
        };
        for waiter in waiting.drain(..) {
            // Whoever went away in the meantime is not missed.
            let _unheard = waiter.send(index);
        }
    }
}
