//! Lists of sequences, in order.

use super::term::Term;
use crate::run::codec::{Taker, put};

/// Sequences in one item at most: some 600 bytes.
pub(super) const LIST_MAX: usize = 512;
/// Bytes of the first sequence in a key: 280 million million entries.
const FIRST_BYTES: usize = 6;

/// The key of the list of `term` that begins with `first`.
pub(super) fn key(term: Term, first: u64) -> [u8; 8 + FIRST_BYTES] {
    let mut key = [0; 8 + FIRST_BYTES];
    key[..8].copy_from_slice(&term);
    key[8..].copy_from_slice(&first.to_be_bytes()[8 - FIRST_BYTES..]);
    key
}

/// The term and the first sequence of a key.
pub(super) fn read_key(key: &[u8]) -> Option<(Term, u64)> {
    let (term, rest) = key.split_first_chunk::<8>()?;
    let rest: &[u8; FIRST_BYTES] = rest.try_into().ok()?;
    let mut first = [0; 8];
    first[8 - FIRST_BYTES..].copy_from_slice(rest);
    Some((*term, u64::from_be_bytes(first)))
}

/// The value of a list; the first is in the key.
pub(super) fn write(list: &[u64]) -> Vec<u8> {
    let mut value = Vec::with_capacity(list.len() + 8);
    list.windows(2).for_each(|pair| put(&mut value, pair[1] - pair[0]));
    value
}

/// The list that begins with `first`; `None` where it does not read.
pub(super) fn read(first: u64, value: &[u8]) -> Option<Vec<u64>> {
    let (mut list, mut taker) = (vec![first], Taker(value));
    let mut last = first;
    while !taker.is_empty() {
        last = last.checked_add(taker.number().filter(|step| *step > 0)?)?;
        list.push(last);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_is_read_as_it_was_written(list in prop::collection::btree_set(0..(1_u64 << 48), 1..600), term in any::<[u8; 8]>()) {
            let list: Vec<_> = list.into_iter().collect();
            let key = key(term, list[0]);
            prop_assert_eq!(read_key(&key), Some((term, list[0])));
            prop_assert_eq!(read(list[0], &write(&list)), Some(list));
        }

        #[test]
        fn no_bytes_panic(noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (read_key(&noise), read(u64::MAX, &noise));
        }
    }
}
