//! Operators' notices: what only this service knows, told to those who run it. It needs neither metrics nor anybody who looks at them.
//!
//! ```text
//! sinks, signing, a halt -> Looking: holds, has ended, nobody knows -> each operator once -> written down -> once more when it ended
//! ```
//! A cause is told once until it has ended, also over restarts; that it ended is told to those who heard that it began. An operator
//! who cannot be told is tried again, each time later, for as long as the cause holds.

mod cause;
mod told;

pub use cause::{Cause, Kind, Looking, Seen, State};
pub use told::Told;

use crate::checkpoint::Signing;
use crate::exporting::{Exports, Pauses};
use crate::notices::ledger::mark;
use crate::notices::{Notice, Senders};
use latchkey_config::{Contact, NoticeSettings};
use latchkey_domain::{DurationMillis, UnixMillis};
use latchkey_telemetry::{Clock as _, OsEntropy, SystemClock};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a cause must have ended before that is told: what comes and goes is one cause.
const CALM: DurationMillis = DurationMillis::from_secs(60);

/// Tells operators.
#[derive(Debug)]
pub struct Operators {
    origin: String,
    contacts: Vec<Contact>,
    senders: Senders,
    looking: Looking,
    told: Told,
    /// Since when causes have ended.
    calm: HashMap<Cause, UnixMillis>,
    /// Who could not be told, by a digest that shows no secret, and when they are tried again.
    waits: HashMap<String, (Pauses, UnixMillis)>,
}

/// What operators are told of, as it changes.
#[derive(Clone, Debug)]
pub struct Watched {
    /// How sinks do.
    pub exports: Exports,
    /// How signing does.
    pub signing: watch::Receiver<Signing>,
    /// Whether events come and are stored.
    pub follows: watch::Receiver<bool>,
    /// Why the service stops, where it does.
    pub halted: watch::Receiver<Option<String>>,
}

impl Operators {
    /// As the settings say, of the tree `origin`. What was told before lies in `folder`.
    #[must_use]
    pub fn new(settings: &NoticeSettings, senders: Senders, origin: &str, folder: &Path) -> Self {
        let after = |seconds: u64| DurationMillis::from_secs(seconds);
        Self {
            origin: origin.trim_start_matches("latchkey/").to_owned(),
            contacts: settings.operators.clone(),
            senders,
            looking: Looking::new(after(settings.sink_behind_after_s), after(settings.unsigned_after_s)),
            told: Told::open(folder),
            calm: HashMap::new(),
            waits: HashMap::new(),
        }
    }

    /// Tells for as long as the service runs; ends by itself once operators were told why it stops.
    pub async fn run(mut self, mut watched: Watched) {
        loop {
            let halted = watched.halted.borrow_and_update().clone();
            let (signing, follows) = (watched.signing.borrow().clone(), *watched.follows.borrow());
            let (sinks, now) = (watched.exports.list(), SystemClock.unix_millis());
            self.step(&Seen { sinks: &sinks, signing: &signing, follows, halted: halted.as_deref(), now }).await;
            if halted.is_some() {
                return;
            }
            // Nobody is left who could say that it stops: then nobody waits for this either.
            if matches!(timeout(INTERVAL, watched.halted.changed()).await, Ok(Err(_))) {
                return;
            }
        }
    }

    /// Looks once, and tells what there is to tell.
    pub async fn step(&mut self, seen: &Seen<'_>) {
        let mut states = self.looking.look(seen);
        // A sink that is in no settings any more will not say that it is well.
        let gone = self.told.causes().filter(|cause| !states.iter().any(|(found, _)| found == cause));
        states.extend(gone.map(|cause| (cause, State::Ended)).collect::<Vec<_>>());
        for (cause, state) in states {
            match state {
                State::Holds(why) => {
                    self.calm.remove(&cause);
                    self.begun(&cause, &why, seen.now).await;
                }
                State::Ended if self.told.since(&cause).is_none() => {}
                State::Ended => {
                    let since = *self.calm.entry(cause.clone()).or_insert(seen.now);
                    if seen.now.since(since) >= CALM {
                        self.ended(&cause, seen.now).await;
                    }
                }
                State::Unknown => {
                    self.calm.remove(&cause);
                }
            }
        }
    }

    async fn begun(&mut self, cause: &Cause, why: &str, now: UnixMillis) {
        let since = self.told.since(cause).unwrap_or(now);
        for contact in self.contacts.clone() {
            let name = contact.whole();
            if self.told.has(cause, &name) {
                continue;
            }
            let notice = cause.notice(&self.origin, since, Some(why));
            if self.tell(&contact, &notice, now).await.is_some_and(|told| told) {
                self.told.add(cause, &name, since);
            }
        }
    }

    async fn ended(&mut self, cause: &Cause, now: UnixMillis) {
        let Some(since) = self.told.since(cause) else { return };
        for contact in self.contacts.clone() {
            let name = contact.whole();
            let notice = cause.notice(&self.origin, since, None);
            if self.told.has(cause, &name) && self.tell(&contact, &notice, now).await.is_some() {
                self.told.remove(cause, &name);
            }
        }
        // Who is no operator any more is told nothing.
        let names: Vec<_> = self.contacts.iter().map(Contact::whole).collect();
        if !names.iter().any(|name| self.told.has(cause, name)) {
            self.told.forget(cause);
            self.calm.remove(cause);
        }
    }

    /// Whether a contact was told; `None`: it is tried again.
    async fn tell(&mut self, contact: &Contact, notice: &Notice, now: UnixMillis) -> Option<bool> {
        let name = mark(&[&contact.whole()]);
        if self.waits.get(&name).is_some_and(|(_, until)| *until > now) {
            return None;
        }
        match self.senders.tell_once(contact, notice, now.millis() / 1_000).await {
            Ok(()) => {
                self.waits.remove(&name);
                Some(true)
            }
            Err(error) => {
                let is_new = !self.waits.contains_key(&name);
                let (pauses, until) = self.waits.entry(name).or_insert_with(|| (Pauses::default(), now));
                let pause = pauses.next(Some(error.left()), &mut OsEntropy);
                *until = now.plus(DurationMillis::new(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)));
                // Said once for as long as it cannot be told.
                if is_new {
                    tracing::warn!(kind = %notice.kind, about = %notice.about, error = %error.told(), "an operator was not told; it is tried again");
                }
                (!error.is_retryable()).then_some(false)
            }
        }
    }
}
