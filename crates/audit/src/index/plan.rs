//! What a search asks of the index.

use super::term::Word;
use super::times::Span;
use latchkey_domain::TenantNumber;

/// What is asked of the index. Every entry that is looked for meets it; what meets it may still not be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Of these tenants only; absent: of all, and of the cluster.
    pub(crate) tenants: Option<Vec<TenantNumber>>,
    /// All of these. Empty: any entry.
    pub(crate) words: Vec<Word>,
    /// When.
    pub(crate) span: Span,
}

impl Plan {
    /// Whether entries are told apart by their times at most, so that a walk opens hardly more than the index names.
    pub(crate) const fn is_walk(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether the entries of a tenant are asked for.
    pub(super) fn includes(&self, tenant: TenantNumber) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(&tenant))
    }
}
