//! Filters and orders of listings, as far as the edge reads them: whoever answers reads them again, in his state.

use crate::violation::Fields;
use latchkey_domain::RotationState;
use latchkey_policy::{Field, Filter, FilterError, Kind};
use latchkey_state::listing::{KeyFilter, KeyOrder};

/// The fields of rotations.
const ROTATION_FIELDS: &[Field] = &[Field { name: "state", kind: Kind::Word(&ROTATION_STATES) }];

/// The words of [`RotationState`], in its order.
const ROTATION_STATES: [&str; RotationState::ALL.len()] = {
    let mut words = [""; RotationState::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = RotationState::ALL[at].as_str();
        at += 1;
    }
    words
};

/// Which rotations a listing shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationFilter(Filter);

impl RotationFilter {
    /// Reads a filter. The empty one shows all.
    ///
    /// # Errors
    /// [`FilterError`], as [`Filter::parse`].
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Filter::parse(text, ROTATION_FIELDS).map(Self)
    }

    /// Whether it shows a rotation in this state.
    #[must_use]
    pub fn shows(&self, state: RotationState) -> bool {
        self.0.comparisons().iter().all(|comparison| comparison.holds_for_text(state.as_str()))
    }
}

/// Passes the filter of a listing of keys on, if it reads. What is wrong with it is told by position, never by text.
pub(super) fn key_filter(fields: &mut Fields, text: &str) -> Option<String> {
    fields.take("filter", Filter::parse(text, KeyFilter::FIELDS)).map(|_| text.to_owned())
}

/// Passes the filter of a listing of rotations on, if it reads.
pub(super) fn rotation_filter(fields: &mut Fields, text: &str) -> Option<String> {
    fields.take("filter", RotationFilter::parse(text)).map(|_| text.to_owned())
}

/// Passes the order of a listing of keys on, if it is one.
pub(super) fn key_order(fields: &mut Fields, text: &str) -> Option<String> {
    let order = KeyOrder::parse(text)
        .ok_or("must be `name`, `create_time`, `update_time` or `expire_time`, with ` desc` for the reverse, or empty");
    fields.take("order_by", order).map(|_| text.to_owned())
}
