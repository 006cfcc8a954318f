use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

const VERSIONS_MAX: usize = SHARDS * shard::VERSIONS_MAX;

#[derive(Debug, Default)]
struct Manual(AtomicU64);

impl Clock for Manual {
    fn unix_millis(&self) -> UnixMillis {
        UnixMillis::new(0)
    }

    fn boottime_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn version(number: u64) -> VersionId {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    VersionId::from_random(bytes)
}

fn evidence() -> (Evidence, Arc<Manual>) {
    let clock = Arc::new(Manual::default());
    (Evidence::begin(clock.clone(), 7), clock)
}

impl Evidence {
    fn heap_bytes(&self) -> usize {
        let shards: usize = self.shards.iter().map(|shard| locked(shard).heap_bytes()).sum();
        shards + self.shards.len() * size_of::<Mutex<Shard>>()
    }

    fn sizes(&self) -> (usize, usize) {
        let sizes = self.shards.iter().map(|shard| locked(shard).sizes());
        sizes.fold((0, 0), |(versions, callers), (more, named)| (versions + more, callers + named))
    }
}

#[test]
fn whatever_is_sent_memory_is_bounded() {
    const BYTES_MAX: usize = 64 << 20;
    let (evidence, _) = evidence();
    let tags: Vec<_> = (0..16).map(|number| (format!("word {number} {}", "w".repeat(80)), "v".repeat(900))).collect();
    let tags: Vec<_> = tags.iter().map(|(word, value)| (word.as_str(), value.as_str())).collect();
    // More versions than there is room for, each over a long time, from ever new networks with ever new user agents.
    for round in 0..4_u64 {
        for number in 0..VERSIONS_MAX as u64 * 5 / 4 {
            let user_agent = format!("{round}/{number}/{}", "x".repeat(600));
            let client = Some(std::net::Ipv6Addr::from_bits(u128::from(round * 1_000_003 + number) << 80).into());
            let from = SeenFrom { client, user_agent: &user_agent, tags: &tags };
            evidence.count_version(version(number), at((round * 37 + number % 61) * 1_000), &from);
        }
        let ((versions, callers), bytes) = (evidence.sizes(), evidence.heap_bytes());
        assert!(versions <= VERSIONS_MAX && callers <= VERSIONS_MAX, "{versions} versions, {callers} callers");
        assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    }
    let (versions, bytes) = (evidence.sizes().0, evidence.heap_bytes());
    println!("{versions} versions in {:.1} MiB", bytes as f64 / f64::from(1 << 20));
    assert!(versions > VERSIONS_MAX / 2, "the room is used: {versions}");
}

#[test]
fn little_use_takes_little_memory() {
    let (evidence, _) = evidence();
    for number in 0..100 {
        evidence.count_version(version(number), at(number), &SeenFrom { user_agent: "curl", ..SeenFrom::default() });
    }
    let bytes = evidence.heap_bytes();
    assert!(bytes < 100 * 1_024, "{bytes}");
}

#[test]
fn nothing_is_lost_where_many_threads_count() {
    let (evidence, _) = evidence();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let evidence = &evidence;
            scope.spawn(move || {
                let from = SeenFrom { user_agent: "curl", ..SeenFrom::default() };
                for use_number in 0..2_000 {
                    evidence.count_version(version(use_number % 10), at(thread * 2_000 + use_number), &from);
                }
            });
        }
    });
    let seen: Vec<_> = (0..10).map(|number| evidence.of(version(number))).collect();
    assert!(seen.iter().all(|one| one.count == 1_600 && one.callers[0].count == 1_600));
    assert_eq!(seen.iter().map(|one| one.last).max(), Some(Some(at(15_999))));
}

#[test]
fn an_answer_says_for_how_long_was_watched() {
    let (evidence, clock) = evidence();
    evidence.count_version(version(1), at(5), &SeenFrom::default());
    clock.0.store(60_000, Ordering::Relaxed);
    let answer = evidence.answer(3, &[version(1), version(2)], true);
    assert_eq!((answer.node_id, answer.incarnation, answer.watched_ms), (3, 7, 60_000));
    assert_eq!((answer.uses[0].count, answer.uses[1].count), (1, 0));
    assert!(answer.uses[0].curve.is_some());
    assert!(evidence.answer(3, &[version(1)], false).uses[0].curve.is_none());
}

#[test]
fn what_is_counted_while_the_state_is_taken_is_not_forgotten() {
    let (evidence, _) = evidence();
    evidence.count_version(version(1), at(1), &SeenFrom::default());
    evidence.settle(|| {
        // A rotation has begun that this state does not know yet, and its old version is used at once.
        evidence.count_version(version(2), at(2), &SeenFrom::default());
        Box::new(Arc::new(State::default()))
    });
    assert_eq!((evidence.of(version(1)).count, evidence.of(version(2)).count), (0, 1));
}

#[test]
fn an_id_that_is_none_is_refused() {
    assert!(read_versions(&[vec![0; 11]]).is_err() && read_versions(&[vec![0xFF; 12]]).is_err());
    assert!(read_versions(&vec![vec![0; 12]; VERSIONS_PER_GATHERING + 1]).is_err());
    assert_eq!(read_versions(&[version(9).bytes().to_vec()]).unwrap(), [version(9)]);
}

/// What a use costs that is known already, beside what a validation costs in all (tests/bench). Printed, not asserted.
#[test]
fn a_known_use_is_counted_in_no_time() {
    let (evidence, _) = evidence();
    let client = Some("192.0.2.77".parse().unwrap());
    let from = SeenFrom { client, user_agent: "python-requests/2.32", tags: &[] };
    let rounds = 200_000_u64;
    let began = latchkey_telemetry::SystemClock.boottime_millis();
    for number in 0..rounds {
        evidence.count_version(version(number % 100), at(number), &from);
    }
    let passed_ms = latchkey_telemetry::SystemClock.boottime_millis() - began;
    println!("{:.0} ns a use", passed_ms as f64 * 1e6 / rounds as f64);
}
