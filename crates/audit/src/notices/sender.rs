//! Sending notices: a sink for entries like others.

use crate::notices::patience::Patience;
use crate::notices::senders::is_of_mail;
use crate::notices::{Contacts, Ledger, Notice, Senders, Telling};
use latchkey_config::{Contact, NoticeSettings};
use latchkey_export::sink::BoxFuture;
use latchkey_export::{Record, SetAside, Sink, SinkError, Taken};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long it may take to find out whom to tell.
const LOOK_MAX: Duration = Duration::from_secs(5);
const DAY_SECONDS: u64 = 86_400;

/// Tells the contacts of each entry that there is something to tell of.
pub struct NoticeSink<C> {
    contacts: Arc<C>,
    senders: Senders,
    operators: Vec<Contact>,
    ledger: Mutex<Ledger>,
    patience: Mutex<Patience>,
    /// Of a batch that comes again since the mail server is away: who is done with, by entry. Why they were passed; `None`: they were told,
    /// which the ledger knows until midnight.
    done: Mutex<HashMap<(u64, String), Option<&'static str>>>,
}

impl<C> fmt::Debug for NoticeSink<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoticeSink").field("senders", &self.senders).finish_non_exhaustive()
    }
}

/// What came of one notice.
#[derive(Default)]
struct Told {
    /// Why a contact was passed.
    missed: Option<&'static str>,
    /// The mail server took nothing: the notice comes again.
    held: Option<SinkError>,
}

impl<C: Contacts> NoticeSink<C> {
    /// To whoever `contacts` names, and the operators of the settings.
    #[must_use]
    pub fn new(settings: &NoticeSettings, senders: Senders, contacts: C, ledger: Ledger) -> Self {
        Self {
            contacts: Arc::new(contacts),
            senders,
            operators: settings.operators.clone(),
            ledger: Mutex::new(ledger),
            patience: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// Whom to tell, each once. What is for operators goes to them; what nobody else can be told as well.
    async fn whom(&self, notice: &Notice) -> Result<BTreeMap<String, Contact>, SinkError> {
        let found = self.contacts.of(&notice.about, Instant::now() + LOOK_MAX).await;
        let found = found.map_err(|status| SinkError::Stream {
            server: "the cluster".to_owned(),
            source: std::io::Error::other(status.message().to_owned()),
        })?;
        let mut told: Vec<_> = found.iter().filter_map(|text| Contact::parse(text)).collect();
        if notice.for_operators || told.is_empty() {
            told.extend_from_slice(&self.operators);
        }
        Ok(told.into_iter().map(|contact| (contact.whole(), contact)).collect())
    }

    async fn send_all(&self, batch: &[Record], now: u64) -> Result<Taken, SinkError> {
        let (mut set_aside, mut held) = (Vec::new(), None);
        for record in batch {
            let Some(notice) = Notice::of(record) else { continue };
            let told = self.send_one(record.sequence(), &Arc::new(notice), now).await?;
            // The entry stands for all of its contacts: it is set aside once.
            if let Some(reason) = told.missed {
                set_aside.push(SetAside { sequence: record.sequence(), reason: reason.to_owned() });
            }
            held = held.or(told.held);
        }
        match held {
            // Those who have a webhook were told all the same.
            Some(error) => Err(error),
            None => {
                locked(&self.done, HashMap::clear);
                Ok(Taken { set_aside })
            }
        }
    }

    /// Tells all contacts of one notice, at once.
    async fn send_one(&self, sequence: u64, notice: &Arc<Notice>, now: u64) -> Result<Told, SinkError> {
        let (day, mut telling, mut all) = (now / DAY_SECONDS, JoinSet::new(), Told::default());
        for (name, contact) in self.whom(notice).await? {
            let about = telling_of(notice, &name);
            if locked(&self.ledger, |ledger| ledger.was_told(day, about)) {
                continue;
            }
            if let Some(passed) = locked(&self.done, |done| done.get(&(sequence, name.clone())).copied()) {
                all.missed = passed.or(all.missed);
                continue;
            }
            if locked(&self.ledger, |ledger| ledger.is_full(day, about)) {
                all.missed = Some("a contact was told enough today");
                continue;
            }
            // Ours is the mail server: what a tenant writes down cannot make it slow.
            let patient = || locked(&self.patience, |patience| patience.is_left(now, &notice.tenant));
            if matches!(contact, Contact::Webhook(_)) && !patient() {
                all.missed = Some("the contacts of its tenant took too long in this hour");
                continue;
            }
            let (senders, notice) = (self.senders.clone(), notice.clone());
            telling.spawn(async move {
                let told = senders.tell(&contact, &notice, now).await;
                (name, contact, told)
            });
        }
        let begun = Instant::now();
        while let Some(told) = telling.join_next().await {
            let (name, contact, told) = told.expect("telling does not panic");
            match told {
                Ok(()) => {
                    locked(&self.done, |done| done.insert((sequence, name.clone()), None));
                    let told = locked(&self.ledger, |ledger| ledger.tell(day, telling_of(notice, &name)));
                    told.map_err(|source| SinkError::File { verb: "write", path: PathBuf::from("told"), source })?;
                }
                Err(error) if is_of_mail(&contact, &error) => all.held = Some(self.senders.no_mail(&error)),
                Err(error) => {
                    let why = error.told();
                    tracing::warn!(kind = %notice.kind, about = %notice.about, error = %why, "a contact was not told");
                    all.missed = Some("a contact was not told");
                    locked(&self.done, |done| done.insert((sequence, name), Some("a contact was not told")));
                    locked(&self.patience, |patience| patience.waited(now, &notice.tenant, begun.elapsed()));
                }
            }
        }
        Ok(all)
    }
}

fn locked<M, T>(what: &Mutex<M>, act: impl FnOnce(&mut M) -> T) -> T {
    act(&mut what.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What is said of a key is said once a day. But that it expires soon is said by an entry for each time that its keyspace names, and
/// the last of these may be an hour after the one before; and of each end of an old version there is one entry.
fn telling_of<'a>(notice: &'a Notice, contact: &'a str) -> Telling<'a> {
    let each = matches!(notice.kind.as_str(), "key.expires_soon" | "rotation.ends_in_use");
    let about = if each { &notice.id } else { &notice.about };
    Telling { tenant: &notice.tenant, kind: &notice.kind, about, contact }
}

impl<C: Contacts> Sink for NoticeSink<C> {
    fn send<'a>(&'a self, batch: &'a [Record], unix_seconds: u64) -> BoxFuture<'a, Result<Taken, SinkError>> {
        Box::pin(self.send_all(batch, unix_seconds))
    }
}
