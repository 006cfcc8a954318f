//! The short form: each scenario once, two planted bugs, one random history, and small figures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use latchkey_domain::planted::Plant;
use latchkey_simulation::scenarios::{SCENARIOS, Scenario};
use latchkey_simulation::world::Outcome;
use latchkey_simulation::{figures, random};

type Job = (&'static str, fn(u64) -> Outcome);

/// One test: a bug is planted in the whole process.
#[test]
fn what_is_right_passes_and_what_is_planted_is_found() {
    let mut jobs: Vec<Job> = vec![("history", history), ("visibility", visibility)];
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

fn visibility(seed: u64) -> Outcome {
    figures::visibility(seed, 40).map(drop)
}
