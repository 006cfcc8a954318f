//! Events read back from their bytes.

use crate::support::{START, identity, key_name, slug};
use latchkey_domain::{NodeId, ReasonText, RevocationReason, TenantNumber, UnixMillis};
use latchkey_state::{Action, Actor, DecodedEvent, Event, EventError, RequestMark};
use proptest::prelude::*;
use proptest::sample::select;

fn event() -> impl Strategy<Value = Event> {
    let actor = select(vec![
        Actor::Identity(identity("acme/ann")),
        Actor::Replica(NodeId(0)),
        Actor::Replica(NodeId(u64::MAX)),
        Actor::Key(key_name("acme/live", 1)),
        Actor::Service(slug("audit")),
    ]);
    let reason = (select(RevocationReason::ALL.to_vec()), "[ -~]{0,20}")
        .prop_map(|(reason, text)| (reason, ReasonText::parse(&text).unwrap()));
    let facts = prop::collection::vec((select(vec!["a", "expires_at_ms", ""]), ".{0,9}"), 0..4);
    let request = any::<[u8; 16]>().prop_map(|id| RequestMark { id, hash: [2; 32] });
    (
        (any::<u64>(), actor, select(Action::ALL.to_vec()), ".{0,20}"),
        prop::option::of(any::<u32>().prop_map(TenantNumber)),
        prop::option::of(reason),
        prop::option::of(request),
        facts,
    )
        .prop_map(|((at, actor, action, subject), tenant, reason, request, facts)| Event {
            at: UnixMillis::new(at),
            actor,
            action,
            subject,
            tenant,
            reason,
            request,
            facts,
        })
}

proptest! {
    #[test]
    fn an_event_reads_as_it_was_written(event in event()) {
        let bytes = event.encode();
        let read = DecodedEvent::decode(&bytes).unwrap();
        let facts: Vec<_> = event.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let request = event.request.map(|mark| mark.id);
        let Event { at, actor, action, subject, tenant, reason, .. } = event;
        prop_assert_eq!(read, DecodedEvent { at, actor, action, subject, tenant, reason, request, facts });
    }

    #[test]
    fn no_part_of_an_event_is_an_event_and_none_with_more_is(event in event(), more in any::<u8>()) {
        let mut bytes = event.encode();
        for end in 0..bytes.len() {
            prop_assert_eq!(DecodedEvent::decode(&bytes[..end]), Err(EventError));
        }
        bytes.push(more);
        prop_assert_eq!(DecodedEvent::decode(&bytes), Err(EventError));
    }

    /// Whatever reads is written in just these bytes: two byte strings never tell the same.
    #[test]
    fn bytes_that_read_are_the_bytes_that_are_written(event in event(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = event.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = DecodedEvent::decode(&bytes) {
            let facts = read.facts.into_iter().map(|(name, value)| (&*name.leak(), value)).collect();
            let request = read.request.map(|id| RequestMark { id, hash: [0; 32] });
            let DecodedEvent { at, actor, action, subject, tenant, reason, .. } = read;
            let again = Event { at, actor, action, subject, tenant, reason, request, facts };
            prop_assert_eq!(again.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_read_or_do_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = DecodedEvent::decode(&bytes);
    }
}

#[test]
fn a_number_with_a_sign_is_no_replica() {
    let event = |node: &str| {
        let plain = Event {
            at: START,
            actor: Actor::Replica(NodeId(77)),
            action: Action::RingKeyAdded,
            subject: String::new(),
            tenant: None,
            reason: None,
            request: None,
            facts: Vec::new(),
        };
        let mut bytes = plain.encode();
        bytes[14..16].copy_from_slice(node.as_bytes());
        DecodedEvent::decode(&bytes)
    };
    assert!(event("78").is_ok());
    assert_eq!(event("+8"), Err(EventError));
    assert_eq!(event("08"), Err(EventError));
}
