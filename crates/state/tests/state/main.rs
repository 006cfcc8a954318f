//! What is proved of the state machine. `rules` holds one test for each of the ten rules; the others go into detail.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

mod clock;
mod cuts;
mod expiry;
mod golden;
mod grants;
mod keyring;
mod loading;
mod measure;
mod repeats;
mod revocation;
mod rules;
mod support;
