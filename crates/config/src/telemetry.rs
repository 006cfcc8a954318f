//! Logs, traces and metrics.

use crate::declare::settings;
use crate::field::Field;
use crate::reader::Reader;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl Field for LogFormat {
    const EXPECTED: &'static str = "text or json";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

settings! {
    /// Logs, traces and metrics. What there is of each: `crates/telemetry/README.md`.
    TelemetrySettings, checked by check {
        /// How log lines look: `text` for people, `json` for machines. Default `text`. Since 0.1.
        value log_format: LogFormat = "text";
        /// Which events are logged: `target=level`, separated by commas, such as `info,latchkey_registry=debug`.
        /// Default `info,openraft=off`: openraft speaks several times a second of a replica that is down, and what an
        /// operator needs of it, this program says itself. While a process runs, `PUT /log-level` on its `metrics_listen`
        /// changes it. Since 0.1.
        value log_filter: String = "info,openraft=off";
        /// Where spans, log records and metrics are sent (OTLP over gRPC), such as `http://127.0.0.1:4317`. A collector that
        /// is away holds nobody up. Default empty: nowhere, and no call is traced. Since 0.1.
        value otlp_endpoint: Option<String> = "";
        /// The share of calls that begin a trace, 0 to 1, where their caller sent none; a trace that a caller sent follows
        /// the caller's choice.
        /// Default 0.01. Since 0.1.
        value trace_sample_ratio: f64 = "0.01";
    }
}

fn check(telemetry: &TelemetrySettings, reader: &mut Reader) {
    let ratio = telemetry.trace_sample_ratio;
    let holds = (0.0..=1.0).contains(&ratio);
    reader.require(holds, "trace_sample_ratio", ratio, "must be 0 to 1".to_owned(), "choose a value in between");
}
