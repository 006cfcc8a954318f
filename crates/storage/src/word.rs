//! Small values that raft and the replica keep by name.

/// A name under which a few bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Word {
    /// Term and vote. Must be durable before a candidate is answered.
    Vote = 1,
    /// The committed log id. May be lost: raft finds it again.
    Committed = 2,
    /// Why this replica has fenced itself. Must outlive a restart.
    Fence = 3,
    /// What operators denied on this replica. Must be durable before they are answered.
    Denials = 4,
    /// The key that this replica cosigns with, and what it cosigned last. Must be durable before that is answered.
    NodeKey = 5,
}

impl Word {
    /// Every word, in the order of its number on disk.
    pub const ALL: [Self; 5] = [Self::Vote, Self::Committed, Self::Fence, Self::Denials, Self::NodeKey];
}
