//! The known name that a mistyped one was meant to be.

/// The nearest of `known`, if it is near enough to be worth naming: at most a third of its characters differ.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    ranked.min().filter(|&(edits, candidate)| edits <= (candidate.len() / 3).max(2)).map(|(_, candidate)| candidate)
}

/// How many characters must be put in, taken out or replaced (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to = to.as_bytes();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, from_byte) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, &to_byte) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from_byte != to_byte);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told_and_a_far_one_is_not() {
        let known = ["raft.heartbeat_ms", "raft.listen", "listen"];
        assert_eq!(nearest("raft.hartbeat_ms", known), Some("raft.heartbeat_ms"));
        assert_eq!(nearest("raft.heartbeat", known), Some("raft.heartbeat_ms"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc")), (3, 3));
    }
}
