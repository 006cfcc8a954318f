//! Both stores keep the same words.

use latchkey_storage::conformance::model::{self, Step};
use latchkey_storage::conformance::suite;
use proptest::prelude::*;

use crate::subjects::{InMemory, OnDisk};

#[test]
fn the_store_in_memory_conforms() {
    suite(InMemory::new);
}

#[test]
fn the_store_on_disk_conforms() {
    suite(OnDisk::new);
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 8_usize..200, 1 => 3_985_usize..4_005, 1 => 7_985_usize..30_000]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(length(), 1..6).prop_map(Step::Append),
        2 => (1_u64..6).prop_map(Step::Truncate),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => any::<u8>().prop_map(Step::Committed),
        5 => (prop::collection::vec((0_u8..9, length()), 0..5), prop::collection::vec(0_u8..9, 0..4))
            .prop_map(|(puts, deletes)| Step::Rows(puts, deletes)),
        2 => (-4_i8..9).prop_map(Step::Purge),
        1 => (0_u8..4, any::<bool>()).prop_map(|(ahead, rebuild)| Step::Install(ahead, rebuild)),
        1 => Just(Step::Restart),
        2 => Just(Step::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_steps_leave_the_store_in_memory_as_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        model::run(InMemory::new(), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_steps_leave_the_store_on_disk_as_the_model_says(steps in prop::collection::vec(step(), 1..25)) {
        model::run(OnDisk::new(), &steps);
    }
}
