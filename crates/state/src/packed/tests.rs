use super::node::ENTRIES_MAX;
use super::*;
use core::ops::Bound::{Excluded, Included, Unbounded};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Ends no test: each entry of one is found in the other, in the same order, from both sides.
fn assert_same(packed: &Packed<u16, u32>, model: &BTreeMap<u16, u32>) {
    assert_eq!(packed.len(), model.len());
    assert!(packed.iter().eq(model.iter()));
    assert!(packed.range_back(Unbounded, Unbounded).eq(model.iter().rev()));
    assert_eq!(packed.first(), model.first_key_value());
    assert!(model.iter().all(|(key, value)| packed.get(key) == Some(value)));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u16, u32),
    Take(u16),
    TakeAll(u16, u16),
    PutInOrder(u16, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0_u16..2_000;
    prop_oneof![
        4 => (key(), any::<u32>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => key().prop_map(Step::Take),
        1 => (key(), 0_u16..600).prop_map(|(key, count)| Step::TakeAll(key, count)),
        1 => (key(), 0_u16..300).prop_map(|(key, count)| Step::PutInOrder(key, count)),
    ]
}

proptest! {
    #[test]
    fn it_is_an_ordered_map_and_its_clones_stay_as_they_were(steps in prop::collection::vec(step(), 1..80)) {
        let (mut packed, mut model) = (Packed::default(), BTreeMap::new());
        let mut earlier = Vec::new();
        for step in steps {
            earlier.push((packed.clone(), model.clone()));
            match step {
                Step::Put(key, value) => assert_eq!(packed.insert(key, value), model.insert(key, value)),
                Step::Take(key) => assert_eq!(packed.remove(&key), model.remove(&key)),
                Step::TakeAll(first, count) => {
                    (first..first + count).for_each(|key| assert_eq!(packed.remove(&key), model.remove(&key)));
                }
                Step::PutInOrder(first, count) => {
                    (first..first + count).for_each(|key| assert_eq!(packed.insert(key, 1), model.insert(key, 1)));
                }
            }
            assert_same(&packed, &model);
            let rebuilt = Packed::from_sorted(model.iter().map(|(key, value)| (*key, *value)));
            assert_eq!(rebuilt, packed);
        }
        earlier.iter().for_each(|(packed, model)| assert_same(packed, model));
    }

    #[test]
    fn a_range_shows_what_lies_between_its_bounds(
        keys in prop::collection::btree_set(0_u16..3_000, 0..500),
        [start, end] in any::<[u16; 2]>().prop_map(|bounds| bounds.map(|bound| bound % 3_010)),
        kinds in any::<[u8; 2]>(),
    ) {
        let packed = Packed::from_sorted(keys.iter().map(|key| (*key, ())));
        let bound = |kind: u8, key: u16| match kind % 3 {
            0 => Included(key),
            1 => Excluded(key),
            _ => Unbounded,
        };
        let (low, high) = (bound(kinds[0], start), bound(kinds[1], end));
        let expected: Vec<_> = keys.iter().filter(|key| {
            let above = match low { Included(low) => **key >= low, Excluded(low) => **key > low, Unbounded => true };
            let below = match high { Included(high) => **key <= high, Excluded(high) => **key < high, Unbounded => true };
            above && below
        }).collect();
        prop_assert!(packed.range(low, high).map(|(key, ())| key).eq(expected.iter().copied()));
        prop_assert!(packed.range_back(low, high).map(|(key, ())| key).eq(expected.iter().rev().copied()));
    }
}

#[test]
fn what_comes_in_order_fills_its_nodes() {
    let mut packed = Packed::default();
    let count = ENTRIES_MAX * ENTRIES_MAX;
    for key in 0..count {
        packed.insert(key, ());
    }
    let Node::Branch(leaves) = &packed.root else { panic!("more than a leaf") };
    assert_eq!(leaves.len(), ENTRIES_MAX);
}

#[test]
fn what_is_emptied_leaves_nothing_behind() {
    let mut packed = Packed::from_sorted((0..10_000_u32).map(|key| (key, ())));
    // From the middle outwards, so that first children go as well as last ones.
    for key in (0..5_000).rev().flat_map(|key| [key, 9_999 - key]) {
        assert_eq!(packed.remove(&key), Some(()));
        assert_eq!(packed.remove(&key), None);
    }
    assert!(packed == Packed::default() && matches!(&packed.root, Node::Leaf(entries) if entries.is_empty()));
}
