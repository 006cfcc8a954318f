//! What callers ask to be proved, read once.

use latchkey_transparency::Checkpoint;
use latchkey_wire::pb::v1;
use latchkey_wire::violation::FieldViolations;

/// An entry, and the size of the tree that it should be in; absent: the newest checkpoint's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InclusionAsked {
    sequence: u64,
    tree_size: Option<u64>,
}

/// The sizes of two trees; the newer one absent: the newest checkpoint's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsistencyAsked {
    old: u64,
    new: Option<u64>,
}

/// There is nothing to read in it.
#[expect(clippy::unnecessary_wraps, reason = "readers of requests say what is wrong with them")]
pub(crate) const fn read_checkpoint(_request: &v1::GetCheckpointRequest) -> Result<(), FieldViolations> {
    Ok(())
}

impl InclusionAsked {
    #[expect(clippy::unnecessary_wraps, reason = "readers of requests say what is wrong with them")]
    pub(crate) fn read(request: &v1::GetInclusionProofRequest) -> Result<Self, FieldViolations> {
        let tree_size = (request.tree_size > 0).then_some(request.tree_size);
        Ok(Self { sequence: request.sequence, tree_size })
    }

    /// The leaf and the size, where the newest checkpoint reaches so far.
    ///
    /// # Errors
    /// [`FieldViolations`], with how far it does.
    pub(crate) fn within(self, newest: &Checkpoint) -> Result<(u64, u64), FieldViolations> {
        let size = size_within("tree_size", self.tree_size, newest)?;
        if self.sequence >= size {
            let expected = format!("must be below {size}, the size of the tree; entries are signed some seconds after");
            return Err(FieldViolations::one("sequence", expected));
        }
        Ok((self.sequence, size))
    }
}

impl ConsistencyAsked {
    #[expect(clippy::unnecessary_wraps, reason = "readers of requests say what is wrong with them")]
    pub(crate) fn read(request: &v1::GetConsistencyProofRequest) -> Result<Self, FieldViolations> {
        let new = (request.new_tree_size > 0).then_some(request.new_tree_size);
        Ok(Self { old: request.old_tree_size, new })
    }

    /// Both sizes, where the newest checkpoint reaches so far.
    ///
    /// # Errors
    /// [`FieldViolations`], with how far it does.
    pub(crate) fn within(self, newest: &Checkpoint) -> Result<(u64, u64), FieldViolations> {
        let new = size_within("new_tree_size", self.new, newest)?;
        if self.old > new {
            let expected = format!("must be at most {new}, the size of the newer tree");
            return Err(FieldViolations::one("old_tree_size", expected));
        }
        Ok((self.old, new))
    }
}

fn size_within(field: &'static str, asked: Option<u64>, newest: &Checkpoint) -> Result<u64, FieldViolations> {
    let size = asked.unwrap_or(newest.size);
    if size <= newest.size {
        return Ok(size);
    }
    Err(FieldViolations::one(field, format!("must be at most {}, the size of the newest checkpoint", newest.size)))
}
