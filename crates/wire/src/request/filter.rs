//! Filters and orders of listings, as far as the edge reads them: whoever answers reads them again, in his state.

use crate::violation::Fields;
use latchkey_policy::Filter;
use latchkey_state::listing::{KeyFilter, KeyOrder};

/// Passes the filter of a listing of keys on, if it reads. What is wrong with it is told by position, never by text.
pub(super) fn key_filter(fields: &mut Fields, text: &str) -> Option<String> {
    fields.take("filter", Filter::parse(text, KeyFilter::FIELDS)).map(|_| text.to_owned())
}

/// Passes the order of a listing of keys on, if it is one.
pub(super) fn key_order(fields: &mut Fields, text: &str) -> Option<String> {
    let order = KeyOrder::parse(text)
        .ok_or("must be `name`, `create_time`, `update_time` or `expire_time`, with ` desc` for the reverse, or empty");
    fields.take("order_by", order).map(|_| text.to_owned())
}
