//! A replica never goes back, through kills and snapshots neither.

use super::Record;
use std::collections::BTreeMap;
use tokio::time::Instant;

pub(super) fn check(record: &Record) -> Vec<String> {
    let mut by_replica: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for read in &record.reads {
        by_replica.entry(read.replica).or_default().push(read);
    }
    let mut wrong = Vec::new();
    for (replica, mut reads) in by_replica {
        reads.sort_by_key(|read| read.began);
        // The highest revision of any read that had ended when the next began.
        let mut ends: Vec<_> = reads.iter().map(|read| (read.ended, read.at)).collect();
        ends.sort_unstable();
        let mut ends = ends.into_iter().peekable();
        let mut highest: Option<((u64, u64), Instant)> = None;
        for read in reads {
            while let Some((ended, at)) = ends.next_if(|(ended, _)| *ended < read.began) {
                if highest.is_none_or(|(highest, _)| at > highest) {
                    highest = Some((at, ended));
                }
            }
            if let Some((before, ended)) = highest.filter(|(before, _)| *before > read.at) {
                let later = read.began.duration_since(ended);
                wrong.push(format!("replica {replica} answered at {before:?}, and {later:?} later at {:?}", read.at));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::planted::{read, record};
    use latchkey_wire::pb::v1::Outcome::Valid;

    #[test]
    fn a_replica_that_goes_back_is_found() {
        assert_eq!(record(Vec::new(), vec![read(Valid, 0, 9), read(Valid, 5, 8)]).check_steadiness().len(), 1);
    }

    #[test]
    fn answers_that_overlap_or_are_of_two_replicas_may_differ() {
        let mut elsewhere = read(Valid, 5, 8);
        elsewhere.replica = 2;
        let reads = vec![read(Valid, 0, 9), read(Valid, 1, 8), elsewhere];
        assert_eq!(record(Vec::new(), reads).check_steadiness(), Vec::<String>::new());
    }
}
