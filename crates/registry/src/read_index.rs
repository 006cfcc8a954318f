//! Read indexes, gathered: one round to a quorum serves everyone who waited when it began.
//!
//! A leader that ends and is back before anybody else stands leads on in its term. openraft takes the first record of that term
//! for what has to be applied before it may answer, which for a new leader is all that came before; one that is back has
//! acknowledged more since, and its rows lag behind. So it answers by nothing less than the log that it began this life with:
//! whatever it acknowledged is in there.

use crate::types::{LogId, Raft};
use latchkey_domain::planted::{self, Plant};
use tokio::sync::{mpsc, oneshot};

/// Callers waiting for a round.
const WAITING_MAX: usize = 1_024;

type Waiter = oneshot::Sender<Option<u64>>;

/// Asks for read indexes.
#[derive(Clone)]
pub(crate) struct ReadIndex(mpsc::Sender<Waiter>);

impl ReadIndex {
    /// The asker, and the task that owns the rounds; it ends when the last asker is gone. `began_with`: the last record that the log
    /// had before raft ran in this process.
    pub(crate) fn new(raft: Raft, began_with: Option<LogId>) -> (Self, impl Future<Output = ()> + Send) {
        let (asker, inbox) = mpsc::channel(WAITING_MAX);
        (Self(asker), run(raft, began_with, inbox))
    }

    /// The index that is committed now, if this replica is the leader and a quorum says so.
    pub(crate) async fn now(&self) -> Option<u64> {
        let (waiter, answer) = oneshot::channel();
        self.0.send(waiter).await.ok()?;
        answer.await.ok()?
    }
}

async fn run(raft: Raft, began_with: Option<LogId>, mut inbox: mpsc::Receiver<Waiter>) {
    let mut waiting = Vec::new();
    while inbox.recv_many(&mut waiting, WAITING_MAX).await > 0 {
        let index = match raft.get_read_log_id().await {
            _ if planted::is(Plant::StaleQuorum) => raft.metrics().borrow().last_applied.map(|log_id| log_id.index),
            Ok((read, _)) => Some(read.map_or(0, |read| confirmed(read, began_with))),
            Err(_) => None,
        };
        for waiter in waiting.drain(..) {
            // Whoever went away in the meantime is not missed.
            let _unheard = waiter.send(index);
        }
    }
}

/// What a quorum's word stands for. Who leads by another term than the one whose record the log ended with has begun it with a
/// record of its own, after all that was acknowledged before; and what the log ended with may be overwritten by then.
fn confirmed(read: LogId, began_with: Option<LogId>) -> u64 {
    let led_on = began_with.filter(|last| last.leader_id == read.leader_id && !planted::is(Plant::LedOnUnread));
    led_on.map_or(read.index, |last| last.index.max(read.index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::CommittedLeaderId;

    fn log_id(term: u64, node: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, node), index)
    }

    #[test]
    fn who_leads_on_answers_by_no_less_than_its_log_had() {
        assert_eq!(confirmed(log_id(3, 1, 7), Some(log_id(3, 1, 40))), 40);
        assert_eq!(confirmed(log_id(3, 1, 41), Some(log_id(3, 1, 40))), 41);
    }

    #[test]
    fn what_the_log_had_before_another_term_began_binds_nobody() {
        // It may be overwritten: the record that began the term has an index below it.
        assert_eq!(confirmed(log_id(4, 1, 12), Some(log_id(3, 1, 40))), 12);
        assert_eq!(confirmed(log_id(4, 1, 12), Some(log_id(3, 2, 40))), 12);
        assert_eq!(confirmed(log_id(1, 1, 1), None), 1);
    }
}
