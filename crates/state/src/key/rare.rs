//! A part that most records do without.

use alloc::boxed::Box;

/// A part of a record that mostly says nothing, and then costs one null pointer.
///
/// What says nothing is never kept, so that records that say the same are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    /// What it says, if anything.
    #[must_use]
    pub fn as_ref(&self) -> Option<&T> {
        self.0.as_deref()
    }
}

impl<T: Default + Eq> Rare<T> {
    /// Changes what it says.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut part = self.0.take().unwrap_or_default();
        let result = change(&mut part);
        self.0 = (*part != T::default()).then_some(part);
        result
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default + Eq> From<T> for Rare<T> {
    fn from(part: T) -> Self {
        Self((part != T::default()).then(|| Box::new(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_not_kept() {
        let mut part = Rare::from(0_u64);
        assert_eq!((part.as_ref(), size_of_val(&part)), (None, size_of::<usize>()));
        assert_eq!(part.change(|part| core::mem::replace(part, 7)), 0);
        assert_eq!((part.as_ref(), &part), (Some(&7), &Rare::from(7)));
        part.change(|part| *part = 0);
        assert_eq!(part, Rare::default());
    }
}
