//! Entries as the API shows them.

use crate::cluster::Event;
use crate::entries::Found;
use crate::told::{Actor, Told, ToldError};
use latchkey_domain::{Revision, RevocationReason, Sequence};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::entry::actor::Actor as Shown;
use latchkey_wire::time::write_time;
use std::collections::BTreeMap;

/// What events call the cluster itself.
const CLUSTER: &str = "cluster";

/// What stands between the values of a fact that has several.
const BETWEEN: &str = " | ";

/// An entry as the API shows it.
pub(crate) fn entry(found: Found) -> v1::Entry {
    let Found { event, mut told, tenant } = found;
    // Where no word belongs to the action, the event tells the text among its facts.
    let (reason, reason_text) =
        told.reason.take().unwrap_or_else(|| (String::new(), take(&mut told.facts, "reason_text").unwrap_or_default()));
    v1::Entry {
        sequence: event.sequence.0,
        revision: Some(event.revision.into()),
        time: Some(write_time(told.at)),
        actor: Some(v1::entry::Actor { actor: Some(actor(&told)) }),
        action: told.action,
        subject: if told.subject == CLUSTER { String::new() } else { told.subject },
        tenant,
        reason: reason_number(&reason),
        reason_text,
        request_id: told.request.as_ref().map(uuid).unwrap_or_default(),
        facts: facts(told.facts),
        tenant_number: told.tenant.map_or(0, |tenant| tenant.0),
    }
}

/// The entry that an event tells of, for whoever has the event from elsewhere, such as from evidence. `tenant` is the name of its
/// tenant, which the event has by number alone; it is left out where the event belongs to none.
///
/// # Errors
/// [`ToldError`] where the bytes are no event.
pub fn entry_of(sequence: Sequence, revision: Revision, bytes: &[u8], tenant: String) -> Result<v1::Entry, ToldError> {
    let told = Told::read(bytes)?;
    let tenant = if told.tenant.is_some() { tenant } else { String::new() };
    let (o, root) = ([0; 32], latchkey_transparency::empty_root());
    let event = Event { sequence, revision, format: 1, bytes: Vec::new(), o, root, trace: None };
    Ok(entry(Found { event, told, tenant }))
}

/// A word that an event tells several times, as `caller` for each of them, has all its values, in their order.
fn facts(told: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::<String, String>::new();
    for (word, value) in told {
        match facts.get_mut(&word) {
            None => drop(facts.insert(word, value)),
            Some(values) => {
                values.push_str(BETWEEN);
                values.push_str(&value);
            }
        }
    }
    facts
}

fn take(facts: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let at = facts.iter().position(|(word, _)| word == name)?;
    Some(facts.remove(at).1)
}

fn actor(told: &Told) -> Shown {
    match told.actor.clone() {
        Actor::Identity(name) => Shown::Identity(name),
        Actor::Replica(node) => Shown::Replica(node),
        Actor::Key(name) => Shown::Key(name),
        Actor::Service(word) => Shown::Service(word),
    }
}

/// A word that this build does not know is told as unspecified; the text beside it is told all the same.
fn reason_number(word: &str) -> i32 {
    let known = RevocationReason::ALL.into_iter().find(|reason| reason.as_str() == word);
    known.map_or(v1::RevocationReason::Unspecified, v1::RevocationReason::from).into()
}

/// A UUID as text, in lower case.
pub(crate) fn uuid(id: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::UnixMillis;
    use latchkey_transparency::Hash;

    #[test]
    fn an_entry_is_shown_with_all_that_its_event_tells() {
        let event = Event {
            sequence: Sequence(7),
            revision: Revision::new(1, 42),
            format: 1,
            bytes: Vec::new(),
            o: [0; 32],
            root: Hash::new([0; 32]),
            trace: None,
        };
        let told = Told {
            at: UnixMillis::new(1_500),
            actor: Actor::Replica(3),
            action: "cluster.bootstrapped".to_owned(),
            subject: "cluster".to_owned(),
            tenant: None,
            reason: Some(("OWNER_LEFT".to_owned(), "gone".to_owned())),
            request: Some(core::array::from_fn(|at| u8::try_from(at).unwrap())),
            facts: vec![("cluster".to_owned(), "c1".to_owned())],
        };
        let plain = Told {
            reason: None,
            facts: [("caller", "one"), ("reason_text", "well"), ("caller", "two")]
                .map(|(word, value)| (word.to_owned(), value.to_owned()))
                .to_vec(),
            ..told.clone()
        };
        let plain = entry(Found { event: event.clone(), told: plain, tenant: String::new() });
        assert_eq!((plain.reason, plain.reason_text.as_str(), plain.facts.len()), (0, "well", 1));
        assert_eq!(plain.facts["caller"], "one | two");
        let shown = entry(Found { event, told, tenant: String::new() });
        assert_eq!((shown.sequence, shown.subject.as_str()), (7, ""));
        assert_eq!(shown.actor.unwrap().actor, Some(Shown::Replica(3)));
        assert_eq!(shown.reason, i32::from(v1::RevocationReason::OwnerLeft));
        assert_eq!(shown.request_id, "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(shown.facts["cluster"], "c1");
        assert_eq!(reason_number("A_NEWER_WORD"), 0);
    }
}
