//! Numbers of variable length, and a reader of bytes that never panics.

/// Appends `number` in groups of seven bits, the lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends the length of `bytes` and them.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes from the front of bytes; `None` where they end too soon.
#[derive(Clone, Debug)]
pub(crate) struct Taker<'a>(pub(crate) &'a [u8]);

impl<'a> Taker<'a> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for turn in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let group = u64::from(byte & 0x7F);
            // The tenth group has one bit.
            if turn == 9 && group > 1 {
                return None;
            }
            number |= group << (7 * turn);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.0.get(..count)?;
        self.0 = &self.0[count..];
        Some(taken)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.length()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_put(numbers in prop::collection::vec(prop_oneof![any::<u64>(), 0..300_u64], 0..20)) {
            let mut out = Vec::new();
            numbers.iter().for_each(|number| put(&mut out, *number));
            let mut taker = Taker(&out);
            for number in numbers {
                prop_assert_eq!(taker.number(), Some(number));
            }
            prop_assert!(taker.is_empty());
        }

        #[test]
        fn no_bytes_panic(noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut taker = Taker(&noise);
            while taker.bytes().is_some() && !taker.is_empty() {}
            let mut taker = Taker(&noise);
            while taker.number().is_some() {}
        }
    }
}
