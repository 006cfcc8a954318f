//! What `rotation watch` shows of a rotation: a picture for a terminal, or a line for a file.

use super::curve::{bars, extent, resample};
use super::millis;
use crate::cli::moment::age;
use crate::cli::names;
use crate::cli::span;
use latchkey_domain::UnixMillis;
use latchkey_wire::pb::v1 as pb;
use pb::rotation::{HoldCause, State};
use pb::rotation_evidence::{Caller, Use};
use std::fmt::Write as _;

/// What stands before the bars.
const LABEL_CHARS: usize = 5;
/// Widest picture, and narrowest. Bars.
const BARS_MAX: usize = 120;
const BARS_MIN: usize = 10;
/// Callers that are shown by name.
const CALLERS_SHOWN: usize = 8;
/// Longest user agent that is shown. Letters.
const USER_AGENT_SHOWN: usize = 40;

/// Colours of a terminal: SGR.
const OLD: &str = "\u{1b}[33m";
const NEW: &str = "\u{1b}[32m";
const BAD: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// How wide it may be, and whether with colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    pub(super) columns: usize,
    pub(super) colour: bool,
    pub(super) now: UnixMillis,
}

/// The whole picture, a line each.
pub(super) fn picture(rotation: &pb::Rotation, canvas: Canvas) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", names::short(&rotation.name), headline(rotation, canvas))];
    if let Some(hold) = &rotation.hold {
        lines.push(canvas.painted(BAD, &format!("held: {}", held(hold, canvas.now))));
    }
    let Some(evidence) = &rotation.evidence else {
        lines.push("Nobody could be asked about its use.".to_owned());
        return canvas.cut(lines);
    };
    let (old, new) = (evidence.old.as_ref(), evidence.new.as_ref());
    let both = [old, new].into_iter().flatten();
    let now = millis(evidence.time).unwrap_or(canvas.now.millis());
    let starts = both.clone().filter_map(extent).map(|span| span.start).min().unwrap_or(now);
    let span = starts..now.max(starts + 1_000);
    let parts = canvas.columns.saturating_sub(LABEL_CHARS).clamp(BARS_MIN, BARS_MAX);
    let curves = [("old", old, OLD), ("new", new, NEW)].map(|(label, used, colour)| {
        (label, used, colour, used.map(|used| resample(used, &span, parts)).unwrap_or_default())
    });
    // One scale for both, so that one can be seen to take over from the other.
    let most = curves.iter().flat_map(|curve| &curve.3).copied().fold(1.0, f64::max);
    for (label, used, colour, values) in &curves {
        let Some(used) = used else { continue };
        lines.push(format!("{label:<LABEL_CHARS$}{}", canvas.painted(colour, &bars(values, most))));
        lines.push(format!("{:LABEL_CHARS$}{}", "", usage(used, canvas.now)));
    }
    let ago = format!("{} ago", span::show((span.end - span.start) / 1_000 * 1_000));
    lines.push(format!("{:LABEL_CHARS$}{ago}{:>rest$}", "", "now", rest = parts.saturating_sub(ago.len())));
    lines.extend(unheard(evidence));
    lines.extend(callers(old, canvas));
    canvas.cut(lines)
}

/// One line, and nothing in it that changes while nothing happens.
pub(super) fn line(rotation: &pb::Rotation) -> String {
    let mut line = word(rotation.state().as_str_name(), "STATE_").to_owned();
    if let Some(hold) = &rotation.hold {
        write!(line, " {}", word(hold.cause().as_str_name(), "HOLD_CAUSE_")).expect("a text takes all");
    }
    if ends_in_use(rotation) {
        line.push_str(" ENDS_IN_USE");
    }
    let Some(evidence) = &rotation.evidence else { return line };
    for (label, used) in [("old", &evidence.old), ("new", &evidence.new)] {
        let Some(used) = used else { continue };
        write!(line, "  {label} {} uses", used.count).expect("a text takes all");
        if let Some(last) = used.last_use_time {
            write!(line, ", last {last}").expect("a text takes all");
        }
    }
    let named = evidence.old.iter().flat_map(|old| &old.callers).take(CALLERS_SHOWN).map(|caller| {
        let Caller { region, network, user_agent, .. } = caller;
        [region, network, user_agent]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(|text| visible(text))
            .collect::<Vec<_>>()
            .join(" ")
    });
    let named: Vec<String> = named.collect();
    if !named.is_empty() {
        write!(line, "  old used by {}", named.join("; ")).expect("a text takes all");
    }
    if let Some(unheard) = unheard(evidence) {
        write!(line, "  {unheard}").expect("a text takes all");
    }
    line
}

/// Whether it was told that the old version soon ends though it is used. A rotation that has ended keeps the time of that.
fn ends_in_use(rotation: &pb::Rotation) -> bool {
    rotation.in_use_warning_time.is_some() && matches!(rotation.state(), State::Overlap | State::Held)
}

/// Its state, and what comes next.
fn headline(rotation: &pb::Rotation, canvas: Canvas) -> String {
    let state = rotation.state();
    let colour = match state {
        State::Completed => NEW,
        State::Held | State::Failed | State::RolledBack => BAD,
        _ => OLD,
    };
    let word = canvas.painted(colour, word(state.as_str_name(), "STATE_"));
    let when = |time: Option<prost_types::Timestamp>| millis(time).map(|at| age(UnixMillis::new(at), canvas.now));
    let next = match state {
        State::Planned => when(rotation.start_time).map(|when| format!("starts {when}")),
        State::Prepared | State::Delivered => when(rotation.activate_time).map(|when| format!("active {when}")),
        State::Overlap => when(rotation.overlap_end_time).map(|when| format!("the old version ends {when}")),
        _ => when(rotation.end_time),
    };
    let warned = when(rotation.in_use_warning_time).filter(|_| ends_in_use(rotation));
    let warned = warned.map(|when| canvas.painted(BAD, &format!("it was still used {when}, when that was told")));
    let since = when(rotation.create_time).map(|when| format!("begun {when}"));
    [Some(word), next, warned, since].into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn held(hold: &pb::rotation::Hold, now: UnixMillis) -> String {
    let cause = match hold.cause() {
        HoldCause::Unspecified => "for a reason that this build does not know",
        HoldCause::Asked => "somebody asked for it",
        HoldCause::Delivery => "the new secret could not be delivered",
        HoldCause::Check => "the consumer's check refused the new secret",
        HoldCause::StillUsed => "the old version is still used",
        HoldCause::NeverSeen => "the new version was never used",
    };
    let ends = millis(hold.end_time).map(|at| format!("; it ends {}", age(UnixMillis::new(at), now)));
    let text = if hold.text.is_empty() { String::new() } else { format!(": {}", visible(&hold.text)) };
    format!("{cause}{text}{}", ends.unwrap_or_default())
}

fn usage(used: &Use, now: UnixMillis) -> String {
    let version = used.version.rsplit('/').next().unwrap_or_default();
    match millis(used.last_use_time) {
        Some(last) => format!("{version}  {} uses, last {}", used.count, age(UnixMillis::new(last), now)),
        None => format!("{version}  not used"),
    }
}

fn unheard(evidence: &pb::RotationEvidence) -> Option<String> {
    let replicas = evidence.unheard.iter().map(|one| format!("{} ({})", one.replica, visible(&one.region)));
    let replicas: Vec<String> = replicas.collect();
    (!replicas.is_empty()).then(|| format!("no word from replica {}: what they saw is not known", replicas.join(", ")))
}

/// Who still uses the old version, the last to do so first.
fn callers(old: Option<&Use>, canvas: Canvas) -> Vec<String> {
    let Some(old) = old.filter(|old| !old.callers.is_empty()) else { return Vec::new() };
    let mut lines = vec![String::new(), "Who used the old version:".to_owned()];
    let rows: Vec<[String; 5]> = old.callers.iter().take(CALLERS_SHOWN).map(|caller| row(caller, canvas.now)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    for row in &rows {
        let mut line = String::from("  ");
        for (text, width) in row.iter().zip(widths) {
            write!(line, "{text:<width$}  ").expect("a text takes all");
        }
        line.push_str(&row[4]);
        lines.push(line.trim_end().to_owned());
    }
    let more = old.callers.len().saturating_sub(CALLERS_SHOWN);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    if old.unnamed_count > 0 {
        lines.push(format!("  {} uses name nobody", old.unnamed_count));
    }
    lines
}

fn row(caller: &Caller, now: UnixMillis) -> [String; 5] {
    let or = |text: &str, nothing: &str| if text.is_empty() { nothing.to_owned() } else { visible(text) };
    let last = millis(caller.last_use_time).map(|at| age(UnixMillis::new(at), now)).unwrap_or_default();
    let agent: String = or(&caller.user_agent, "no user agent").chars().take(USER_AGENT_SHOWN).collect();
    let tags: Vec<String> = caller.tags.iter().map(|tag| visible(tag)).collect();
    [
        or(&caller.region, "-"),
        or(&caller.network, "no network"),
        agent,
        format!("{last}, {} uses", caller.count),
        tags.join(" "),
    ]
}

/// A word of the API as people read it.
fn word(full: &'static str, prefix: &str) -> &'static str {
    full.strip_prefix(prefix).unwrap_or(full)
}

/// Without what would move the cursor: callers choose their user agents, and not what a terminal does.
fn visible(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

impl Canvas {
    fn painted(self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }

    /// No line longer than the terminal is wide: one that wraps would not be drawn over.
    fn cut(self, lines: Vec<String>) -> Vec<String> {
        lines.into_iter().map(|line| cut(&line, self.columns)).collect()
    }
}

/// The beginning of a line, of so many letters that are seen.
fn cut(line: &str, columns: usize) -> String {
    let (mut kept, mut seen, mut in_colour) = (String::with_capacity(line.len()), 0, false);
    for letter in line.chars() {
        let escape = letter == '\u{1b}' || in_colour;
        in_colour = escape && letter != 'm';
        if escape || seen < columns {
            kept.push(letter);
        }
        seen += usize::from(!escape);
    }
    kept
}

#[cfg(test)]
mod tests;
