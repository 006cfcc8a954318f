//! What a disk has, after the power was cut, and what is taken from another's.

use super::{Scenario, broken};
use crate::furniture::Furniture;
use crate::ground::Profile;
use crate::scenarios::barrier::keys_everywhere;
use crate::world::{Outcome, World};
use bytes::Bytes;
use latchkey_domain::NodeId;
use latchkey_domain::planted::Plant;
use latchkey_registry::Timing;
use latchkey_storage::{Encoder, Facts, LogRecord, MemoryStore, SnapshotName, Store, Word, wait};
use std::io::Write as _;
use std::time::Duration;

/// How long anybody waits.
const WITHIN: Duration = Duration::from_secs(30);

pub(super) const POWER_CUT: Scenario = Scenario {
    name: "power-cut",
    story: "The power of all machines is cut at once, after keys were acknowledged. They are there when it is back.",
    finds: Plant::SkippedSync,
    run: power_cut,
};

pub(super) const PURGED_EARLY: Scenario = Scenario {
    name: "purged-early",
    story: "A log is purged for a snapshot that is still on its way, and the power is cut. What the snapshot would have \
            stood for is still in the log.",
    finds: Plant::PurgeBeforeInstall,
    run: purged_early,
};

pub(super) const BEYOND_A_HOLE: Scenario = Scenario {
    name: "beyond-a-hole",
    story: "A record comes that follows a snapshot which is still on its way, and the power is cut. The log on disk has no \
            hole.",
    finds: Plant::PurgeHole,
    run: beyond_a_hole,
};

pub(super) const FLIPPED: Scenario = Scenario {
    name: "flipped",
    story: "Each byte of a snapshot in turn arrives otherwise than it was sent. It is refused.",
    finds: Plant::SnapshotWithoutHash,
    run: flipped,
};

pub(super) const VOTE_OVERTAKES: Scenario = Scenario {
    name: "vote-overtakes",
    story: "The disk of a replica stalls, with records that the others have acknowledged. Their leader dies; the replica \
            stands for election with records that its disk lacks, and its power is cut. It does not come back as a \
            leader that writes over them.",
    finds: Plant::VoteBeforeLog,
    run: vote_overtakes,
};

const FACTS: Facts = Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 };

fn records(indexes: std::ops::RangeInclusive<u64>) -> Vec<LogRecord> {
    indexes.map(|index| LogRecord { index, bytes: Bytes::from(index.to_be_bytes().to_vec()) }).collect()
}

fn power_cut(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 10)?;
    for node in world.nodes() {
        world.crash(node, true);
    }
    for node in world.nodes() {
        world.restart(node);
    }
    world.until(WITHIN, "everybody is back", |world| world.is_fresh())?;
    world.finish()
}

fn purged_early(seed: u64) -> Outcome {
    let store = MemoryStore::new(FACTS);
    wait(|done| store.append(records(1..=5), done)).map_err(|error| broken("the disk", error.to_string(), seed))?;
    store.promise_purge(5, Bytes::from_static(b"5"));
    // Something else is made durable meanwhile.
    wait(|done| store.save_word(Word::Vote, Bytes::from_static(b"vote"), done))
        .map_err(|error| broken("the disk", error.to_string(), seed))?;
    let bounds = store.cut_power().log_bounds();
    if (bounds.first, bounds.last) == (Some(1), Some(5)) {
        return Ok(());
    }
    Err(broken("a purge waits for the state", format!("neither snapshot nor log: {bounds:?}"), seed))
}

fn beyond_a_hole(seed: u64) -> Outcome {
    let store = MemoryStore::new(FACTS);
    wait(|done| store.append(records(1..=5), done)).map_err(|error| broken("the disk", error.to_string(), seed))?;
    store.promise_purge(20, Bytes::from_static(b"20"));
    store.append(records(21..=21), Box::new(drop));
    let after = store.cut_power();
    let read = after.read(0..u64::MAX, usize::MAX).map_err(|error| broken("the disk", error.to_string(), seed))?;
    let indexes: Vec<_> = read.iter().map(|record| record.index).collect();
    if indexes == [1, 2, 3, 4, 5] {
        return Ok(());
    }
    Err(broken("a log has no hole", format!("found {indexes:?}"), seed))
}

fn flipped(seed: u64) -> Outcome {
    let failed = |error: std::io::Error| broken("the disk", error.to_string(), seed);
    let mut encoder = Encoder::new(Vec::new()).map_err(failed)?;
    encoder.write_all(&[3; 200]).map_err(failed)?;
    let whole = encoder.finish().map_err(failed)?.0;
    let store = MemoryStore::new(FACTS);
    let name = SnapshotName::parse("1-20").expect("a name");
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x40;
        let mut receiver =
            store.receive_snapshot(&name).map_err(|error| broken("the disk", error.to_string(), seed))?;
        let taken = receiver.push(&bytes).is_ok() && receiver.finish().is_ok();
        if taken {
            return Err(broken("a snapshot is what was sent", format!("byte {place} was flipped"), seed));
        }
    }
    Ok(())
}

fn vote_overtakes(seed: u64) -> Outcome {
    let eager = Timing { heartbeat_ms: 150, election_min_ms: 600, election_max_ms: 700 };
    let patient = Timing { heartbeat_ms: 150, election_min_ms: 5_000, election_max_ms: 6_000 };
    let mut world = World::prepared(Profile::ONE_SITE, seed, |machines| {
        machines.timing.extend([(NodeId(2), eager), (NodeId(3), patient)]);
    })?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 2)?;
    let candidate = NodeId(2);
    let Some(leader) = world.leader().filter(|leader| *leader == NodeId(1)) else { return Ok(()) };
    world.machine(candidate).stall_disk(true);
    world.call("keys", WITHIN, furniture.clone().create(leader, 4))?;
    world.pass(Duration::from_millis(500))?;
    world.crash(leader, true);
    // The patient one gives its vote once it has not heard of a leader for as long as it waits.
    world.pass(Duration::from_secs(9))?;
    world.crash(candidate, true);
    // Without the first leader; the patient one has all that was acknowledged.
    world.restart(candidate);
    world.pass(Duration::from_secs(4))?;
    world.restart(leader);
    world.until(WITHIN, "everybody is back", |world| world.is_fresh())?;
    world.finish()
}
