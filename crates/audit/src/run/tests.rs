//! A run holds what a map holds, loses it with the key, and finds each byte that changed.

use super::*;
use latchkey_crypto::{DataKey, Entropy};
use latchkey_domain::{ClusterId, RingNumber, TenantNumber};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const OF: ClusterId = ClusterId([0xC1; 16]);

/// Keys by number of tenant, but of those that were destroyed.
#[derive(Debug, Default)]
struct Ring(Mutex<BTreeSet<u32>>);

impl Ring {
    fn destroy(&self, tenant: u32) {
        self.0.lock().unwrap().insert(tenant);
    }
}

impl Keys for Ring {
    fn key(&self, tenant: TenantNumber) -> Result<Option<SealingKey>, KeysAway> {
        let byte = u8::try_from(tenant.0).unwrap();
        let key = || SealingKey { number: RingNumber(tenant.0), key: Arc::new(DataKey::new([byte; 32])) };
        Ok((!self.0.lock().unwrap().contains(&tenant.0)).then(key))
    }
}

struct Counting(u8);
impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        bytes.fill(self.0);
    }
}

type Map = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

fn small() -> Options {
    Options { block_bytes_max: 64, prefix_bytes: 2 }
}

fn write(folder: &TempDir, name: &str, ring: &Arc<Ring>, options: Options, items: &Map) -> Reader {
    let path = folder.path().join(name);
    let mut writer = Writer::create(&path, OF, ring.clone(), options, Counting(name.as_bytes()[0])).unwrap();
    items.iter().for_each(|((tenant, key), value)| writer.push(TenantNumber(*tenant), key, value).unwrap());
    writer.finish(b"a note").unwrap()
}

fn all(reader: &Reader) -> Map {
    let tenants: Vec<_> = reader.tenants().map(|(tenant, _)| tenant).collect();
    let items = |tenant| reader.range(tenant, &[], None).unwrap().map(move |item| (tenant, item.unwrap()));
    tenants.into_iter().flat_map(items).map(|(tenant, (key, value))| ((tenant.0, key), value)).collect()
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..5_u8, 0..6)
}

fn map() -> impl Strategy<Value = Map> {
    prop::collection::btree_map((0..4_u32, key()), prop::collection::vec(any::<u8>(), 0..20), 0..80)
}

#[test]
fn items_that_come_out_of_order_or_are_too_long_are_refused() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::new(Ring::default()));
    let path = folder.path().join("run");
    let mut writer = Writer::create(&path, OF, ring.clone(), Options::default(), Counting(0)).unwrap();
    writer.push(TenantNumber(2), b"b", b"").unwrap();
    for (tenant, key) in [(2, b"b"), (2, b"a"), (1, b"c")] {
        assert!(matches!(writer.push(TenantNumber(tenant), key, b""), Err(RunError::Order { .. })));
    }
    let long = writer.push(TenantNumber(3), b"a", &vec![0; 1 << 20]);
    assert!(matches!(long, Err(RunError::TooLong { .. })));
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of what was not finished");
    let reader = write(&folder, "empty", &ring, Options::default(), &Map::new());
    assert_eq!((reader.note(), reader.tenants().count()), (&b"a note"[..], 0));
    reader.verify().unwrap();
}

#[test]
fn nothing_of_a_tenant_opens_without_its_key_and_a_merge_leaves_it_out() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::new(Ring::default()));
    let items: Map = (0..200).map(|n| ((n % 3, format!("secret-{n:04}").into()), b"word".to_vec())).collect();
    let reader = write(&folder, "before", &ring, small(), &items);
    let bytes = fs::read(reader.path()).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"secret"));
    assert_eq!(all(&reader), items);

    ring.destroy(1);
    // It was read a moment ago, and what was known of it is not used any more.
    assert_eq!(reader.get(TenantNumber(1), b"secret-0001").unwrap(), None);
    assert!(!reader.may_hold(TenantNumber(1), b"se").unwrap());
    let left: Map = items.into_iter().filter(|((tenant, _), _)| *tenant != 1).collect();
    assert_eq!(all(&reader), left);
    reader.verify().unwrap();

    let path = folder.path().join("after");
    let mut writer = Writer::create(&path, OF, ring.clone(), small(), Counting(9)).unwrap();
    merge([&reader], |_, _, mut values| values.pop(), &mut writer).unwrap();
    assert!(matches!(writer.push(TenantNumber(1), b"a", b""), Err(RunError::Order { .. })));
    let after = writer.finish(b"").unwrap();
    assert_eq!(all(&after), left);
    assert_eq!(after.tenants().map(|(tenant, _)| tenant.0).collect::<Vec<_>>(), [0, 2]);
    assert!(after.bytes() < reader.bytes() * 3 / 4);
}

#[test]
fn a_part_that_was_moved_and_a_run_of_another_cluster_are_refused() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::new(Ring::default()));
    let items: Map = (0..8).map(|n| ((1, vec![n]), vec![n; 40])).collect();
    let reader = write(&folder, "run", &ring, Options { block_bytes_max: 60, ..small() }, &items);
    assert!(matches!(Reader::open(reader.path(), ClusterId([0; 16]), ring), Err(RunError::Damaged { .. })));
    let mut bytes = fs::read(reader.path()).unwrap();
    let length = 8 + 69 + 44;
    let (first, second) = (38..38 + length, 38 + length..38 + 2 * length);
    assert_eq!(bytes[first.start..first.start + 4], bytes[second.start..second.start + 4], "blocks of one length");
    let moved = bytes[first.clone()].to_vec();
    bytes.copy_within(second.clone(), first.start);
    bytes[second].copy_from_slice(&moved);
    fs::write(reader.path(), bytes).unwrap();
    assert!(matches!(reader.verify(), Err(RunError::Damaged { .. })));
    assert!(matches!(reader.get(TenantNumber(1), &[0]), Err(RunError::Damaged { .. })));
}

#[test]
fn each_byte_that_changed_is_found_also_where_the_key_is_gone() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::new(Ring::default()));
    let items: Map = (0..40_u32).map(|n| ((n % 3, vec![1, n.to_be_bytes()[3]]), vec![7; 9])).collect();
    let path = write(&folder, "run", &ring, small(), &items).path().to_owned();
    let whole = fs::read(&path).unwrap();
    for destroyed in [false, true] {
        if destroyed {
            ring.destroy(2);
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            let read = Reader::open(&path, OF, ring.clone()).and_then(|reader| reader.verify());
            // The sixth byte says the format, and a changed one is another build's.
            let found = match read {
                Err(RunError::Format { .. }) => at == 5,
                Err(RunError::Damaged { .. }) => at != 5,
                _ => false,
            };
            assert!(found, "byte {at} of {}", whole.len());
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Reader::open(&path, OF, ring.clone()).and_then(|reader| reader.verify()).is_err(), "{length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_run_reads_as_the_map_that_was_written(items in map(), keys in prop::collection::vec(key(), 8), turns in prop::collection::vec(any::<bool>(), 40), prefix_bytes in 0..7_usize) {
        let (folder, ring) = (TempDir::new().unwrap(), Arc::new(Ring::default()));
        let reader = write(&folder, "run", &ring, Options { prefix_bytes, ..small() }, &items);
        prop_assert_eq!(&all(&reader), &items);
        reader.verify().unwrap();
        for tenant in 0..5 {
            for key in &keys {
                let expected = items.get(&(tenant, key.clone())).cloned();
                prop_assert_eq!(reader.get(TenantNumber(tenant), key).unwrap(), expected);
            }
            for pair in keys.windows(2) {
                for below in [None, Some(pair[1].as_slice())] {
                    let inside = |key: &Vec<u8>| *key >= pair[0] && below.is_none_or(|below| key.as_slice() < below);
                    let mut expected: std::collections::VecDeque<_> =
                        items.iter().filter(|((of, key), _)| *of == tenant && inside(key)).map(|((_, key), value)| (key.clone(), value.clone())).collect();
                    let mut range = reader.range(TenantNumber(tenant), &pair[0], below).unwrap();
                    for from_front in turns.iter().chain([&true; 80]) {
                        let (found, next) = if *from_front { (range.next(), expected.pop_front()) } else { (range.next_back(), expected.pop_back()) };
                        prop_assert_eq!(found.transpose().unwrap(), next);
                    }
                }
            }
        }
    }

    #[test]
    fn a_merge_is_the_union_of_the_maps_with_each_key_combined(parts in prop::collection::vec(map(), 0..4), gone in prop::option::of(0..4_u32)) {
        let (folder, ring) = (TempDir::new().unwrap(), Arc::new(Ring::default()));
        let named = |at: usize| char::from(b'a' + u8::try_from(at).unwrap()).to_string();
        let readers: Vec<_> = parts.iter().enumerate().map(|(at, part)| write(&folder, &named(at), &ring, small(), part)).collect();
        // The cluster's own key is never destroyed.
        if let Some(gone) = gone.filter(|gone| *gone > 0) {
            ring.destroy(gone);
        }
        let mut writer = Writer::create(&folder.path().join("m"), OF, ring.clone(), small(), Counting(100)).unwrap();
        // Values are put behind each other; keys that begin with a 4 go.
        merge(&readers, |_, key, values| (key.first() != Some(&4)).then(|| values.concat()), &mut writer).unwrap();
        let mut expected = Map::new();
        for ((tenant, key), value) in parts.into_iter().flatten() {
            if key.first() != Some(&4) && (tenant == 0 || Some(tenant) != gone) {
                expected.entry((tenant, key)).or_default().extend(value);
            }
        }
        let run = writer.finish(b"").unwrap();
        prop_assert_eq!(all(&run), expected);
        run.verify().unwrap();
    }
}
