//! What a follower of the audit log is sent.

use latchkey_domain::{Revision, Sequence, TenantNumber};
use latchkey_state::{EVENT_FORMAT, Entry};
use latchkey_telemetry::TraceParent;
use latchkey_transport::status;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::follow_response::Item;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::Status;

/// Events in the order of their sequences, with marks of progress between them. It ends with an error, or when it is
/// dropped.
pub type Following = Pin<Box<dyn Stream<Item = Result<FollowItem, Status>> + Send>>;

/// One item of [`Following`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowItem {
    /// The next event.
    Event(FollowedEvent),
    /// Nothing more happened up to here.
    Progress {
        /// The sequence of the next event.
        next: Sequence,
        /// The revision that has been applied.
        revision: Revision,
    },
}

/// An event with its place in the audit tree, as a replica sends it. Nothing of it is proven before the root is computed
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedEvent {
    /// Its number.
    pub sequence: Sequence,
    /// The record that made it.
    pub revision: Revision,
    /// The tenant whose audit key seals it; absent: the system's.
    pub tenant: Option<TenantNumber>,
    /// The format of its bytes.
    pub format: u8,
    /// Its canonical bytes.
    pub event: Vec<u8>,
    /// What opens its leaf.
    pub opening: [u8; 32],
    /// The root of the tree with it.
    pub root: [u8; 32],
    /// Where in its trace it was applied, if the replica remembers one.
    pub trace: Option<TraceParent>,
}

impl FollowItem {
    /// Reads one message of `Follow`.
    ///
    /// # Errors
    /// `INTERNAL`: one of us sent what is no item.
    pub fn read(message: pb::FollowResponse) -> Result<Self, Status> {
        let damaged = || status::bug("a follower was sent what is no event");
        let trace = TraceParent::from_bytes(&message.trace_parent);
        match message.item.ok_or_else(damaged)? {
            Item::Event(event) => Ok(Self::Event(FollowedEvent {
                sequence: Sequence(event.sequence),
                revision: event.revision.ok_or_else(damaged)?.into(),
                tenant: event.tenant.map(TenantNumber),
                format: u8::try_from(event.format).map_err(|_| damaged())?,
                event: event.event,
                opening: event.opening.as_slice().try_into().map_err(|_| damaged())?,
                root: event.root.as_slice().try_into().map_err(|_| damaged())?,
                trace,
            })),
            Item::Progress(progress) => Ok(Self::Progress {
                next: Sequence(progress.next_sequence),
                revision: progress.revision.ok_or_else(damaged)?.into(),
            }),
        }
    }
}

/// An entry of the audit tree, as a replica keeps and sends it.
#[must_use]
pub fn write_entry(entry: &Entry) -> pb::Event {
    pb::Event {
        sequence: entry.sequence.0,
        revision: Some(entry.revision.into()),
        format: EVENT_FORMAT.into(),
        event: entry.event.clone(),
        opening: entry.o.to_vec(),
        root: entry.root.as_bytes().to_vec(),
        tenant: entry.tenant.map(|tenant| tenant.0),
    }
}
