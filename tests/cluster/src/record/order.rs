//! Real time and revisions agree.

use super::{At, Record};
use tokio::time::Instant;

pub(super) fn check(record: &Record) -> Vec<String> {
    let told = record.writes.iter().filter_map(|write| {
        let (ended, at) = write.told?;
        Some((at, write.began, ended, format!("{:?} of key {}", write.kind, write.key)))
    });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable_by_key(|(at, ..)| *at);
    let mut wrong: Vec<_> = told
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| format!("{} and {} share revision {:?}", pair[0].3, pair[1].3, pair[0].0))
        .collect();
    // From the highest revision down: nothing may begin after what has a higher one had ended.
    let mut earliest_end: Option<(Instant, At)> = None;
    for (at, began, ended, what) in told.iter().rev() {
        if let Some((end, above)) = earliest_end.filter(|(end, _)| end < began) {
            let late = began.duration_since(end);
            wrong.push(format!("{what} at {at:?} began {late:?} after revision {above:?} had been told"));
        }
        if earliest_end.is_none_or(|(end, _)| *ended < end) {
            earliest_end = Some((*ended, *at));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::Kind::{Create, Resume, Suspend};
    use super::super::planted::{record, write};

    #[test]
    fn writes_that_overlap_may_land_in_any_order() {
        let writes = vec![write(Create, 0, Some((10, 7))), write(Suspend, 5, Some((20, 6)))];
        assert_eq!(record(writes, Vec::new()).check_order(), Vec::<String>::new());
    }

    #[test]
    fn a_later_write_below_an_earlier_one_is_found() {
        let writes = vec![write(Create, 0, Some((10, 9))), write(Resume, 11, Some((20, 8)))];
        assert_eq!(record(writes, Vec::new()).check_order().len(), 1);
    }

    #[test]
    fn two_writes_at_one_revision_are_found() {
        let writes = vec![write(Create, 0, Some((10, 9))), write(Suspend, 5, Some((20, 9)))];
        assert_eq!(record(writes, Vec::new()).check_order().len(), 1);
    }

    #[test]
    fn a_write_of_unknown_outcome_has_no_place() {
        let writes = vec![write(Create, 0, Some((10, 9))), write(Suspend, 11, None)];
        assert_eq!(record(writes, Vec::new()).check_order(), Vec::<String>::new());
    }
}
