//! Whether an old version may go. Pure: time is in the evidence.

use super::{Evidence, Unheard};
use latchkey_domain::{DurationMillis, UnixMillis};
use latchkey_link::evidence::CallerUse;
use latchkey_state::Rotation;
use std::fmt;

/// Callers that one sentence names.
const NAMED_MAX: usize = 3;

/// Why an old version stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The policy lets nothing end before its deadline.
    NeverEarly,
    /// No consumer has used the new version.
    NewUnseen,
    /// The old one was used within the time that was asked about.
    Used {
        /// The last time.
        last: UnixMillis,
        /// Who did, the last first.
        by: Vec<CallerUse>,
    },
    /// These did not answer, so nobody knows.
    Unheard(Vec<Unheard>),
    /// All answered, but not all were watching for as long as was asked about.
    NotWatched {
        /// Since when all were; `None`: nobody counts.
        since: Option<UnixMillis>,
    },
}

/// Whether the old version may go before its deadline: the new one was `seen` with a consumer, and the old one was silent
/// for `silence` in every place where it could have been used.
///
/// # Errors
/// Why it stays.
pub(crate) fn may_retire(
    evidence: &Evidence,
    seen: Option<UnixMillis>,
    silence: Option<DurationMillis>,
) -> Result<(), Kept> {
    let silence = silence.ok_or(Kept::NeverEarly)?;
    still_used(evidence, seen, silence).map_or(Ok(()), Err)
}

/// When a consumer used the new version, the first time that is known: one who saw it is enough. Of what its store's own
/// check did it is told nothing.
pub(crate) fn new_seen(evidence: &Evidence, rotation: &Rotation) -> Option<UnixMillis> {
    let mut times = [evidence.new.first, evidence.new.last].into_iter().flatten();
    times.find(|time| rotation.is_by_consumer(*time))
}

/// Why the old version is not known to be unused for `window`. What is known for certain comes before what is not known.
fn still_used(evidence: &Evidence, seen: Option<UnixMillis>, window: DurationMillis) -> Option<Kept> {
    let began = UnixMillis::new(evidence.now.millis().saturating_sub(window.millis()));
    if let Some(old) = &evidence.old
        && let Some(last) = old.last.filter(|last| *last > began)
    {
        let by = old.latest_callers(usize::MAX).into_iter().filter(|caller| caller.last > began);
        return Some(Kept::Used { last, by: by.cloned().collect() });
    }
    if seen.is_none() {
        return Some(Kept::NewUnseen);
    }
    if !evidence.unheard.is_empty() {
        return Some(Kept::Unheard(evidence.unheard.clone()));
    }
    let watched = evidence.watched_since.is_some_and(|since| since <= began);
    // Without an old version there is nobody to wait for.
    (evidence.old.is_some() && !watched).then_some(Kept::NotWatched { since: evidence.watched_since })
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverEarly => f.write_str("the policy ends nothing before its deadline"),
            Self::NewUnseen => f.write_str("nobody has used the new version yet"),
            Self::Used { by, .. } if by.is_empty() => f.write_str("the old version is still used"),
            Self::Used { by, .. } => {
                f.write_str("the old version is still used from ")?;
                for (index, caller) in by.iter().take(NAMED_MAX).enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, Named(caller))?;
                }
                match by.len().saturating_sub(NAMED_MAX) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::Unheard(unheard) => {
                f.write_str("whether the old version is used is not known: no answer from ")?;
                for (index, one) in unheard.iter().take(NAMED_MAX).enumerate() {
                    let Unheard { region, replica } = one;
                    write!(f, "{}replica {replica} in {region}", if index > 0 { ", " } else { "" })?;
                }
                match unheard.len().saturating_sub(NAMED_MAX) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::NotWatched { since: Some(_) } => f.write_str(
                "whether the old version is used is not known: some replica has not watched for long enough",
            ),
            Self::NotWatched { since: None } => f.write_str("nobody watches the old version"),
        }
    }
}

/// A caller in a sentence: its network and its user agent, as far as they are known.
struct Named<'a>(&'a CallerUse);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallerUse { network, user_agent, region, .. } = self.0;
        match network {
            Some(network) => write!(f, "{network}")?,
            None => write!(f, "an unnamed network in {region}")?,
        }
        if user_agent.is_empty() { Ok(()) } else { write!(f, " ({user_agent})") }
    }
}

#[cfg(test)]
mod tests;
