//! Entries as others read them, and the places that take them (rank 5).
//!
//! ```text
//! Record -> Format: ECS, OCSF, CloudEvents, OTLP, RFC 5424, JSON -> Sink: elasticsearch, http, otlp, syslog, file, clickhouse
//! ```
//! In: [`Record`], an entry with its leaf and the tree that it stands in; [`Usage`] and [`Access`], what replicas observed; [`Meaning`], what each action is to others;
//! [`format`](mod@format), the forms; [`sink`], the places; [`webhook`], the signatures of Standard Webhooks; [`mail`], one
//! message by SMTP. Out: which entries there are, how far a sink is and when it is tried again (`audit`).
//!
//! # Decisions
//! **A form is a pure function of a record.** The same entry gives the same bytes on each attempt, so that a receiver can tell a
//! repeat, and all of them can be held against what their authors published.
//!
//! **Each record has an id that receivers can count on**: the id of the cluster, the sequence and the beginning of the leaf, since
//! another log of the cluster has the same sequences; of what a replica observed its process life, batch and place in it.
//! Elasticsearch, ClickHouse and receivers of webhooks pass over what they have by it, so that "at least once" is seen once.
//!
//! **Our own few lines of SMTP, not a library.** The one that is well kept turns on TLS 1.2 for every connection of the whole
//! process, since features add up; a dialogue of six commands is less to read than what that would take to prove harmless.

pub mod format;
mod item;
pub mod mail;
mod meaning;
mod observation;
mod record;
pub mod sink;
pub mod webhook;

pub use format::Format;
pub use item::Item;
pub use meaning::{Category, Meaning, OcsfClass, Outcome};
pub use observation::{Access, Place, Reported, Usage};
pub use record::Record;
pub use sink::{SetAside, Sink, SinkError, Taken};
