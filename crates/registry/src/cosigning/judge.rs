//! Whether to vouch: pure, and all of it in one place.

use latchkey_state::{AuditCheckpoint, Progress};
use latchkey_transparency::{Checkpoint, Hash};

/// The feature level from which on there are node keys and checkpoints.
pub(super) const LEVEL: u32 = 6;

/// A checkpoint that audit has signed with a key.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) checkpoint: Checkpoint,
    pub(super) key: [u8; 32],
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It may be vouched for.
    Right,
    /// It may not, and this is why.
    Conflict(String),
}

/// Judges a checkpoint by the root that this replica computed (`own`), by what the cluster recorded, and by what this
/// replica vouched for last.
pub(super) fn judge(asked: &Asked, own: Hash, progress: &Progress, signed: Option<&AuditCheckpoint>) -> Judged {
    let Asked { checkpoint: Checkpoint { size, root, .. }, key } = asked;
    let conflict = |problem| Judged::Conflict(problem);
    if let Some(recorded) = &progress.checkpoint {
        if *size < recorded.size {
            let at_least = recorded.size;
            return conflict(format!("expected at least {at_least} entries, as the cluster recorded, found {size}"));
        }
        if *key != recorded.key && *size == recorded.size {
            return conflict(format!("expected the key that signed {size} entries before, found another"));
        }
    }
    if *root != own {
        return conflict(format!("expected the root {own} for {size} entries, found {root}"));
    }
    let Some(signed) = signed else { return Judged::Right };
    if *size == signed.size && *root != signed.root {
        let before = signed.root;
        return conflict(format!("expected the root {before} for {size} entries, as vouched for before, found {root}"));
    }
    // A new key of audit may begin with less than the old one signed, where its own disk was lost: our tree has both.
    if *size < signed.size && *key == signed.key {
        let at_least = signed.size;
        return conflict(format!("expected at least {at_least} entries, as vouched for before, found {size}"));
    }
    Judged::Right
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Hash = Hash::new([1; 32]);

    fn asked(size: u64, root: u8, key: u8) -> Asked {
        let checkpoint = Checkpoint { origin: "latchkey/test".to_owned(), size, root: Hash::new([root; 32]) };
        Asked { checkpoint, key: [key; 32] }
    }

    fn known(size: u64, root: u8, key: u8) -> AuditCheckpoint {
        AuditCheckpoint { size, root: Hash::new([root; 32]), key: [key; 32] }
    }

    fn refused(asked: &Asked, recorded: Option<AuditCheckpoint>, signed: Option<AuditCheckpoint>) -> bool {
        let progress = Progress { checkpoint: recorded, ..Progress::default() };
        judge(asked, OWN, &progress, signed.as_ref()) != Judged::Right
    }

    #[test]
    fn another_root_than_our_own_is_refused_whatever_was_signed_before() {
        assert!(!refused(&asked(7, 1, 9), None, None));
        assert!(refused(&asked(7, 2, 9), None, None));
        assert!(refused(&asked(7, 2, 9), Some(known(5, 5, 9)), Some(known(7, 2, 9))));
    }

    #[test]
    fn a_step_back_is_refused_by_what_is_recorded_and_by_what_was_signed() {
        assert!(refused(&asked(7, 1, 9), Some(known(8, 1, 9)), None));
        assert!(refused(&asked(7, 1, 9), None, Some(known(8, 1, 9))));
        assert!(!refused(&asked(8, 1, 9), Some(known(8, 1, 9)), Some(known(8, 1, 9))), "a repeat");
        assert!(!refused(&asked(9, 1, 9), Some(known(8, 1, 9)), Some(known(8, 1, 9))));
    }

    #[test]
    fn a_second_root_of_one_size_is_refused_even_where_the_tree_here_was_rewritten() {
        assert!(refused(&asked(8, 1, 9), None, Some(known(8, 2, 9))));
    }

    #[test]
    fn another_key_of_audit_goes_on_and_signs_nothing_old_anew() {
        assert!(refused(&asked(8, 1, 3), Some(known(8, 1, 9)), None));
        assert!(!refused(&asked(9, 1, 3), Some(known(8, 1, 9)), Some(known(10, 1, 9))));
    }
}
