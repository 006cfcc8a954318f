//! What is told, of which entries.

use latchkey_domain::UnixMillis;
use latchkey_export::Record;
use latchkey_wire::time::write_time;
use std::fmt::Write as _;

/// What notices are about.
pub const ACTIONS: [&str; 7] = [
    "key.rotation_due",
    "key.expires_soon",
    "rotation.held",
    "rotation.ends_in_use",
    "rotation.failed",
    "key.denied_locally",
    "epoch.began",
];

/// A notice. No part of it can hold a secret: entries have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its id: that of the entry.
    pub id: String,
    /// The tenant that it is about; empty: the cluster.
    pub tenant: String,
    /// What kind it is: the action.
    pub kind: String,
    /// What it is about: the key, or what stands in the entry.
    pub about: String,
    /// Whether it is for operators.
    pub for_operators: bool,
    /// In one line.
    pub subject: String,
    /// In words.
    pub text: String,
}

impl Notice {
    /// The notice of an entry; `None`: nobody is told of it.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let action = record.entry.action.as_str();
        let about = key_of(record.subject());
        let (what, to_do) = match action {
            "key.rotation_due" => ("is due for a rotation", "Rotate it, or look whether its rotation policy does."),
            "key.expires_soon" => {
                ("expires soon", "Give it a later expiry, or another key in its place: from then on it is refused.")
            }
            "rotation.held" => {
                ("has a rotation that waits", "Look at why, then resume, cancel or roll back the rotation.")
            }
            "rotation.ends_in_use" => (
                "has an old version that soon ends and is still used",
                "Whoever is named here is refused from then on: give him the new version. A rotation can be held for a while, too.",
            ),
            "rotation.failed" => {
                ("has a rotation that failed", "Its version went on as before. Look at why, and rotate it again.")
            }
            "key.denied_locally" => ("was denied on one replica by an operator", "Look at why in the audit log."),
            "epoch.began" => ("was recovered by an operator", "Look at why in the audit log."),
            _ => return None,
        };
        let for_operators = !about.contains("/keys/") || action == "key.denied_locally";
        let mut text = format!("{about} {what}.\n{to_do}\n\n");
        let _ = writeln!(text, "When: {}\nEntry of the audit log: {}", record.time(), record.sequence());
        if !record.reason().is_empty() {
            let _ = writeln!(text, "Why: {}", record.reason());
        }
        let facts = record.facts();
        for (name, value) in &facts {
            let _ = writeln!(text, "{}", line_of(name, value));
        }
        let _ = write!(text, "\nYou get this since you are a contact of its owner or its tenant, or an operator.\n");
        Some(Self {
            id: record.id(),
            tenant: record.entry.tenant.clone(),
            kind: action.to_owned(),
            subject: format!("{about} {what}"),
            about: about.to_owned(),
            for_operators,
            text,
        })
    }
}

/// A fact as people read it: a time in milliseconds since 1970 is none of theirs.
fn line_of(name: &str, value: &str) -> String {
    match name.strip_suffix("_at_ms").zip(value.parse().ok()) {
        Some((what, millis)) => format!("{what}_at: {}", write_time(UnixMillis::new(millis))),
        None => format!("{name}: {value}"),
    }
}

/// The key that something belongs to, such as a rotation; itself where it belongs to none.
fn key_of(subject: &str) -> &str {
    let mut parts = subject.match_indices('/').map(|(at, _)| at);
    // tenants/T/keyspaces/K/keys/X
    match (subject.contains("/keys/"), parts.nth(5)) {
        (true, Some(end)) => &subject[..end],
        _ => subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_wire::pb::v1;

    fn record(action: &str, subject: &str) -> Record {
        let facts = [("due_at_ms".to_owned(), "5".to_owned())].into();
        let entry = v1::Entry {
            sequence: 7,
            action: action.to_owned(),
            subject: subject.to_owned(),
            facts,
            ..v1::Entry::default()
        };
        Record { entry, leaf: [0; 32], origin: "latchkey/0123".into() }
    }

    #[test]
    fn a_notice_is_about_the_key_whatever_of_it_the_entry_is_about() {
        let key = "tenants/acme/keyspaces/live/keys/0Jx5k3f9QmZ2aB7c";
        let due = Notice::of(&record("key.rotation_due", key)).unwrap();
        let held = Notice::of(&record("rotation.held", &format!("{key}/rotations/r1"))).unwrap();
        assert_eq!((due.about.as_str(), held.about.as_str()), (key, key));
        assert!(
            !due.for_operators
                && due.text.contains("due_at: 1970-01-01T00:00:00.005Z")
                && due.subject.ends_with("is due for a rotation")
        );
        assert_eq!(due.id, "0123-7-00000000");
        assert!(Notice::of(&record("epoch.began", "")).unwrap().for_operators);
        assert_eq!(Notice::of(&record("key.created", key)), None);
        assert!(ACTIONS.iter().all(|action| Notice::of(&record(action, key)).is_some()));
    }
}
