//! Notices to those whose keys they are: what is about a key goes to the contacts of its owner and its tenant, what is about the
//! cluster to its operators.
//!
//! ```text
//! entry -> Notice: kind, about whom, text -> contacts -> told today? -> e-mail or webhook -> written down as told
//! ```
//! It is a sink like others, with a cursor and a back-off of its own. Each kind of notice about each key goes to each contact once a
//! day at most; a contact that cannot be reached is tried three times and then passed. What one tenant's contacts may take from
//! all others has an end: so many notices a day to each, so much waiting an hour for all ([`Ledger`], `patience`). The id of a notice
//! is that of its entry, also over a restart.
//!
//! What no entry tells goes to operators by [`Operators`]. Both share [`Senders`], where each destination has one back-off (`rests`):
//! a mail server that takes nothing is asked as often as one notice would ask it, and what was for it comes again.

mod directory;
mod ledger;
mod notice;
pub mod operators;
mod patience;
mod rests;
mod sender;
mod senders;

pub use directory::{Contacts, OverRegistry as ContactsOverRegistry};
pub use ledger::{Ledger, Telling};
pub use notice::{ACTIONS, Notice};
pub use operators::Operators;
pub use sender::NoticeSink;
pub use senders::Senders;
