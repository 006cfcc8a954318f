//! The colour of a word: good, in between, bad. Whoever sees none reads the same words.

use comfy_table::Color;

/// The colour of a state or an outcome, where it has one.
pub(crate) fn of(word: &str) -> Option<Color> {
    let colour = match word {
        "ACTIVE" | "VALID" | "SERVING" | "COMPLETED" | "PASS" | "PASSED" | "ok" => Color::Green,
        "PENDING" | "RETIRING" | "SUSPENDED" | "NOT_YET_VALID" | "STARTING" | "OVERLAP" | "HELD" | "PREPARED"
        | "PLANNED" | "DELIVERED" | "VERIFIED" | "RESTRICTED" | "UNKNOWN" | "warning" => Color::Yellow,
        "RETIRED" | "CANCELLED" | "SKIPPED" | "NOT_REACHED" | "skipped" => Color::DarkGrey,
        "REVOKED"
        | "EXPIRED"
        | "FENCED"
        | "LOCKED"
        | "UNREACHABLE"
        | "NOT_FRESH"
        | "FAILED"
        | "FAIL"
        | "ROLLED_BACK"
        | "NOT_FOUND"
        | "MALFORMED"
        | "WRONG_KEYSPACE"
        | "NETWORK_NOT_ALLOWED"
        | "METHOD_NOT_ALLOWED"
        | "RESOURCE_NOT_ALLOWED"
        | "INSUFFICIENT_PERMISSIONS"
        | "wrong" => Color::Red,
        _ => return None,
    };
    Some(colour)
}
