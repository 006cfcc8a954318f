//! Which events are logged, and how that is changed while the process runs.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::reload;

/// How long another filter may stand in for the one of the settings at most. Whoever wants it longer changes these.
const STANDS_IN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The filter that is in force, with every layer that asks it.
static IN_FORCE: OnceLock<InForce> = OnceLock::new();

struct InForce {
    now: Mutex<Now>,
    layers: Vec<Reload>,
}

struct Now {
    text: String,
    /// How often it was changed: what is to end a change looks whether it is still the last.
    changes: u64,
}

/// Puts another filter into one layer.
pub(crate) type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Why the filter stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It does not parse.
    #[error("this is not a list of target=level, such as info,latchkey_registry=debug")]
    Unreadable(#[source] ParseError),
    /// Nothing is logged here yet.
    #[error("this process does not log")]
    NotStarted,
    /// The layer is gone.
    #[error("the log has ended")]
    Ended(#[source] reload::Error),
    /// It was to stand in for too long.
    #[error("expected a time of 1 s to 24 h, such as 10m")]
    Time,
}

/// A filter for one layer, and the way to change it.
pub(crate) fn changeable<S: Subscriber>(text: &str) -> Result<(reload::Layer<EnvFilter, S>, Reload), ParseError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(text)?);
    Ok((filter, Box::new(move |filter| handle.reload(filter))))
}

/// Keeps what can be changed. Only the first call counts, as there is one log a process.
pub(crate) fn keep(text: &str, layers: Vec<Reload>) {
    let now = Mutex::new(Now { text: text.to_owned(), changes: 0 });
    // A second log in one process was refused before.
    let _ = IN_FORCE.set(InForce { now, layers });
}

/// The filter in force.
#[must_use]
pub fn log_filter() -> Option<String> {
    Some(IN_FORCE.get()?.now.lock().unwrap_or_else(PoisonError::into_inner).text.clone())
}

/// Puts another filter in force; after `stands_in`, where that is given, the one before comes back, unless it was changed
/// again meanwhile. Needs a runtime only with a time.
///
/// # Errors
/// [`FilterError`]; nothing is changed then.
pub fn change_log_filter(text: &str, stands_in: Option<Duration>) -> Result<(), FilterError> {
    if stands_in.is_some_and(|time| time.is_zero() || time > STANDS_IN_MAX) {
        return Err(FilterError::Time);
    }
    let before = put(text, None)?.expect("only a change that comes back depends on another");
    if let Some(time) = stands_in {
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if let Err(error) = put(&before.text, Some(before.changes + 1)) {
                tracing::error!(%error, "the log filter of before could not be put back");
            }
        });
    }
    Ok(())
}

/// Answers what was in force before; `None` where it was changed since `changes` and was left alone.
fn put(text: &str, changes: Option<u64>) -> Result<Option<Now>, FilterError> {
    let in_force = IN_FORCE.get().ok_or(FilterError::NotStarted)?;
    let filters = in_force.layers.iter().map(|_| EnvFilter::try_new(text));
    let filters = filters.collect::<Result<Vec<_>, _>>().map_err(FilterError::Unreadable)?;
    let mut now = in_force.now.lock().unwrap_or_else(PoisonError::into_inner);
    if changes.is_some_and(|changes| changes != now.changes) {
        return Ok(None);
    }
    // Said under the old filter and under the new one: one of them shows it, unless both show nothing.
    tracing::warn!(from = now.text, to = text, "the log filter changes");
    for (layer, filter) in in_force.layers.iter().zip(filters) {
        layer(filter).map_err(FilterError::Ended)?;
    }
    tracing::warn!(from = now.text, to = text, "the log filter has changed");
    let next = Now { text: text.to_owned(), changes: now.changes + 1 };
    Ok(Some(std::mem::replace(&mut *now, next)))
}

/// Reads a time such as `90s`, `10m` or `2h`.
pub(crate) fn read_time(text: &str) -> Result<Duration, FilterError> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        _ => return Err(FilterError::Time),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| FilterError::Time)?;
    Ok(Duration::from_secs(number.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(read_time("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(read_time("2h").unwrap(), Duration::from_secs(7_200));
        for text in ["", "10", "m", "-1s", "1d", "1.5h", "1\u{20ac}"] {
            assert!(read_time(text).is_err(), "{text}");
        }
    }
}
