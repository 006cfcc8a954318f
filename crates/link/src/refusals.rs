//! Refusals of identities that proved who they are, gathered for the audit log: whoever tries doors leaves a trace.
//!
//! What is gathered is bounded by identity and in all, is written at most once a second, and never in the way of an
//! answer: where it cannot be written it is dropped and counted.

use crate::{ProvenIdentity, Registry};
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{IdentityName, Slug};
use latchkey_state::{Actor, Command, GatheredRefusal, Operation, REFUSALS_PER_COMMAND_MAX, SUBJECT_BYTES_MAX};
use latchkey_wire::pb::v1::ErrorReason as Reason;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How often at most they are written.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// How long one write may take: longer than an election would only make more wait.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// Refusals of one identity within one minute that are told one by one, with their subject. The rest are counted.
const SINGLE_MAX: u32 = 64;

/// How long that counts.
const WINDOW: Duration = Duration::from_secs(60);

/// Identities that are watched at once.
const IDENTITIES_MAX: usize = 1_024;

/// Refusals that wait to be written.
const WAITING_MAX: usize = 4 * REFUSALS_PER_COMMAND_MAX;

/// The facts of an error that say what it was about, the first that is there.
const SUBJECTS: [&str; 5] = ["scope", "name", "rotation", "role", "owner"];

/// Gathers what one process refuses. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gathered: Mutex<Gathered>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Gathered {
    windows: HashMap<IdentityName, Window>,
    /// In the order in which they came, the same ones as one.
    waiting: Vec<GatheredRefusal>,
    dropped: u64,
}

/// What one identity did within one minute.
#[derive(Debug)]
struct Window {
    since: Instant,
    single: u32,
    /// Beyond [`SINGLE_MAX`]: by method and reason, without a subject.
    counted: BTreeMap<(&'static str, String), u32>,
}

impl Refusals {
    /// Takes note of the answer to a call of `method`, such as `IssuanceService/CreateKey`, if it is a refusal.
    pub fn note(&self, identity: &ProvenIdentity, method: &'static str, status: &Status) {
        let Some((reason, subject)) = refusal(status) else { return };
        self.gathered().take(&identity.identity, method, reason, subject, Instant::now());
        self.shared.came.notify_one();
    }

    /// Writes what is gathered into the audit log, on behalf of `service`, for as long as it is polled.
    pub async fn write_into(&self, registry: &impl Registry, service: &Slug, entropy: &mut (impl Entropy + Send)) {
        loop {
            let in_time = tokio::time::timeout(WINDOW, self.shared.came.notified()).await;
            if in_time.is_ok() {
                // What comes within the second goes with it.
                sleep(WRITE_INTERVAL).await;
            }
            self.write(registry, service, entropy).await;
        }
    }

    /// Writes what is gathered now: for whoever is about to stop.
    pub async fn write(&self, registry: &impl Registry, service: &Slug, entropy: &mut (impl Entropy + Send)) {
        loop {
            let refusals = self.gathered().give(Instant::now());
            if refusals.is_empty() {
                return;
            }
            let count = u64::try_from(refusals.len()).unwrap_or(u64::MAX);
            let operation = Operation::RecordRefusals(refusals);
            let command = Command::new(Actor::Service(service.clone()), draw(entropy), operation);
            let problem = match registry.propose(&command, Instant::now() + WRITE_MAX).await.map(|told| told.answer) {
                Ok(Ok(_)) => continue,
                Ok(Err(refusal)) => format!("{refusal:?}"),
                Err(status) => status.message().to_owned(),
            };
            tracing::warn!(count, problem, "refusals are not in the audit log");
            self.gathered().drop_some(count);
            return;
        }
    }

    /// How many were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.gathered().dropped
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.shared.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn take(&mut self, identity: &IdentityName, method: &'static str, reason: String, subject: String, now: Instant) {
        if !self.windows.contains_key(identity) && self.windows.len() >= IDENTITIES_MAX {
            return self.drop_some(1);
        }
        let window = self.windows.entry(identity.clone()).or_insert_with(|| Window::new(now));
        if window.single >= SINGLE_MAX {
            let count = window.counted.entry((method, reason)).or_default();
            *count = count.saturating_add(1);
            return;
        }
        window.single += 1;
        self.wait(GatheredRefusal { identity: identity.clone(), method: method.to_owned(), reason, subject, count: 1 });
    }

    fn wait(&mut self, refusal: GatheredRefusal) {
        let same = self.waiting.iter().position(|one| {
            (&one.identity, &one.method, &one.reason, &one.subject)
                == (&refusal.identity, &refusal.method, &refusal.reason, &refusal.subject)
        });
        match same {
            Some(at) => self.waiting[at].count = self.waiting[at].count.saturating_add(refusal.count),
            None if self.waiting.len() < WAITING_MAX => self.waiting.push(refusal),
            None => self.drop_some(1),
        }
    }

    /// Gives as many as one command may carry. What was only counted is told when its minute is over.
    fn give(&mut self, now: Instant) -> Vec<GatheredRefusal> {
        let over = |_: &IdentityName, window: &mut Window| now.saturating_duration_since(window.since) >= WINDOW;
        let ended: Vec<_> = self.windows.extract_if(over).collect();
        for (identity, window) in ended {
            for ((method, reason), count) in window.counted {
                let (identity, method) = (identity.clone(), method.to_owned());
                self.wait(GatheredRefusal { identity, method, reason, subject: String::new(), count });
            }
        }
        let count = self.waiting.len().min(REFUSALS_PER_COMMAND_MAX);
        self.waiting.drain(..count).collect()
    }

    fn drop_some(&mut self, count: u64) {
        self.dropped = self.dropped.saturating_add(count);
        metrics::counter!(latchkey_telemetry::names::REFUSALS_DROPPED_TOTAL).increment(count);
    }
}

impl Window {
    const fn new(since: Instant) -> Self {
        Self { since, single: 0, counted: BTreeMap::new() }
    }
}

/// The reason and the subject of an error that refuses what an identity asked for. What is wrong with the request, or
/// with us, is none.
fn refusal(status: &Status) -> Option<(String, String)> {
    let refuses = matches!(
        status.code(),
        Code::PermissionDenied
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::ResourceExhausted
    );
    let info = status.get_details_error_info().filter(|_| refuses)?;
    // Of these the process is the reason, and one more write would not help it.
    let ours = [Reason::AuditBehind, Reason::DiskFull, Reason::MessageTooLong];
    if ours.iter().any(|reason| info.reason == reason.word()) {
        return None;
    }
    let subject = SUBJECTS.iter().find_map(|key| info.metadata.get(*key)).map(String::as_str).unwrap_or_default();
    let end = subject.floor_char_boundary(SUBJECT_BYTES_MAX);
    Some((info.reason, subject[..end].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemoryRegistry, Seeded};
    use latchkey_domain::{Duty, KeyName, Refusal, Revision, Scope};
    use latchkey_kms::testing::SwitchableKms;
    use latchkey_transport::{Rejection, Unavailable, status};

    fn identity(name: &str) -> ProvenIdentity {
        ProvenIdentity {
            identity: IdentityName::parse(name).unwrap(),
            grants: Vec::new(),
            key: KeyName::parse("tenants/system/keyspaces/management/keys/0000000000000001").unwrap(),
            revision: Revision::new(1, 1),
        }
    }

    fn root() -> ProvenIdentity {
        identity("tenants/system/identities/root")
    }

    fn denied(scope: &str) -> Status {
        status::refused(&Refusal::PermissionDenied { duty: Duty::Issuer, scope: Scope::parse(scope).unwrap() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_refuses_is_gathered_and_what_is_wrong_with_the_request_or_with_us_is_not() {
        let refusals = Refusals::default();
        for status in [
            Rejection::NotServedHere.into_status(),
            Rejection::PageTokenInvalid.into_status(),
            Rejection::MessageTooLong { bytes_max: None }.into_status(),
            Unavailable::NoLeader { node: None }.into(),
            Unavailable::DiskFull.into_status(),
            status::bug("a test"),
            status::deadline_exceeded(),
        ] {
            refusals.note(&root(), "IssuanceService/CreateKey", &status);
        }
        assert_eq!(refusals.gathered().give(Instant::now()), []);
        refusals.note(&root(), "IssuanceService/CreateKey", &denied("tenants/acme"));
        refusals.note(&root(), "IssuanceService/CreateKey", &denied("tenants/acme"));
        let [one] = refusals.gathered().give(Instant::now()).try_into().unwrap();
        assert_eq!((one.reason.as_str(), one.subject.as_str(), one.count), ("PERMISSION_DENIED", "tenants/acme", 2));
        assert_eq!(one.method, "IssuanceService/CreateKey");
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_a_bound_a_minute_refusals_are_counted_and_told_when_it_is_over() {
        let refusals = Refusals::default();
        for number in 0..1_000 {
            let scope = format!("tenants/t{number}");
            refusals.note(&root(), "IssuanceService/GetKey", &denied(&scope));
        }
        let now = Instant::now();
        assert_eq!(refusals.gathered().give(now).len(), SINGLE_MAX as usize);
        assert_eq!(refusals.gathered().give(now + WINDOW - Duration::from_millis(1)), []);
        let [rest] = refusals.gathered().give(now + WINDOW).try_into().unwrap();
        assert_eq!((rest.count, rest.subject.as_str()), (1_000 - SINGLE_MAX, ""));
        assert_eq!(refusals.dropped(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_bounded_and_what_is_dropped_is_counted() {
        let refusals = Refusals::default();
        for number in 0..=IDENTITIES_MAX {
            let name = format!("tenants/acme/identities/i{number}");
            refusals.note(&identity(&name), "IssuanceService/GetKey", &denied("tenants/acme"));
        }
        assert_eq!(refusals.dropped(), 1);
        assert_eq!(refusals.gathered().waiting.len(), WAITING_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gathered_is_in_the_audit_log_a_second_later_and_without_a_leader_it_is_dropped() {
        let (kms, mut entropy) = (SwitchableKms::new([1; 32]), Seeded(1));
        let (registry, _) = MemoryRegistry::found(&kms, &mut entropy).await;
        let (refusals, service) = (Refusals::default(), Slug::parse("issuance").unwrap());
        let before = registry.state().progress().frontier.size();
        for scope in ["tenants/a", "tenants/b", "tenants/b"] {
            refusals.note(&root(), "IssuanceService/CreateKey", &denied(scope));
        }
        let writing = refusals.write_into(&registry, &service, &mut entropy);
        assert!(tokio::time::timeout(2 * WRITE_INTERVAL, writing).await.is_err(), "it never ends by itself");
        assert_eq!(registry.state().progress().frontier.size(), before + 2);

        registry.set_unavailable(true);
        refusals.note(&root(), "IssuanceService/CreateKey", &denied("tenants/c"));
        refusals.write(&registry, &service, &mut entropy).await;
        assert_eq!((refusals.dropped(), refusals.gathered().waiting.len()), (1, 0));
    }
}
