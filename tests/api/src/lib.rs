//! The API from end to end: every service in one process, over real connections, with nothing but cargo.
//!
//! - [`House`] is a cluster of one replica in a folder that vanishes, with the other services in front of it, as `latchkey dev`
//!   starts them.
//! - [`Clients`] call it in the name of one identity.
//! - [`World`] is all that can be listed: what was refused must have left it as it was.
//! - [`methods`] and [`raw`] call each method that is in `proto/`, so that none can be forgotten.
//! - [`requests`] holds requests that are right, from which a test changes what it is about.
//!
//! `tests/api` holds the sentences, `tests/canary` looks for secrets in whatever the services leave behind.

pub mod clients;
pub mod furniture;
pub mod house;
pub mod methods;
pub mod raw;
pub mod requests;
pub mod spares;
pub mod why;
pub mod world;

pub use clients::Clients;
pub use furniture::Furniture;
pub use house::{House, is_upkeep};
pub use spares::Spares;
pub use why::{Why, why};
pub use world::World;
