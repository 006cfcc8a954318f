//! Rounds: what is compared is measured in turns, and the median counts, of each figure and of the ratios within a round.

/// The figures of a round, one for each of what is measured in turn.
pub(crate) struct Rounds<T> {
    rounds: Vec<Vec<T>>,
}

impl<T> Rounds<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self { rounds: Vec::new() }
    }

    /// One more.
    pub(crate) fn push(&mut self, round: Vec<T>) {
        self.rounds.push(round);
    }

    /// The median of one figure of what is measured as the `index`th.
    pub(crate) fn median(&self, index: usize, of: impl Fn(&T) -> f64) -> f64 {
        middle(self.rounds.iter().map(|round| of(&round[index])).collect())
    }

    /// The medians of a figure of two, and of its ratio within a round.
    pub(crate) fn compare(&self, [ours, other]: [usize; 2], of: impl Fn(&T) -> f64) -> ([f64; 2], f64) {
        let ratio = |round: &Vec<T>| of(&round[ours]) / of(&round[other]).max(f64::MIN_POSITIVE);
        ([self.median(ours, &of), self.median(other, &of)], middle(self.rounds.iter().map(ratio).collect()))
    }
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_and_not_that_of_the_medians() {
        let mut rounds = Rounds::new();
        for round in [[1.0, 2.0], [8.0, 8.0], [30.0, 10.0]] {
            rounds.push(round.to_vec());
        }
        let (figures, ratio) = rounds.compare([0, 1], |figure| *figure);
        assert_eq!((figures, ratio), ([8.0, 8.0], 1.0));
        assert_eq!(rounds.median(1, |figure| *figure), 8.0);
    }
}
