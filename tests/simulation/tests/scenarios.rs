//! The short form: each scenario once, two planted bugs, one random history, and small figures.

use latchkey_domain::planted::Plant;
use latchkey_simulation::scenarios::{SCENARIOS, Scenario};
use latchkey_simulation::{figures, random};

/// One test: a bug is planted in the whole process.
#[test]
fn what_is_right_passes_and_what_is_planted_is_found() {
    for scenario in SCENARIOS {
        if let Err(failure) = (scenario.run)(7) {
            panic!("{}: {failure}\n{}", scenario.name, failure.events.join("\n"));
        }
    }
    for plant in [Plant::StaleQuorum, Plant::FreshnessFromReceipt] {
        let scenario = Scenario::finding(plant).expect("it has a scenario");
        assert!(scenario.hunt(7, 4).is_some(), "{} was not found", plant.word());
    }
    if let Err(failure) = random::history(7) {
        panic!("{failure}\n{}", failure.events.join("\n"));
    }
    if let Err(failure) = figures::visibility(7, 40) {
        panic!("{failure}\n{}", failure.events.join("\n"));
    }
}
