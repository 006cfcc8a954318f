//! Gives notice of keys that soon end: those that end first before the rest, and so many at a time.

use super::pause::{pause, sooner};
use super::telling;
use super::trouble::Trouble;
use super::{CALL_MAX, Shared};
use latchkey_domain::{KeyName, UnixMillis};
use latchkey_link::Registry;
use latchkey_link::driving;
use latchkey_state::{GiveNotices, Operation};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The feature level from which on anybody is told.
const FEATURE_LEVEL: u32 = 6;

/// Notices given between two looks. Where very many keys end at one moment this is what keeps those that end sooner, and
/// come into sight meanwhile, from waiting behind them.
const NOTICES_PER_ROUND_MAX: usize = 1_000;

/// Gives notice under one fence.
pub(super) struct Expiring<R> {
    shared: Arc<Shared<R>>,
    fence: u64,
}

/// What one look came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    /// How long looking took, without giving notice.
    took: Duration,
    /// When there is something to do again; absent: not soon.
    wake_at: Option<Instant>,
}

/// Keys of which a notice is owed: those that end first, and how many there are.
#[derive(Debug, Default)]
struct Owed {
    first: Vec<(UnixMillis, KeyName)>,
    count: usize,
}

impl<R: Registry> Expiring<R> {
    pub(super) fn new(shared: Arc<Shared<R>>, fence: u64) -> Self {
        Self { shared, fence }
    }

    /// Gives notice until the fence is old.
    pub(super) async fn run(self) {
        loop {
            let began = Instant::now();
            let looked = match self.round().await {
                Ok(looked) => looked,
                Err(Trouble::Fenced) => return,
                Err(trouble) => {
                    tracing::info!(trouble = trouble.word(), "nobody can be told now of keys that soon end");
                    // Writes may be refused for hours, and each try looks at all keys anew.
                    Looked { took: began.elapsed(), wake_at: None }
                }
            };
            sleep(pause(looked.took, looked.wake_at, Instant::now(), self.shared.options.poll)).await;
        }
    }

    /// Looks once at all keys that soon end, and gives notice of the most urgent.
    pub(super) async fn round(&self) -> Result<Looked, Trouble> {
        if self.shared.feature_level() < FEATURE_LEVEL {
            return Ok(Looked::default());
        }
        let began = Instant::now();
        let (mut owed, mut after, mut wake_at) = (Owed::default(), Vec::new(), None::<Instant>);
        loop {
            let page = driving::expiries(&*self.shared.registry, after, Instant::now() + CALL_MAX).await?;
            owed.add(page.owed);
            wake_at = sooner(wake_at, page.next_at, page.now);
            after = page.next;
            if after.is_empty() {
                break;
            }
        }
        let took = began.elapsed();
        telling::expiry_notices_owed(owed.count);
        let (first, is_more) = owed.most_urgent();
        for keys in first.chunks(self.shared.options.lot()) {
            let keys: Vec<_> = keys.iter().map(|(_, key)| key.clone()).collect();
            let (fence, count) = (self.fence, keys.len());
            self.shared.propose(fence, Operation::GiveExpiryNotices(GiveNotices { fence, keys }), count).await?;
        }
        if !is_more {
            telling::expiry_notices_owed(0);
        }
        Ok(Looked { took, wake_at: if is_more { Some(began) } else { wake_at } })
    }
}

impl Owed {
    fn add(&mut self, keys: Vec<(UnixMillis, KeyName)>) {
        self.count += keys.len();
        self.first.extend(keys);
        if self.first.len() > 2 * NOTICES_PER_ROUND_MAX {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.first.sort_by_key(|(expires_at, _)| *expires_at);
        self.first.truncate(NOTICES_PER_ROUND_MAX);
    }

    /// Those that end first, and whether there are more.
    fn most_urgent(mut self) -> (Vec<(UnixMillis, KeyName)>, bool) {
        self.keep_first();
        let is_more = self.count > self.first.len();
        (self.first, is_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{KeyId, KeyspaceName};

    fn key(number: u16) -> (UnixMillis, KeyName) {
        let keyspace = KeyspaceName::parse("tenants/acme/keyspaces/live").unwrap();
        let [high, low] = number.to_be_bytes();
        let key = KeyId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low]).unwrap();
        // The later the number, the sooner it ends.
        (UnixMillis::new(100_000 - u64::from(number)), KeyName { keyspace, key })
    }

    #[test]
    fn of_very_many_those_that_end_first_are_told_and_the_rest_is_known_of() {
        let mut owed = Owed::default();
        for page in (0..10_000).collect::<Vec<u16>>().chunks(700) {
            owed.add(page.iter().copied().map(key).collect());
            assert!(owed.first.len() <= 2 * NOTICES_PER_ROUND_MAX + 700);
        }
        assert_eq!(owed.count, 10_000);
        let (first, is_more) = owed.most_urgent();
        assert!(is_more);
        assert_eq!(first, (9_000..10_000).rev().map(key).collect::<Vec<_>>());
    }

    #[test]
    fn few_are_told_at_once() {
        let mut owed = Owed::default();
        owed.add(vec![key(1), key(2)]);
        assert_eq!(owed.most_urgent(), (vec![key(2), key(1)], false));
    }
}
