//! What is proved of the state machine. `rules` holds one test for each of the ten rules; the others go into detail.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing has failed")]

mod changing;
mod children;
mod clock;
mod cuts;
mod denials;
mod directory;
mod epochs;
mod events;
mod expiry;
mod golden;
mod golden_level_3;
mod golden_level_4;
mod grants;
mod importing;
mod keyring;
mod layers;
mod life;
mod listing;
mod loading;
mod marks;
mod measure;
mod repeats;
mod replicas;
mod revocation;
mod rotating;
mod rules;
mod staleness;
mod support;
mod upkeep;
