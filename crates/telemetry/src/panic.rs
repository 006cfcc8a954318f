//! Panics as log events: a bug has to be found where all else is found.

use std::panic::PanicHookInfo;

/// Logs each panic with its place, instead of printing it beside the log.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, message = message(info), "panicked");
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("a value that is no text")
}
