//! Permission queries, networks, methods and resources, matched; filters of listings (rank 1, pure).
//!
//! In: what a key's [`Terms`](latchkey_domain::Terms) say about a request ([`Query`], [`AccessContext`]); whether a new key stays
//! within its keyspace and parent ([`check_permissions_within`], [`check_terms_where`]); what a listing is asked to show ([`Filter`]).
//! Out: the grammars of the single words, which are in `domain`; and when these checks run, which is for `decision` and `state`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod filter;
mod query;
mod subset;
#[cfg(test)]
mod testing;
mod token;

pub use access::AccessContext;
pub use filter::{
    Comparison, FILTER_BYTES_MAX, FILTER_COMPARISONS_MAX, Field, Filter, FilterError, FilterRule, Kind, Moment,
    Operator, Value,
};
pub use query::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_WORDS_MAX, Query, QueryError, QueryRule};
pub use subset::{Excess, check_permissions_where, check_permissions_within, check_terms_where, check_terms_within};
