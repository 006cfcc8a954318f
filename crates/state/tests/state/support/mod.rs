//! What the tests share: builders of commands, a world that checks every record, and a generator of histories.

mod build;
mod generate_course;
mod generate_directory;
mod generate_life;
mod generate_ring;
mod generator;
mod oracle;
mod world;

pub(crate) use build::*;
pub(crate) use generate_ring::inner;
pub(crate) use generator::history;
pub(crate) use oracle::{defined_root, leaf_of, rows_of};
pub(crate) use world::{World, begins_log};
