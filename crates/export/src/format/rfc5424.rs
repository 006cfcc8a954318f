//! Syslog, RFC 5424: one message for each record, its fields as structured data.
//!
//! ```text
//! <108>1 2026-11-23T08:00:00Z 6f1d... latchkey - key.created [meta sequenceId="8"][latchkey@32473 sequence="7" ...] text
//! ```

use crate::meaning::{Meaning, Outcome};
use crate::record::Record;
use std::fmt::Write as _;

/// "log audit" of RFC 5424, section 6.2.1.
const FACILITY: u32 = 13;
/// The enterprise number that RFC 5612 keeps for examples: we have none of our own.
const ENTERPRISE: u32 = 32_473;
/// Longest name of a parameter, and of `MSGID`.
const NAME_BYTES_MAX: usize = 32;
/// Longest `HOSTNAME`.
const HOST_BYTES_MAX: usize = 255;
/// Largest `sequenceId`: after it comes 1 again.
const SEQUENCE_ID_MAX: u64 = 2_147_483_647;

/// The record as a message, without a frame around it.
#[must_use]
pub fn message(record: &Record) -> String {
    let entry = &record.entry;
    let meaning = Meaning::of(&entry.action);
    // Warning, notice, informational.
    let severity = match (meaning.outcome, meaning.severity) {
        (Outcome::Failure, _) | (_, 3..) => 4,
        (_, 2) => 5,
        _ => 6,
    };
    let host = header(record.cluster(), HOST_BYTES_MAX);
    let mut text = format!(
        "<{}>1 {} {host} latchkey - {} [meta sequenceId=\"{}\"][latchkey@{ENTERPRISE}",
        FACILITY * 8 + severity,
        record.time(),
        header(&entry.action, NAME_BYTES_MAX),
        record.sequence() % SEQUENCE_ID_MAX + 1,
    );
    let fields = [
        ("sequence", entry.sequence.to_string()),
        ("outcome", meaning.outcome.as_str().to_owned()),
        ("tenant", entry.tenant.clone()),
        ("actor", record.actor_name()),
        ("subject", record.subject().to_owned()),
        ("reason", record.reason().to_owned()),
        ("requestId", entry.request_id.clone()),
        ("leaf", record.leaf_hex()),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        parameter(&mut text, name, value);
    }
    text.push(']');
    let facts = record.facts();
    if !facts.is_empty() {
        let _ = write!(text, "[fact@{ENTERPRISE}");
        for (name, value) in facts {
            parameter(&mut text, name, value);
        }
        text.push(']');
    }
    // The mark tells receivers that what follows is UTF-8.
    let _ = write!(text, " \u{feff}{}", plain(&record.line()));
    text
}

/// The message as a stream carries it: its length in bytes, a space, and itself (RFC 6587, section 3.4.1).
#[must_use]
pub fn framed(record: &Record) -> Vec<u8> {
    let message = message(record);
    format!("{} {message}", message.len()).into_bytes()
}

fn parameter(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, " {}=\"", header(name, NAME_BYTES_MAX));
    for letter in plain(value).chars() {
        if matches!(letter, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

/// Without what ends lines or rings bells on a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A word of visible ASCII, without what ends a name.
fn header(text: &str, bytes_max: usize) -> String {
    let fits = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '=' | ']' | '"');
    let word: String = text.chars().map(|letter| if fits(letter) { letter } else { '_' }).take(bytes_max).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}
