//! The short form: each scenario once, two planted bugs, one random history, and small figures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use latchkey_domain::planted::Plant;
use latchkey_simulation::furniture::Furniture;
use latchkey_simulation::ground::Profile;
use latchkey_simulation::scenarios::{SCENARIOS, Scenario};
use latchkey_simulation::world::{Outcome, World};
use latchkey_simulation::{figures, random};

type Job = (&'static str, fn(u64) -> Outcome);

/// One test: a bug is planted in the whole process.
#[test]
fn what_is_right_passes_and_what_is_planted_is_found() {
    let mut jobs: Vec<Job> = vec![("history", history), ("visibility", visibility), ("behind", behind)];
    jobs.extend(SCENARIOS.iter().map(|scenario| (scenario.name, scenario.run)));
    all_pass(&jobs);

    for plant in [Plant::StaleQuorum, Plant::FreshnessFromReceipt] {
        let scenario = Scenario::finding(plant).expect("it has a scenario");
        assert!(scenario.hunt(7, 4).is_some(), "{} was not found", plant.word());
    }
}

/// Each simulation keeps to its thread, so as many run at once as there are processors.
fn all_pass(jobs: &[Job]) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((name, run)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = run(7) {
                panic!("{name}: {failure}\n{}", failure.events.join("\n"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

fn history(seed: u64) -> Outcome {
    random::history(seed).map(drop)
}

/// A follower over regions may be fresh and know a write later than its caller does: that is no loss.
fn behind(seed: u64) -> Outcome {
    let mut world = World::new(Profile::WAN, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    let within = Duration::from_secs(60);
    world.until(within, "everybody is fresh", |world| world.is_fresh())?;
    let near = world.leader().expect("everybody is fresh");
    world.call("a key", within, furniture.create(near, 1))?;
    world.finish()
}

fn visibility(seed: u64) -> Outcome {
    figures::visibility(seed, 40).map(drop)
}
