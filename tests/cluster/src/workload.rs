//! Callers that go on whatever happens to the cluster: they make keys, try again with the same request id, and write
//! down what they were told.

use crate::caller::{Caller, reason};
use crate::keys::{Made, create, made, validate};
use crate::random::Random;
use latchkey_wire::pb::v1;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// How long one try of a creation may take: longer than an election, so that most need one.
const TRY_MAX: Duration = Duration::from_secs(10);

/// How long one try of an impatient caller may take: he comes back in the middle of an election, while his first try may
/// still be carried out.
const IMPATIENT_TRY_MAX: Duration = Duration::from_millis(500);

/// One creation in so many is an impatient caller's.
const IMPATIENT_ONCE_IN: u64 = 4;

/// How long a validation may take that waits for a revision.
const VALIDATE_MAX: Duration = Duration::from_secs(2);

/// How long callers go on with what is unfinished once the workload ends.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// One creation is repeated on purpose in so many.
const REPEATED_ONCE_IN: u64 = 8;

/// So much longer than the bound of the keyspace, and every replica that answers knows a key.
const BEYOND_BOUND: Duration = Duration::from_secs(1);

/// Keys that validators choose from; the newest push out others.
const POOL_MAX: usize = 4_096;

/// One creation, from its first try to its answer.
#[derive(Clone, Debug)]
pub(crate) struct Creation {
    /// The display name of the key: one for each request id.
    pub(crate) label: String,
    /// When it was first tried.
    pub(crate) began: Instant,
    /// When it was acknowledged, and with what. Absent: nobody knows what became of it.
    pub(crate) acknowledged: Option<(Instant, Made)>,
    /// How many times it was tried until then.
    pub(crate) tries: u32,
}

/// What callers were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The creations, in the order in which they ended.
    pub(crate) creations: Vec<Creation>,
    /// What must not happen.
    pub(crate) wrong: Vec<String>,
    /// Creations that were repeated on purpose, and gave the same.
    pub(crate) repeated: u64,
    /// Why single tries of creations failed.
    pub(crate) failed_tries: BTreeMap<String, u64>,
    /// Validations that were answered.
    pub(crate) validated: u64,
    /// Why validations at replicas that were up got no answer. Those that waited for a revision, and those that did not.
    pub(crate) unanswered: [BTreeMap<String, u64>; 2],
}

/// What the callers share.
#[derive(Debug, Default)]
struct Shared {
    bound: Duration,
    told: Mutex<Told>,
    pool: Mutex<Vec<(Instant, Made)>>,
    down: Mutex<Vec<u64>>,
    ends: AtomicBool,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    fn one_of_pool(&self, random: &mut Random) -> Option<(Instant, Made)> {
        random.one(&self.pool.lock().unwrap_or_else(PoisonError::into_inner)).cloned()
    }

    fn add_to_pool(&self, random: &mut Random, key: (Instant, Made)) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOL_MAX {
            pool.push(key);
        } else {
            let place = usize::try_from(random.below(4_096)).expect("a small number");
            pool[place] = key;
        }
    }

    fn is_down(&self, replica: u64) -> bool {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&replica)
    }
}

/// Callers at work.
#[derive(Debug)]
pub(crate) struct Workload {
    shared: Arc<Shared>,
    callers: JoinSet<()>,
    began: Instant,
}

impl Workload {
    /// Sets `creators` to work at issuance, and one validator at each replica. The keyspace has this bound.
    pub(crate) fn start(
        issuance: &Caller,
        creators: u64,
        replicas: &[(u64, Caller)],
        bound: Duration,
        random: &mut Random,
    ) -> Self {
        let shared = Arc::new(Shared { bound, ..Shared::default() });
        let mut callers = JoinSet::new();
        // Two workloads on one cluster make keys of different names.
        let run = random.below(1 << 32);
        for number in 0..creators {
            let name = format!("run {run:08x} caller {number}");
            callers.spawn(create_on(shared.clone(), issuance.clone(), name, random.fork()));
        }
        for (replica, caller) in replicas {
            callers.spawn(validate_on(shared.clone(), *replica, caller.clone(), random.fork()));
        }
        Self { shared, callers, began: Instant::now() }
    }

    /// From now on no answer is expected of this replica, or again.
    pub(crate) fn expect_down(&self, replica: u64, is_down: bool) {
        let mut down = self.shared.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.retain(|other| *other != replica);
        if is_down {
            down.push(replica);
        }
    }

    /// When the first creation was acknowledged that began after `at`.
    pub(crate) fn first_after(&self, at: Instant) -> Option<Instant> {
        let told = self.shared.told();
        let recent = told.creations.iter().rev().take(4_096).filter(|creation| creation.began > at);
        recent.filter_map(|creation| creation.acknowledged.as_ref().map(|(ended, _)| *ended)).min()
    }

    /// How many creations were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.shared.told().creations.len()
    }

    /// Lets all callers finish, and returns what they were told, and how long they worked.
    pub(crate) async fn finish(mut self) -> (Told, Duration) {
        self.shared.ends.store(true, Ordering::Relaxed);
        let lasted = self.began.elapsed();
        while self.callers.join_next().await.is_some() {}
        (std::mem::take(&mut *self.shared.told()), lasted)
    }
}

async fn create_on(shared: Arc<Shared>, issuance: Caller, name: String, mut random: Random) {
    let mut count = 0_u64;
    while !shared.ends() {
        count += 1;
        let (label, request_id) = (format!("{name} key {count}"), random.uuid());
        let began = Instant::now();
        let (mut tries, mut ended_at) = (0, None);
        let within = if random.below(IMPATIENT_ONCE_IN) == 0 { IMPATIENT_TRY_MAX } else { TRY_MAX };
        let acknowledged = loop {
            tries += 1;
            match try_once(&issuance, &label, &request_id, within).await {
                Ok((key, _)) => break Some((Instant::now(), key)),
                Err(Failed::Wrong(what)) => {
                    shared.told().wrong.push(format!("{label}, try {tries}: {what}"));
                    break None;
                }
                Err(Failed::Again(why)) => {
                    *shared.told().failed_tries.entry(why).or_default() += 1;
                    sleep(Duration::from_millis(20 + random.below(80))).await;
                }
            }
            if shared.ends() && *ended_at.get_or_insert_with(Instant::now) + FINISH_MAX < Instant::now() {
                break None;
            }
        };
        if let Some((at, key)) = &acknowledged {
            if random.below(REPEATED_ONCE_IN) == 0 {
                repeat(&shared, &issuance, &label, &request_id, key).await;
            }
            shared.add_to_pool(&mut random, (*at, key.clone()));
        }
        shared.told().creations.push(Creation { label, began, acknowledged, tries });
    }
}

enum Failed {
    /// Nobody knows whether it happened: the same request may be sent again.
    Again(String),
    /// This must not be answered.
    Wrong(String),
}

async fn try_once(issuance: &Caller, label: &str, request_id: &str, within: Duration) -> Result<(Made, bool), Failed> {
    let request = issuance.ask(create(label, request_id), within);
    let answer = issuance.issuance().create_key(request).await.map_err(|status| judge(&status))?.into_inner();
    let replayed = answer.replayed;
    made(answer).map(|key| (key, replayed)).map_err(|trouble| Failed::Wrong(trouble.to_string()))
}

fn judge(status: &Status) -> Failed {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::ResourceExhausted => {
            Failed::Again(reason(status))
        }
        _ => Failed::Wrong(status.to_string()),
    }
}

/// The same request again has to give the same key with the same text.
async fn repeat(shared: &Shared, issuance: &Caller, label: &str, request_id: &str, key: &Made) {
    match try_once(issuance, label, request_id, TRY_MAX).await {
        Ok((again, true)) if again == *key => shared.told().repeated += 1,
        Ok((again, replayed)) => shared.told().wrong.push(format!(
            "{label} repeated: replayed {replayed}, same name {}, same text {}, {:?} then {:?}",
            again.name == key.name,
            again.text == key.text,
            key.revision,
            again.revision
        )),
        Err(Failed::Again(why)) => *shared.told().failed_tries.entry(why).or_default() += 1,
        Err(Failed::Wrong(what)) => shared.told().wrong.push(format!("{label} repeated: {what}")),
    }
}

/// Asks one replica about keys that were acknowledged: whatever it answers, it may not refuse them. It is asked to know
/// their revision where it need not know it by itself yet.
async fn validate_on(shared: Arc<Shared>, replica: u64, caller: Caller, mut random: Random) {
    while !shared.ends() {
        let Some((acknowledged, key)) = shared.one_of_pool(&mut random) else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let waits = acknowledged.elapsed() < shared.bound + BEYOND_BOUND;
        let was_down = shared.is_down(replica);
        match validate(&caller, &key, waits, VALIDATE_MAX).await {
            Ok(v1::Outcome::Valid) => shared.told().validated += 1,
            Ok(outcome) => {
                let wrong = format!("replica {replica}: {} is {outcome:?}, waited {waits}", key.name);
                shared.told().wrong.push(wrong);
            }
            Err(status) if !was_down && !shared.is_down(replica) => {
                let why = format!("{} at replica {replica}", reason(&status));
                *shared.told().unanswered[usize::from(!waits)].entry(why).or_default() += 1;
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
        sleep(Duration::from_millis(5)).await;
    }
}
