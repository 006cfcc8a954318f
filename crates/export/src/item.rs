//! What sinks take: entries, and what replicas observed.

use crate::format::Format;
use serde_json::Value;
use std::fmt::Debug;

/// What a sink takes: it has a number, an id and forms, each a pure function of it.
pub trait Item: Clone + Debug + Send + Sync + 'static {
    /// The number that its stream is followed by. Several may have the same, and then stand together.
    fn sequence(&self) -> u64;

    /// The id of its cluster.
    fn cluster(&self) -> &str;

    /// What tells it from all others of its stream.
    fn place(&self) -> String;

    /// When it happened, in milliseconds since 1970.
    fn millis(&self) -> i64;

    /// It in a form.
    fn value(&self, format: Format) -> Value;

    /// Its attributes as a CloudEvent, by their names; each a text, and none empty.
    fn attributes(&self) -> Vec<(&'static str, String)>;

    /// Its id among all clusters: what receivers tell a repeat by.
    fn id(&self) -> String {
        format!("{}-{}", self.cluster(), self.place())
    }
}

/// The id of a batch: the same for each attempt.
pub(crate) fn batch_id<T: Item>(batch: &[T]) -> String {
    match batch {
        [] => String::new(),
        [one] => one.id(),
        [first, .., last] => format!("{}-{}", first.id(), last.place()),
    }
}
