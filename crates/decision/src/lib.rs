//! Whether a key text is good for a request (rank 3, pure).
//!
//! ```text
//! key text -> Presented -> Resolved -> Fresh -> Permit -> Admitted -> Verdict
//!             shape,       version,    age of   life,     limits      what the answer may carry,
//!             checksum     secret,     the      networks, (none       age of the state once more
//!                          grant       state    query      yet)
//! ```
//! Each arrow is a function from one type to the next. Each type is a proof: its fields are private to a module of its
//! own, so what must have happened before cannot be forgotten and still compile. A step that refuses gives [`Denied`],
//! which is a proof as well; [`decide`] walks the whole way, and [`authenticate`] walks it with a management key.
//! [`explain`] walks it beside, and tells each check; [`hold`] goes as far as the life of the version.
//!
//! A state that is older than a keyspace's `staleness_max` is refused, or read as what was known last and said to be
//! so ([`Freshness`]), as the keyspace wishes. What an operator has denied on this replica alone ([`Denials`]) is judged
//! with the life of the version.
//!
//! In: which outcome, in which order, and what may be told. Out: clocks, locks, waiting, protobuf: time, peppers and
//! state are arguments, and nothing here allocates but an explanation and the permissions of a key that has a role, a
//! restriction or a parent key.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod admitted;
mod authenticate;
mod bound;
mod content;
mod decide;
mod denials;
mod denied;
mod explain;
mod foreign;
mod fresh;
mod ground;
mod hold;
mod permit;
mod presented;
mod question;
mod resolved;
mod verdict;

pub use admitted::{Admitted, Limit};
pub use authenticate::{
    Identified, NotIdentified, authenticate, authenticate_noting, authenticate_validator, recognise,
};
pub use bound::{Freshness, Stale};
pub use content::{Content, RotationHint};
pub use decide::{Undecided, decide, decide_noting};
pub use denials::Denials;
pub use denied::Denied;
pub use explain::{Check, Explained, Explanation, Finding, explain};
pub use foreign::Foreign;
pub use fresh::Fresh;
pub use ground::{Ground, Peppers};
pub use hold::{Held, NotHeld, hold};
pub use permit::{Access, Permit};
pub use presented::{Native, Presented};
pub use question::Question;
pub use resolved::{PepperMissing, Resolved, claimed, resolve};
pub use verdict::{Decision, Disclosure, Verdict};
