//! `latchkey report`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::moment;
use crate::cli::names::Kind;
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use prost_types::Timestamp;
use std::time::Duration;

/// What was served.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey report acme/orders/0Jx5k3f9QmZ2aB7c/1Jx5k3f9QmZ2aB7c --status 200 --latency 12ms
  latchkey report acme/orders/0Jx5k3f9QmZ2aB7c/1Jx5k3f9QmZ2aB7c --status 503 --requests 40

APIs report through ValidationService.ReportUsage, up to 1,000 at once; this is for scripts, and for trying it. What is
reported is shown by `latchkey usage`. Exit code 4: there is no such version that you may validate; 6: the replica has
no room for it, or observes nothing.")]
pub(crate) struct Report {
    /// The version that the requests came with, as `latchkey validate` names it.
    #[arg(value_name = "TENANT/KEYSPACE/KEY/VERSION")]
    version: String,
    /// How many requests; all that follows holds for each of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    requests: u32,
    /// Their status, such as 200.
    #[arg(long, value_name = "STATUS")]
    status: Option<u32>,
    /// How long each of them took.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    latency: Option<Duration>,
    /// Bytes of the bodies of all requests together.
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
    request_bytes: u64,
    /// Bytes of the bodies of all answers together.
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
    response_bytes: u64,
    /// The load that all of them were together, in thousandths of your own unit.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    load_milli: u64,
    /// When they were served, at most 1 h ago [default: now].
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    at: Option<Timestamp>,
}

impl Report {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let report = pb::UsageReport {
            version: context.name(Kind::Version, &self.version)?,
            time: self.at,
            request_count: Some(self.requests),
            status: self.status,
            latency: self.latency.map(span::to_wire),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            load_milli: self.load_milli,
        };
        let request = pb::ReportUsageRequest { reports: vec![report], request_id: String::new() };
        let answer = context.api.report_usage(request).await?;
        context.show(&answer)?;
        Ok(match (answer.message.counted_count, answer.message.dropped_reports.is_empty()) {
            (1.., _) => Exit::Done,
            (0, true) => Exit::NotFound,
            (0, false) => Exit::Unavailable,
        })
    }
}
