//! Where a new secret goes: to a store, to a hook, or sealed to a recipient (rank 5).
//!
//! In: the trait [`Store`], its kinds (a file, a hook process, a Kubernetes Secret), the [`Stores`] that an operator
//! configured and the keyspaces that may use each, the consumer's own check, sealing to a [`RecipientKey`] and opening with
//! the [`RecipientSecret`]. Out: when anything is delivered (`rotation`), and what is minted (`minting`).
//!
//! People know four steps of a rotation. *Create* is the registry's: a version that is `PENDING`, its text in the replay box.
//! *Set* is [`Store::stage`]: the text lies beside the place where consumers read. Then the version becomes `ACTIVE`. *Test* is
//! [`Outlet::check`], once every replica accepts the version. *Finish* is [`Store::deliver`], which lets consumers read it, so
//! that none is ever refused for being quick; and [`Store::finish`] when the rotation has ended. Each is idempotent by the id of
//! the rotation: whoever takes a step after a crash takes it again, whole.
//!
//! A secret is handed to a process on its standard input, and to nothing else but the place itself: never as an argument,
//! a variable, in a log or in an error. `testing::conformance` is what every [`Store`] must pass.
//!
//! # Decisions
//! **What was there before is kept beside, until the rotation has ended.** Nobody can make an old secret again, since only its
//! digest is kept. A roll-back without it would leave consumers with the new secret, which is about to end. So a store keeps
//! the text that it replaces, in the same place and under the same protection, gives it back where the rotation is undone,
//! and destroys it where it completes. A hook has to do so itself.
//!
//! **Outlets are named by settings, never by tenants.** A policy names a store; a path, a command or a cluster that a tenant
//! could name would be a way into our hosts. A name that is unknown and one that another tenant may use look alike.

mod error;
mod file;
mod hook;
mod item;
mod kubernetes;
mod outlet;
mod pem;
mod place;
mod process;
mod recipient;
mod sealing;
mod store;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::DeliveryError;
pub use file::FileStore;
pub use hook::HookStore;
pub use item::Item;
pub use kubernetes::KubernetesStore;
pub use outlet::{CheckError, Outlet, Stores};
pub use recipient::{RecipientError, RecipientKey, RecipientSecret, check_recipient, read_recipient, write_recipient};
pub use sealing::{OpenError, SEALED_BYTES_MAX, SealError, open, seal};
pub use store::{BoxFuture, Ending, Store};
