//! What windows mean, and what they mean when clocks change.

mod clocks;
mod mistakes;
mod properties;
mod support;
