//! What was read is what was written at that revision.

use super::{Kind, Read, Record, Write};
use latchkey_wire::pb::v1::Outcome;

pub(super) fn check(record: &Record) -> Vec<String> {
    let by_key = record.by_key();
    let nothing = Vec::new();
    let wrong = record.reads.iter().filter_map(|read| {
        let writes = by_key.get(&read.key).unwrap_or(&nothing);
        let allowed = allowed(writes, read);
        (!allowed.contains(&read.outcome)).then(|| {
            let Read { key, replica, outcome, at, .. } = read;
            format!("replica {replica} read key {key} at {at:?} as {outcome:?}, where {allowed:?} is written")
        })
    });
    wrong.collect()
}

/// What a read may find: the last acknowledged write at or below its revision, or one whose outcome nobody knows.
fn allowed(writes: &[&Write], read: &Read) -> Vec<Outcome> {
    let mut below = writes.iter().filter(|write| write.told.is_some_and(|(_, at)| at <= read.at));
    let last = below.next_back().map(|write| write.kind);
    let mut allowed = vec![last.map_or(Outcome::NotFound, Kind::outcome)];
    // What is dead stays dead, whatever lands later.
    if last != Some(Kind::Revoke) {
        let unknown = writes.iter().filter(|write| write.told.is_none() && write.began < read.ended);
        allowed.extend(unknown.map(|write| write.kind.outcome()));
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::super::Kind::{Create, Resume, Revoke, Suspend};
    use super::super::planted::{read, record, write};
    use super::super::{Read, Write};
    use super::Outcome;

    fn wrong(writes: Vec<Write>, reads: Vec<Read>) -> usize {
        record(writes, reads).check_values().len()
    }

    #[test]
    fn each_read_sees_the_last_write_at_its_revision() {
        let writes = || {
            vec![
                write(Create, 0, Some((1, 5))),
                write(Suspend, 2, Some((3, 7))),
                write(Resume, 4, Some((5, 9))),
                write(Revoke, 6, Some((7, 11))),
            ]
        };
        let right = [
            (4, Outcome::NotFound),
            (5, Outcome::Valid),
            (6, Outcome::Valid),
            (7, Outcome::Suspended),
            (10, Outcome::Valid),
            (11, Outcome::Revoked),
        ];
        assert_eq!(wrong(writes(), right.map(|(index, outcome)| read(outcome, 9, index)).to_vec()), 0);
        let planted = [(4, Outcome::Valid), (5, Outcome::NotFound), (8, Outcome::Valid), (12, Outcome::Valid)];
        assert_eq!(wrong(writes(), planted.map(|(index, outcome)| read(outcome, 9, index)).to_vec()), 4);
    }

    #[test]
    fn a_write_of_unknown_outcome_may_land_at_any_time_and_not_before_it_began() {
        let writes = || vec![write(Create, 0, Some((1, 5))), write(Revoke, 10, None)];
        assert_eq!(wrong(writes(), vec![read(Outcome::Revoked, 20, 8), read(Outcome::Valid, 20, 8)]), 0);
        assert_eq!(
            wrong(writes(), vec![read(Outcome::Revoked, 5, 8)]),
            1,
            "it was revoked before anybody asked for it"
        );
        assert_eq!(wrong(writes(), vec![read(Outcome::Suspended, 20, 8)]), 1, "nobody asked for that");
    }

    #[test]
    fn a_key_that_comes_back_to_life_is_found() {
        let writes = vec![write(Create, 0, Some((1, 5))), write(Revoke, 2, Some((3, 6))), write(Resume, 4, None)];
        assert_eq!(wrong(writes, vec![read(Outcome::Valid, 9, 8)]), 1);
    }
}
