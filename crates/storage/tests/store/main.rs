//! Both stores, from outside.
#![allow(clippy::expect_used, reason = "tests")]

mod conformance;
mod disk;
mod memory;
mod subjects;
