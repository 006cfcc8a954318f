//! Whether to sign: pure, and all of it in one place.

use latchkey_state::AuditCheckpoint;
use latchkey_transparency::{Checkpoint, Hash};

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It may be signed.
    Sign,
    /// Another audit service of this cluster is ahead: what it recorded covers what is here.
    Behind,
    /// It would fork the log, or the log was rolled back. Why, as a sentence.
    Fork(String),
}

/// What was known before.
#[derive(Debug, Default)]
pub(super) struct Before<'a> {
    /// What this key signed last, of whichever log.
    pub(super) last: Option<&'a Checkpoint>,
    /// What the cluster recorded.
    pub(super) recorded: Option<&'a AuditCheckpoint>,
    /// The roots of what is durable here, at the size of the last, and at that of the recorded one; absent where there is less here.
    pub(super) root_at_last: Option<Hash>,
    pub(super) root_at_recorded: Option<Hash>,
}

/// Judges the tree that is durable here.
pub(super) fn judge(here: &Checkpoint, key: [u8; 32], before: &Before<'_>) -> Judged {
    let size = here.size;
    // Another tree has another name: it begins with its own first checkpoint.
    if let Some(last) = before.last.filter(|last| last.origin == here.origin) {
        if last.size > size {
            return Judged::Fork(format!(
                "{} entries were signed, and only {size} are here: the log was rolled back, or put back from a copy",
                last.size
            ));
        }
        if before.root_at_last != Some(last.root) {
            return Judged::Fork(differs("signed here before", last.size, &last.root, before.root_at_last));
        }
    }
    let Some(recorded) = before.recorded else { return Judged::Sign };
    if recorded.size > size {
        if recorded.key != key {
            return Judged::Behind;
        }
        return Judged::Fork(format!(
            "the cluster recorded a checkpoint of {} entries by our key, and only {size} are here: the log and what lies beside \
             its key were rolled back, or put back from a copy",
            recorded.size
        ));
    }
    if before.root_at_recorded != Some(recorded.root) {
        return Judged::Fork(differs(
            "recorded by the cluster",
            recorded.size,
            &recorded.root,
            before.root_at_recorded,
        ));
    }
    // Nothing old is signed anew by another key.
    if recorded.size == size && recorded.key != key { Judged::Behind } else { Judged::Sign }
}

fn differs(what: &str, size: u64, expected: &Hash, found: Option<Hash>) -> String {
    let found = found.map_or_else(|| "none".to_owned(), |root| root.to_string());
    format!("expected the root {expected} for {size} entries, as {what}, found {found}: the log was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn here(size: u64) -> Checkpoint {
        Checkpoint { origin: "latchkey/test".to_owned(), size, root: root(size) }
    }

    /// The root of an honest tree.
    fn root(size: u64) -> Hash {
        Hash::new([u8::try_from(size).unwrap(); 32])
    }

    fn recorded(size: u64, key: [u8; 32]) -> AuditCheckpoint {
        AuditCheckpoint { size, root: root(size), key }
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that each case says its values alone")]
    fn judged(size: u64, last: Option<Checkpoint>, recorded: Option<AuditCheckpoint>) -> Judged {
        let known = |at: u64| (at <= size).then(|| root(at));
        let before = Before {
            last: last.as_ref(),
            recorded: recorded.as_ref(),
            root_at_last: last.as_ref().and_then(|last| known(last.size)),
            root_at_recorded: recorded.as_ref().and_then(|recorded| known(recorded.size)),
        };
        judge(&here(size), KEY, &before)
    }

    fn is_fork(judged: &Judged, because: &str) -> bool {
        matches!(judged, Judged::Fork(why) if why.contains(because))
    }

    #[test]
    fn what_extends_both_is_signed_and_so_is_a_repeat() {
        assert_eq!(judged(9, None, None), Judged::Sign);
        assert_eq!(judged(9, Some(here(5)), Some(recorded(4, KEY))), Judged::Sign);
        assert_eq!(judged(9, Some(here(9)), Some(recorded(9, KEY))), Judged::Sign);
    }

    #[test]
    fn less_than_was_signed_is_a_disk_that_was_rolled_back() {
        assert!(is_fork(&judged(8, Some(here(9)), None), "rolled back"));
        assert!(is_fork(&judged(8, None, Some(recorded(9, KEY))), "rolled back"));
    }

    #[test]
    fn another_tree_below_what_was_signed_or_recorded_is_a_fork() {
        let forked = Checkpoint { root: Hash::new([0xFF; 32]), ..here(5) };
        assert!(is_fork(&judged(9, Some(forked), None), "as signed here before"));
        let forked = AuditCheckpoint { root: Hash::new([0xFF; 32]), ..recorded(5, KEY) };
        assert!(is_fork(&judged(9, None, Some(forked)), "as recorded by the cluster"));
    }

    #[test]
    fn a_second_audit_service_waits_until_it_has_more_than_the_first() {
        assert_eq!(judged(8, None, Some(recorded(9, [1; 32]))), Judged::Behind);
        assert_eq!(judged(9, None, Some(recorded(9, [1; 32]))), Judged::Behind);
        assert_eq!(judged(10, None, Some(recorded(9, [1; 32]))), Judged::Sign);
    }

    #[test]
    fn a_tree_that_begins_anew_is_no_fork_of_the_last_one() {
        let other = Checkpoint { origin: "latchkey/test/e2".to_owned(), ..here(200) };
        assert_eq!(judged(3, Some(other), None), Judged::Sign);
    }
}
