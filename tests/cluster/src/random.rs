//! Choices that a seed repeats. What the processes and the scheduler do with them, it does not.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ (number >> 31)
    }

    /// One of `0..count`.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.next() % count.max(1)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.below(1 << 24)).expect("24 bits fit")) / f64::from(1_u32 << 24)
    }

    /// One of `items`, unless there are none.
    pub(crate) fn one<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(items.len()).expect("a length fits");
        items.get(usize::try_from(self.below(count)).expect("below a length"))
    }

    /// Another row of choices, for a task of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A request id: a UUID as RFC 9562 draws it.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (time, clock) = ((high & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000, (low & 0x3FFF_FFFF_FFFF_FFFF) | (1 << 63));
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            time >> 32,
            (time >> 16) & 0xFFFF,
            time & 0xFFFF,
            clock >> 48,
            clock & 0xFFFF_FFFF_FFFF
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices() {
        let draw = |seed| (0..9).scan(Random::new(seed), |random, _| Some(random.uuid())).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_request_id_has_the_form_of_a_random_uuid() {
        let id = Random::new(3).uuid();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
}
