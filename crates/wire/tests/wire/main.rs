//! What the crate promises as a whole: about the files of the API, about bytes at rest, about what clients are shown.
#![expect(clippy::unwrap_used, reason = "the helpers of tests stop at the first surprise, as tests do")]

mod descriptors;
mod disk;
mod echoes;
mod fixtures;
mod fixtures_level_2;
mod fixtures_level_3;
mod fixtures_level_4;
mod fixtures_level_5;
mod fixtures_level_6;
mod fixtures_ring;
mod life;
mod masks;
mod measure;
mod resources;
mod verdicts;
