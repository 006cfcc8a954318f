//! Keys of other systems, from a file into a keyspace.
//!
//! ```text
//! file -> rows (JSON or CSV) -> a reader for each system -> batches -> ImportKeys -> journal, report of refused rows
//! ```
//! # Decisions
//! **Nothing is dropped in silence.** A reader takes out of a row what it understands; what is left refuses the row, unless
//! somebody said that it becomes metadata or is left behind.
//! **Twice is once.** The service knows a row again by its digest and its id in the other system. So whatever is lost, an
//! answer, this process or the journal, may be done again. The id of a request is of one run: the first answer to a batch may
//! hold refusals whose cause was mended since, and whoever runs the import again wants to know what is true now.
//! **The journal says what is settled, in the order of the file**, and is written after the report and before the next batch
//! is counted. It could hold each batch that is in; then a resumed run would have to tell the rows between, for nothing.
//! **By digest where there is one.** A text is sent only where the other system has nothing else, and is never written anywhere.

pub(crate) mod batch;
pub(crate) mod csv_rows;
mod digest;
pub(crate) mod fields;
pub(crate) mod formats;
pub(crate) mod from;
pub(crate) mod journal;
mod json_rows;
pub(crate) mod naming;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod row;
pub(crate) mod send;
pub(crate) mod shape;
pub(crate) mod supply;
