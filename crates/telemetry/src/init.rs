//! Starting logs and, where it is asked for, the export, once a process.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::lines::{JsonLines, TextLines};
use crate::otlp::{Export, Sources};
use crate::{filter, metrics, otlp, panic, trace};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people: one line an event, in colour only when stderr is a terminal and `NO_COLOR` is not set.
    #[default]
    Text,
    /// For machines: one JSON object a line, the fields of the current span included.
    Json,
}

/// What [`init`] needs to know. Services fill it from their settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which events are logged: comma-separated `target=level`, such as `info,latchkey_registry=debug`.
    pub log_filter: String,
    /// Where spans, log records and metrics go (OTLP over gRPC), such as `http://127.0.0.1:4317`. Absent: nowhere, and no
    /// call is traced.
    pub otlp_endpoint: Option<String>,
    /// The share of calls that begin a trace where their caller did not, 0 to 1. A trace that the caller began follows the
    /// caller's choice.
    pub trace_sample_ratio: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
            trace_sample_ratio: 0.01,
        }
    }
}

/// Why logs or the export cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter does not parse.
    #[error("log filter {filter:?} is not a list of target=level")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser says.
        #[source]
        source: ParseError,
    },
    /// The endpoint is no address of a collector.
    #[error("cannot export to {endpoint}: expected a URI such as http://127.0.0.1:4317")]
    Otlp {
        /// The endpoint as given.
        endpoint: String,
    },
    /// There is no thread for the export.
    #[error("cannot start the thread of the export")]
    Thread(#[source] io::Error),
    /// Something else in this process already logs.
    #[error("logs are already set up in this process")]
    Twice(#[from] TryInitError),
}

/// Keeps spans, log records and metrics flowing to the collector. What is still queued is sent by [`Guard::shutdown`] or on
/// drop, for at most 3 s.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export"]
pub struct Guard {
    export: Option<Export>,
}

impl Guard {
    /// Sends what is queued and ends the export. The same as dropping, but visible where it is called.
    pub fn shutdown(self) {
        drop(self.export);
    }
}

/// Starts logs to stderr and, where an endpoint is set, spans, log records and metrics over OTLP. Panics are logged too.
///
/// Call it once, in `main`.
/// # Errors
/// [`InitError`]: a filter that does not parse, an endpoint that is no URI, or a second call.
pub fn init(service: &'static str, options: &Options) -> Result<Guard, InitError> {
    let unreadable = |source| InitError::Filter { filter: options.log_filter.clone(), source };
    let (filter, reload) = filter::changeable(&options.log_filter).map_err(unreadable)?;
    let format = tracing_subscriber::fmt::format();
    let logs = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour());
    let logs = match options.log_format {
        LogFormat::Text => logs.event_format(TextLines(format.with_ansi(colour()))).with_filter(filter).boxed(),
        LogFormat::Json => {
            let lines = JsonLines(format.json().flatten_event(true));
            logs.fmt_fields(JsonFields::new()).event_format(lines).with_filter(filter).boxed()
        }
    };
    metrics::recorder().name(service);
    let (export, sources) = otlp::start(service, options)?.unzip();
    let mut reloads = vec![reload];
    let exported = match sources {
        None => None,
        Some(Sources { tracer, logs }) => {
            let spans = tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_tracked_inactivity(false)
                .with_threads(false)
                .with_location(false)
                .with_target(false)
                .with_filter(Targets::new().with_target(trace::TARGET, Level::TRACE));
            let (filter, reload) = filter::changeable(&options.log_filter).map_err(unreadable)?;
            reloads.push(reload);
            Some(spans.and_then(logs.with_filter(filter)))
        }
    };
    tracing_subscriber::registry().with(logs).with(exported).try_init()?;
    export.iter().for_each(Export::log_here);
    filter::keep(&options.log_filter, reloads);
    panic::log_panics();
    Ok(Guard { export })
}

/// Escape codes belong on a terminal, never in a file or a collector. See <https://no-color.org>.
fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_is_named_in_the_error() {
        let options = Options { log_filter: "latchkey=loud".to_owned(), ..Options::default() };
        let error = init("test", &options).expect_err("`loud` is no level");
        assert_eq!(error.to_string(), "log filter \"latchkey=loud\" is not a list of target=level");
    }

    #[test]
    fn an_endpoint_that_is_no_uri_is_named_in_the_error() {
        let options = Options { otlp_endpoint: Some("not a uri".to_owned()), ..Options::default() };
        let error = init("test", &options).expect_err("no URI");
        assert!(error.to_string().starts_with("cannot export to not a uri: expected"), "{error}");
    }
}
