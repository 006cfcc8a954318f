//! Consumers of keys: each reads its secret from the file that it is delivered to, and takes a new one when it pleases.

use crate::random::Random;
use crate::report::Trouble;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What one consumer does with the secrets that it is delivered.
#[derive(Debug)]
pub(super) struct Consumer {
    /// The resource name of its key.
    pub(super) key: String,
    file: PathBuf,
    /// It takes a new secret within this time.
    switches_within: Duration,
    held: Mutex<Held>,
}

/// What it has in its hands.
#[derive(Debug)]
struct Held {
    text: String,
    /// How many it had before.
    generation: u64,
    /// When the latest call began by which it was accepted, or when it was taken.
    used: Instant,
    /// The secrets of the calls that are under way.
    under_way: Vec<u64>,
    /// When the file was last changed, as far as it looked.
    changed: Option<SystemTime>,
    /// What it will take, when it saw that, and when it takes it.
    next: Option<Next>,
    former: Vec<Former>,
    random: Random,
}

#[derive(Debug)]
struct Next {
    text: String,
    seen: Instant,
    switches: Instant,
}

/// A secret that was given up.
#[derive(Clone, Debug)]
pub(super) struct Former {
    pub(super) text: String,
    /// When the one that took its place was seen.
    replaced: Instant,
    /// When the latest call began by which it was accepted.
    used: Instant,
}

/// A secret in use.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) text: String,
    generation: u64,
    began: Instant,
}

impl Consumer {
    /// A consumer of a key whose first text lies in the file.
    pub(super) fn new(key: String, text: String, file: PathBuf, switches_within: Duration, random: Random) -> Self {
        let (used, changed) = (Instant::now(), changed(&file));
        let (under_way, former) = (Vec::new(), Vec::new());
        let held = Held { text, generation: 0, used, under_way, changed, next: None, former, random };
        Self { key, file, switches_within, held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether its file changed. From then on it switches at a moment that is drawn.
    pub(super) fn look(&self) {
        let now = Instant::now();
        let mut held = self.held();
        let changed = changed(&self.file);
        if changed != held.changed
            && let Ok(text) = fs::read_to_string(&self.file)
        {
            held.changed = changed;
            let text = text.trim_end().to_owned();
            if text != held.text {
                let wait = self.switches_within.mul_f64(held.random.share());
                held.next = Some(Next { text, seen: now, switches: now + wait });
            }
        }
        if let Some(next) = held.next.take_if(|next| next.switches <= now) {
            let text = std::mem::replace(&mut held.text, next.text);
            let former = Former { text, replaced: next.seen, used: held.used };
            held.former.push(former);
            held.generation += 1;
            held.used = now;
        }
    }

    /// The secret for a call that begins now.
    pub(super) fn begin(&self) -> Used {
        let mut held = self.held();
        let (text, generation) = (held.text.clone(), held.generation);
        held.under_way.push(generation);
        Used { text, generation, began: Instant::now() }
    }

    /// A call is over by which the secret was accepted.
    pub(super) fn accepted(&self, used: &Used) {
        let mut held = self.held();
        held.over(used.generation);
        let place = usize::try_from(used.generation).expect("a small number");
        let latest = match held.former.get_mut(place) {
            Some(former) => &mut former.used,
            None => &mut held.used,
        };
        *latest = used.began.max(*latest);
    }

    /// A call is over by which nothing was learnt.
    pub(super) fn failed(&self, used: &Used) {
        self.held().over(used.generation);
    }

    /// A call is over by which the secret was refused. Says why that may be right; none: it must not be.
    pub(super) fn refused(&self, used: &Used, promise: &Promise) -> Option<&'static str> {
        let now = Instant::now();
        let mut held = self.held();
        held.over(used.generation);
        let former = held.former.get(usize::try_from(used.generation).expect("a small number"));
        let (replaced, last) = match (former, &held.next) {
            (Some(former), _) => (former.replaced, former.used),
            (None, Some(next)) => (next.seen, held.used),
            (None, None) => return None,
        };
        // Whoever is later than what is promised, as this machine was slow, proves nothing.
        if now.duration_since(replaced) >= promise.overlap {
            return Some("later than the overlap, by our own clock");
        }
        let silent = promise.silence.is_some_and(|silence| now.duration_since(last) >= silence);
        silent.then_some("silent for as long as the policy asks, by our own clock")
    }

    /// Whether neither this secret nor one before it is in use any more.
    pub(super) fn is_done_with(&self, generation: u64) -> bool {
        let held = self.held();
        held.generation > generation && held.under_way.iter().all(|one| *one > generation)
    }

    /// Where its secrets are delivered.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// How many secrets it had before the one in use.
    pub(super) fn switched(&self) -> u64 {
        self.held().generation
    }

    /// The secrets that it gave up, the latest last.
    pub(super) fn former(&self) -> Vec<Former> {
        self.held().former.clone()
    }

    /// What lies in its file.
    pub(super) fn delivered(&self) -> Result<String, Trouble> {
        let text = fs::read_to_string(&self.file);
        Ok(text.map_err(|error| Trouble::wrong(format!("{}: {error}", self.file.display())))?.trim_end().to_owned())
    }
}

/// What a consumer may count on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// From the delivery of a new secret on, the old one is accepted for so long,
    pub(super) overlap: Duration,
    /// unless it was not used for so long.
    pub(super) silence: Option<Duration>,
}

impl Held {
    fn over(&mut self, generation: u64) {
        if let Some(place) = self.under_way.iter().position(|one| *one == generation) {
            self.under_way.swap_remove(place);
        }
    }
}

impl Used {
    /// Which secret it is of all that the consumer had, never the secret.
    pub(super) fn describe(&self, consumer: &Consumer) -> String {
        let held = consumer.held();
        let next = held.next.as_ref().map(|next| next.seen.elapsed());
        let current = held.generation;
        format!(
            "{} (in use is {current}, a new one was seen {next:?} ago; answered {:?})",
            self.generation,
            self.lasted()
        )
    }

    /// How long this call lasts.
    pub(super) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }
}

/// When a file last changed: it is replaced as a whole.
fn changed(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Puts a text where a consumer reads it, as a whole.
pub(super) fn place(file: &Path, text: &str) -> Result<(), Trouble> {
    let beside = file.with_extension("placed");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, file)).map_err(Trouble::not_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Promise = Promise { overlap: Duration::from_secs(3_600), silence: None };
    const LATE: Promise = Promise { overlap: Duration::ZERO, ..PROMISE };
    const SILENT: Promise = Promise { silence: Some(Duration::ZERO), ..PROMISE };

    fn consumer(folder: &Path) -> Consumer {
        let file = folder.join("secret");
        place(&file, "one").unwrap();
        Consumer::new("keys/a".to_owned(), "one".to_owned(), file, Duration::ZERO, Random::new(1))
    }

    #[test]
    fn a_secret_that_is_refused_before_a_new_one_is_delivered_is_a_finding() {
        let folder = tempfile::tempdir().unwrap();
        let consumer = consumer(folder.path());
        consumer.accepted(&consumer.begin());
        for promise in [PROMISE, LATE, SILENT] {
            assert_eq!(consumer.refused(&consumer.begin(), &promise), None);
        }
    }

    #[test]
    fn a_consumer_takes_what_is_delivered_and_may_count_on_the_old_one_for_the_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let consumer = consumer(folder.path());
        let old = consumer.begin();
        // The clock of a file system may be coarse.
        while consumer.switched() == 0 {
            place(&folder.path().join("secret"), "two").unwrap();
            consumer.look();
        }
        assert!(!consumer.is_done_with(0));
        assert_eq!(consumer.refused(&consumer.begin(), &LATE), None);
        assert_eq!(consumer.refused(&old, &PROMISE), None);
        assert!(consumer.is_done_with(0));
        assert_eq!(consumer.refused(&old, &LATE), Some("later than the overlap, by our own clock"));
        assert_eq!(consumer.refused(&old, &SILENT), Some("silent for as long as the policy asks, by our own clock"));
        assert_eq!((consumer.begin().text, consumer.former().len()), ("two".to_owned(), 1));
    }
}
