//! Starting logs and traces, once a process.

use std::io::{self, IsTerminal};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::{otlp, panic};

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
    /// Where spans go (OTLP over gRPC), such as `http://127.0.0.1:4317`. Absent: spans are not exported, and cost
    /// next to nothing on the path of a validation.
    pub otlp_endpoint: Option<String>,
    /// The share of traces begun here that are exported, 0 to 1. A trace begun by the caller follows the caller's choice.
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

/// Why logs or traces cannot start.
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
    /// The exporter cannot be built from its endpoint.
    #[error("cannot export traces to {endpoint}")]
    Otlp {
        /// The endpoint as given.
        endpoint: String,
        /// What the exporter says.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Something else in this process already logs.
    #[error("logs are already set up in this process")]
    Twice(#[from] TryInitError),
}

/// Keeps traces flowing. What is still queued is sent by [`Guard::shutdown`] or on drop, for at most 3 s.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export of traces"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Guard {
    /// Sends what is queued and ends the export. The same as dropping, but visible where it is called.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(provider) = self.provider.take() else { return };
        if let Err(error) = provider.shutdown_with_timeout(otlp::FLUSH_MAX) {
            tracing::warn!(%error, "spans were lost on shutdown");
        }
    }
}

/// Starts logs to stderr and, where an endpoint is set, traces over OTLP. Panics are logged too.
///
/// Call it once, in `main`, and inside a tokio runtime if an endpoint is set (its channel lives there).
/// # Errors
/// [`InitError`]: a filter that does not parse, an endpoint that is no URI, or a second call.
pub fn init(service: &'static str, options: &Options) -> Result<Guard, InitError> {
    let filter = EnvFilter::try_new(&options.log_filter)
        .map_err(|source| InitError::Filter { filter: options.log_filter.clone(), source })?;
    let provider = otlp::provider(service, options)?;
    let spans = provider.as_ref().map(|provider| otlp::layer(provider, service));

    let logs = match options.log_format {
        LogFormat::Text => {
            tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour()).with_filter(filter).boxed()
        }
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .with_filter(filter)
            .boxed(),
    };
    tracing_subscriber::registry().with(logs).with(spans).try_init()?;
    panic::log_panics();
    Ok(Guard { provider })
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

    #[tokio::test]
    async fn an_endpoint_that_is_no_uri_is_named_in_the_error() {
        let options = Options { otlp_endpoint: Some("not a uri".to_owned()), ..Options::default() };
        let error = init("test", &options).expect_err("no URI");
        assert_eq!(error.to_string(), "cannot export traces to not a uri");
    }
}
