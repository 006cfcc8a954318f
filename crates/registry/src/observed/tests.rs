//! Sums against a count by hand, whatever comes: restarts, repeats, and strangers who send what fits nowhere.

use super::one_use::MINUTE_MS;
use super::*;
use latchkey_domain::OwnerNumber;
use latchkey_state::Holder;
use latchkey_wire::latency::{FINE_BUCKETS, coarse_of};
use prost::Message as _;
use std::collections::{BTreeMap, HashSet};

const INCARNATION: u64 = 7;

/// Splitmix64: a seed that is printed replays the test.
struct Dice(u64);

impl Dice {
    fn roll<T: TryFrom<u64, Error: std::fmt::Debug>>(&mut self, sides: u64) -> T {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        T::try_from((mixed ^ (mixed >> 31)) % sides).unwrap()
    }
}

fn observed(options: ObservedOptions) -> Observed {
    Observed::begin(options, INCARNATION)
}

fn whose(number: u64) -> Whose {
    let mut version = [1; 12];
    version[4..].copy_from_slice(&number.to_be_bytes());
    Whose {
        tenant: TenantNumber(2),
        keyspace: Some(KeyspaceNumber(3)),
        holder: Holder::Owner(OwnerNumber(4)),
        key: version,
        version,
    }
}

fn one_use(number: u64, at_ms: u64) -> Use {
    let at = UnixMillis::new(at_ms);
    Use { whose: whose(number), at, outcome: Outcome::Valid, latency: Some(3), network: Packed::NONE, count: 1 }
}

impl Observed {
    fn push(&self, one: Use) {
        let pushed = self.buffers.push(one, 0);
        if pushed.fill != Fill::Low {
            self.sum_up_own(pushed.fill);
        }
    }

    fn take_at(&self, incarnation: u64, acknowledged: u64, now_ms: u64) -> pb::TakeObservationsResponse {
        let answer = self.take(incarnation, acknowledged, &State::default(), UnixMillis::new(now_ms));
        assert!(answer.encoded_len() <= handing::BATCH_BYTES_MAX, "{}", answer.encoded_len());
        answer
    }

    /// Takes until nothing is left.
    fn take_all(&self, acknowledged: &mut u64, now_ms: u64) -> Vec<pb::TakeObservationsResponse> {
        let mut batches = Vec::new();
        loop {
            let answer = self.take_at(INCARNATION, *acknowledged, now_ms);
            if answer.batch == 0 {
                return batches;
            }
            assert_eq!(answer.batch, *acknowledged + 1, "no gap");
            *acknowledged = answer.batch;
            batches.push(answer);
        }
    }
}

/// What was counted, as the receiver adds it up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    outcomes: [u64; 15],
    latency: BTreeMap<u32, u64>,
    with_network: u64,
    last: Option<u64>,
    requests: u64,
}

type Sums = BTreeMap<(Vec<u8>, u64), Sum>;

fn add_cells(sums: &mut Sums, cells: &[pb::UsageCell]) {
    for cell in cells {
        let sum = sums.entry((cell.version_id.clone(), cell.minute)).or_default();
        sum.outcomes.iter_mut().zip(&cell.outcomes).for_each(|(sum, more)| *sum += more);
        let mut coarse = vec![0; cell.latency.len()];
        for one in &cell.latencies {
            *sum.latency.entry(one.bucket).or_default() += one.count;
            coarse[usize::from(coarse_of(u8::try_from(one.bucket).unwrap()))] += one.count;
        }
        assert_eq!(coarse, cell.latency, "both say the same");
        sum.with_network += cell.networks.iter().map(|one| one.count).sum::<u64>() + cell.other_networks;
        sum.last = sum.last.max(cell.last_used_unix_ms);
        sum.requests += cell.reported.as_ref().map_or(0, |reported| reported.requests);
        assert!(cell.networks.len() <= cell::NETWORKS_MAX);
    }
}

#[test]
fn the_sum_of_all_batches_is_the_naive_count_whatever_is_repeated() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let observed = observed(ObservedOptions::default());
        let (mut naive, mut taken) = (Sums::new(), Sums::new());
        let (mut now, mut acknowledged, mut known) = (1_000 * MINUTE_MS, 0, 0);
        let versions = 1 + dice.roll::<u64>(3_000);
        for _ in 0..dice.roll::<u64>(20_000) {
            match dice.roll::<u64>(1_000) {
                0 => now += dice.roll::<u64>(2 * MINUTE_MS),
                // Audit asks; sometimes it dies before it has written down what it got.
                1..=3 => {
                    let answer = observed.take_at(known, acknowledged, now);
                    let again = observed.take_at(known, acknowledged, now + 5);
                    assert!(answer.batch == 0 || answer == again, "seed {seed}: a batch comes again as it was");
                    if answer.batch > 0 && dice.roll::<u64>(3) > 0 {
                        assert_eq!(answer.batch, acknowledged + 1, "seed {seed}");
                        (known, acknowledged) = (answer.incarnation, answer.batch);
                        add_cells(&mut taken, &answer.cells);
                    }
                }
                _ => {
                    let mut one = one_use(dice.roll(versions), now);
                    one.outcome = Outcome::ALL[dice.roll::<usize>(1 + dice.0 % 12)];
                    one.latency = (dice.roll::<u64>(5) > 0).then(|| dice.roll(1 + dice.0 % u64::from(FINE_BUCKETS)));
                    one.network = match dice.roll::<u64>(3) {
                        0 => Packed::NONE,
                        _ => Packed::of(Some(IpAddr::from([10, dice.roll(9), 0, 1]))),
                    };
                    one.count = 1 + dice.roll::<u32>(2) * dice.roll::<u32>(70_000);
                    let sum = naive.entry((one.whose.version.to_vec(), one.minute())).or_default();
                    sum.outcomes[latchkey_wire::pb::v1::Outcome::from(one.outcome) as usize] += u64::from(one.count);
                    if let Some(bucket) = one.latency {
                        *sum.latency.entry(bucket.into()).or_default() += u64::from(one.count);
                    }
                    sum.with_network += if one.network.is_none() { 0 } else { u64::from(one.count) };
                    sum.last = sum.last.max(Some(now));
                    observed.push(one);
                }
            }
        }
        now += MINUTE_MS;
        if known == 0 {
            let first = observed.take_at(0, 0, now);
            (known, acknowledged) = (first.incarnation, first.batch);
            add_cells(&mut taken, &first.cells);
        }
        assert_eq!(known, INCARNATION);
        for batch in observed.take_all(&mut acknowledged, now) {
            add_cells(&mut taken, &batch.cells);
            assert_eq!(batch.lost_requests, 0);
        }
        assert!(taken == naive, "seed {seed}");
    }
}

#[test]
fn an_audit_that_comes_back_goes_on_from_what_it_acknowledged() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    observed.push(one_use(1, now));
    let first = observed.take_at(0, 0, now);
    assert_eq!((first.batch, first.cells.len(), first.incarnation), (1, 1, INCARNATION));
    // It dies before it has written it down, with what it knew of the process life before.
    assert_eq!(observed.take_at(99, 500, now), first);
    // It has it, and dies before it has said so: the next thing that it says is that.
    observed.push(one_use(2, now + 1));
    let second = observed.take_at(INCARNATION, 1, now + 1);
    assert_eq!((second.batch, second.cells.len()), (2, 1));
    // What it said before comes late, and changes nothing.
    assert_eq!(observed.take_at(INCARNATION, 1, now + 2), second);
    let nothing = observed.take_at(INCARNATION, 2, now + 3);
    assert_eq!((nothing.batch, nothing.more, nothing.complete_until_unix_ms), (0, false, now + 3));
}

#[test]
fn few_are_handed_over_at_once_and_many_once_their_minute_is_over() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    let mut acknowledged = 0;
    observed.push(one_use(1, now));
    assert_eq!(observed.take_all(&mut acknowledged, now).len(), 1);
    for number in 0..=table::CELLS_AT_ONCE as u64 {
        observed.push(one_use(number, now + 1));
    }
    let nothing = observed.take_at(INCARNATION, acknowledged, now + 2);
    assert_eq!((nothing.batch, nothing.complete_until_unix_ms), (0, now), "not beyond the minute that is open");
    let batches = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    let cells: usize = batches.iter().map(|batch| batch.cells.len()).sum();
    assert_eq!(cells, table::CELLS_AT_ONCE + 1);
    assert_eq!(batches.last().unwrap().complete_until_unix_ms, now + MINUTE_MS);
}

#[test]
fn a_batch_is_never_longer_than_its_bound_and_says_that_there_is_more() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    for number in 0..30_000 {
        for outcome in [Outcome::Valid, Outcome::Revoked] {
            observed.push(Use { outcome, network: Packed::of(Some([10, 1, 2, 3].into())), ..one_use(number, now) });
        }
    }
    let mut acknowledged = 0;
    let batches = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    let (last, others) = batches.split_last().unwrap();
    assert!(others.len() >= 2 && others.iter().all(|batch| batch.more) && !last.more);
    assert!(others.iter().all(|batch| batch.complete_until_unix_ms == now && batch.encoded_len() > 900_000));
}

#[test]
fn memory_is_bounded_whatever_is_sent_and_what_does_not_fit_is_said() {
    let bytes_max = 4 * 1_024 * 1_024;
    let observed = observed(ObservedOptions { bytes_max, ..ObservedOptions::default() });
    let now = 1_000 * MINUTE_MS;
    let (mut uses, mut dice) = (0, Dice(1));
    // Ever new versions, networks, outcomes and latencies.
    for number in 0..100_000 {
        let network = Packed::of(Some(IpAddr::from(dice.roll::<u32>(1 << 32).to_be_bytes())));
        let outcome = Outcome::ALL[dice.roll::<usize>(12)];
        let latency = Some(dice.roll(u64::from(FINE_BUCKETS)));
        observed.push(Use { network, outcome, latency, ..one_use(number % 70_000, now) });
        uses += 1;
        assert!(locked(&observed.table).table.bytes() <= bytes_max);
    }
    let mut acknowledged = 0;
    let batches = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    let counted: u64 = batches.iter().flat_map(|batch| &batch.cells).flat_map(|cell| &cell.outcomes).sum();
    let lost: u64 = batches.iter().map(|batch| batch.lost_requests).sum();
    assert!(lost > 0 && counted > 20_000, "{counted} counted, {lost} lost");
    assert_eq!(counted + lost, uses);
    assert_eq!(locked(&observed.table).table.bytes(), 0, "what was handed over takes nothing any more");
}

#[test]
fn one_version_from_ever_new_networks_names_those_that_come_most() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    for host in 0..60_000_u32 {
        let network = match host % 4 {
            0 => [192, 0, 2, 1],
            1 => [198, 51, 100, 1],
            2 => [203, 0, 113, 1],
            _ => (host * 256).to_be_bytes(),
        };
        observed.push(Use { network: Packed::of(Some(network.into())), ..one_use(1, now) });
    }
    let batch = observed.take_at(0, 0, now + MINUTE_MS);
    let [cell] = &batch.cells[..] else { panic!("{} cells", batch.cells.len()) };
    let named: Vec<_> = cell.networks.iter().map(|one| one.count).collect();
    assert_eq!(named, [15_000, 15_000, 15_000, 1], "{:?}", cell.networks);
    assert_eq!(cell.other_networks, 14_999);
}

#[test]
fn a_million_active_keys_fit_into_the_default_bound() {
    let options = ObservedOptions::default();
    let mut table = Table::new(options.bytes_max);
    let network = Packed::of(Some([192, 0, 2, 1].into()));
    // Two minutes: one that is handed over, and one that goes on. Fewer in a debug build, by the same measure.
    let versions = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    for minute in 0..2 {
        for number in 0..versions {
            let one = Use { network, ..one_use(number, minute * MINUTE_MS) };
            table.count(&one);
            table.count(&Use { latency: Some(5), ..one });
        }
    }
    let each = table.bytes() as f64 / (2 * versions) as f64;
    println!("{each:.1} bytes a version and minute; {} bytes a cell", size_of::<cell::Cell>());
    assert_eq!(table.take_lost(), 0);
    assert!(each * 2_000_000.0 <= options.bytes_max as f64, "{each}");
}

#[test]
fn what_is_reported_joins_the_cell_of_its_minute() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    observed.push(one_use(1, now));
    let mut reported = Reported { requests: 3, load_milli: 1_500, ..Reported::default() };
    reported.status_classes[1] = 3;
    reported.took(Duration::from_millis(2), 3);
    let add = |minute| locked(&observed.table).table.report(minute, whose(1), &reported);
    observed.buffers.empty_own(&mut Vec::new());
    observed.push(one_use(1, now));
    assert_eq!((add(1_000), add(1_000), add(999)), (Ok(()), Ok(()), Ok(())));
    let mut sums = Sums::new();
    let mut acknowledged = 0;
    let batches = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    batches.iter().for_each(|batch| add_cells(&mut sums, &batch.cells));
    let requests: Vec<_> = sums.iter().map(|((_, minute), sum)| (*minute, sum.requests, sum.outcomes[1])).collect();
    assert_eq!(requests, [(999, 3, 0), (1_000, 6, 1)]);
    let cell = batches[0].cells.iter().find(|cell| cell.minute == 1_000).unwrap();
    let shown = cell.reported.as_ref().unwrap();
    assert_eq!((&shown.status_classes[..], shown.latency[10], shown.load_milli), (&[0, 6][..], 6, 3_000));
}

#[test]
fn a_management_key_that_is_used_again_and_again_takes_one_place() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    for _ in 0..100_000 {
        let fill = observed.buffers.push_run(Use { latency: None, ..one_use(1, now) });
        assert_eq!(fill, Fill::Low);
    }
    let batch = observed.take_at(0, 0, now);
    assert_eq!(batch.cells[0].outcomes, [0, 100_000]);
    assert!(batch.cells[0].latency.is_empty());
}

#[test]
fn threads_lose_nothing_of_each_other() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    let (each, mut acknowledged, mut sum) = (20_000, 0, 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6_u64)
            .map(|thread| {
                let observed = &observed;
                scope.spawn(move || (0..each).for_each(|at| observed.push(one_use((thread + at) % 500, now))))
            })
            .collect();
        let mut count = |batches: Vec<pb::TakeObservationsResponse>| {
            sum += batches.iter().flat_map(|batch| &batch.cells).flat_map(|cell| &cell.outcomes).sum::<u64>();
        };
        while threads.iter().any(|thread| !thread.is_finished()) {
            count(observed.take_all(&mut acknowledged, now));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        count(observed.take_all(&mut acknowledged, now));
    });
    assert_eq!(sum, 6 * each);
}

fn denied(outcome: Outcome, now_ms: u64) -> Validated<'static> {
    Validated {
        outcome,
        found: None,
        looked_in: (TenantNumber(2), Some(KeyspaceNumber(3))),
        is_last_known: false,
        now: UnixMillis::new(now_ms),
        took: Duration::from_micros(9),
        client: Some([192, 0, 2, 7].into()),
    }
}

#[test]
fn denials_are_told_singly_up_to_a_cap_and_then_counted() {
    let observed = observed(ObservedOptions { lines_per_minute: 10, ..ObservedOptions::default() });
    let now = 1_000 * MINUTE_MS;
    for at in 0..100 {
        let outcome = if at % 2 == 0 { Outcome::NotFound } else { Outcome::Malformed };
        observed.validated(&denied(outcome, now + at), LineDetails::default);
    }
    let mut acknowledged = 0;
    let batches = observed.take_all(&mut acknowledged, now + 200);
    let lines: Vec<_> = batches.iter().flat_map(|batch| &batch.records).collect();
    assert_eq!(lines.len(), 10);
    assert!(lines.iter().all(|line| line.kind() == Kind::Denied && line.count == 1 && line.tenant == Some(2)));
    assert_eq!(batches[0].complete_until_unix_ms, now + 10, "what is counted is not told yet");
    let batches = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    let counted: Vec<_> = batches.iter().flat_map(|batch| &batch.records).collect();
    let told: Vec<_> = counted.iter().map(|line| (line.kind(), line.counted_kind(), line.count)).collect();
    assert_eq!(told, [(Kind::Counted, Kind::Denied, 45), (Kind::Counted, Kind::Denied, 45)]);
    assert_eq!((counted[0].first_unix_ms, counted[0].last_unix_ms), (now + 10, now + 99));
}

#[test]
fn a_flood_of_denials_in_ever_new_keyspaces_is_bounded_and_its_loss_is_said() {
    let observed = observed(ObservedOptions { bytes_max: 8 * 1_024 * 1_024, ..ObservedOptions::default() });
    let now = 1_000 * MINUTE_MS;
    let (floods, agent) = (40_000_u32, "a".repeat(2_000));
    for number in 0..floods {
        let one =
            Validated { looked_in: (TenantNumber(2), Some(KeyspaceNumber(number))), ..denied(Outcome::Malformed, now) };
        observed.validated(&one, || LineDetails { user_agent: &agent, ..LineDetails::default() });
    }
    let waiting = locked(&observed.lines).0.bytes();
    assert!(waiting < 5 * 1_024 * 1_024, "{waiting}");
    let mut acknowledged = 0;
    let batches = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    let told: u64 = batches.iter().flat_map(|batch| &batch.records).map(|line| line.count).sum();
    let lost: u64 = batches.iter().map(|batch| batch.lost_records).sum();
    assert!(lost > 0);
    assert_eq!(told + lost, u64::from(floods));
    let counted: u64 = batches.iter().flat_map(|batch| &batch.cells).flat_map(|cell| &cell.outcomes).sum();
    assert_eq!(counted, u64::from(floods), "the sums count what the lines lost");
}

#[test]
fn a_stranger_writes_few_lines_and_is_counted_by_network() {
    let observed = observed(ObservedOptions::default());
    let now = 1_000 * MINUTE_MS;
    for call in 0..5_000_u32 {
        let host = if call % 2 == 0 { [192, 0, 2, 1] } else { (call * 256).to_be_bytes() };
        observed.stranger("latchkey.v1.ValidationService/ValidateKey", Some(host.into()), UnixMillis::new(now));
    }
    let mut acknowledged = 0;
    let single: Vec<_> =
        observed.take_all(&mut acknowledged, now).into_iter().flat_map(|batch| batch.records).collect();
    assert_eq!(single.len(), 60);
    assert_eq!((single[0].kind(), &single[0].client[..]), (Kind::NoIdentity, &[192, 0, 2, 1, 32][..]));
    let later = observed.take_all(&mut acknowledged, now + MINUTE_MS);
    let counted: Vec<_> = later.into_iter().flat_map(|batch| batch.records).collect();
    assert!(counted.len() <= 257, "{}", counted.len());
    assert_eq!(counted.iter().map(|line| line.count).sum::<u64>(), 4_940);
    assert!(counted.iter().any(|line| line.client == [192, 0, 2, 0, 24] && line.count == 2_470));
    assert!(counted.iter().any(|line| line.client.is_empty()), "those that had no place");
}

#[test]
fn what_a_stranger_chose_is_cut_and_cleaned() {
    let observed = observed(ObservedOptions::default());
    let tags = [("job", "a\u{202e}b\nc")];
    let hostile = "x\x1b[31m".repeat(200);
    observed.validated(&denied(Outcome::Malformed, 1), || LineDetails {
        user_agent: &hostile,
        resource: &hostile,
        method: &hostile,
        tags: &tags,
        caller: "tenants/acme/identities/shop".into(),
        ..LineDetails::default()
    });
    let batch = observed.take_at(0, 0, 1);
    let [line] = &batch.records[..] else { panic!("{:?}", batch.records) };
    assert!(line.user_agent.len() <= 512 && line.resource.len() <= 128 && line.method.len() <= 64);
    let texts = [&line.user_agent, &line.resource, &line.method, &line.tags[0]];
    assert!(texts.iter().all(|text| !text.chars().any(char::is_control) && !text.is_empty()), "{line:?}");
    assert_eq!(line.tags, ["job=a?b?c"]);
    assert_eq!((line.caller.as_str(), &line.client[..]), ("tenants/acme/identities/shop", &[192, 0, 2, 7, 32][..]));
}

#[test]
fn nothing_is_observed_where_that_is_off() {
    let observed = observed(ObservedOptions { enabled: false, ..ObservedOptions::default() });
    observed.validated(&denied(Outcome::Malformed, 1), || panic!("nobody writes a line"));
    observed.stranger("x", None, UnixMillis::new(1));
    assert_eq!(observed.take_at(0, 0, 1).batch, 0);
    observed.configure(ObservedOptions::default());
    observed.validated(&denied(Outcome::Malformed, 1), LineDetails::default);
    assert_eq!(observed.take_at(0, 0, 1).batch, 1);
}

#[test]
fn what_one_observation_costs_is_measured() {
    let observed = observed(ObservedOptions::default());
    let rounds = if cfg!(debug_assertions) { 200_000 } else { 5_000_000 };
    for versions in [1, 1_000, 1_000_000_u64] {
        let began = tokio::time::Instant::now();
        for at in 0..rounds {
            let number = at * 7_919 % versions;
            observed.push(Use { network: Packed::of(Some([192, 0, 2, 1].into())), ..one_use(number, MINUTE_MS) });
        }
        let each = began.elapsed().as_nanos() as f64 / rounds as f64;
        println!("{versions} versions: {each:.0} ns for each");
        let mut acknowledged = observed.take_at(0, 0, 3 * MINUTE_MS).batch;
        observed.take_all(&mut acknowledged, 3 * MINUTE_MS);
    }
    let distinct: HashSet<_> = (0..100).map(|number| whose(number).version).collect();
    assert_eq!(distinct.len(), 100);
}
