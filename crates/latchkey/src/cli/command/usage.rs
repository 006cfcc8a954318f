//! `latchkey usage`.

use crate::cli::api::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::moment;
use crate::cli::names::{self, Kind};
use crate::cli::output::{self, Column, Shape, View};
use crate::cli::span;
use clap::{Args, ValueEnum};
use latchkey_domain::UnixMillis;
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1 as pb;
use latchkey_wire::time::{read_time, write_time};
use pb::query_usage_request::{Dimension, Step};
use prost_types::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const OF: Column = Column::new("OF", "of", Shape::Plain);
const REQUESTS: Column = Column::new("REQUESTS", "requests", Shape::Number);
const DENIED: Column = Column::new("DENIED", "denied", Shape::Plain);
const P50: Column = Column::new("P50", "p50", Shape::Plain);
const P99: Column = Column::new("P99", "p99", Shape::Plain);
const LAST_USED: Column = Column::new("LAST USED", "lastUsed", Shape::Age);
const OVER_TIME: Column = Column::new("OVER TIME", "trend", Shape::Word);
const NONE: &str = "Nothing was used in this time.";

/// Its rows are made here: a row of points is no row for people.
const VIEW: View = View { columns: &[OF, REQUESTS, DENIED, P50, P99, OVER_TIME], none: NONE };
/// Of keys and versions it is known when they were last used, whatever the range is; of nothing else.
const VIEW_OF_KEYS: View = View { columns: &[OF, REQUESTS, DENIED, P50, P99, LAST_USED, OVER_TIME], none: NONE };

/// Characters of a row of bars.
const TREND_CHARS: usize = 32;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What to tell.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey usage acme --by keyspace --since 7d
  latchkey usage acme/orders --by key --top 20
  latchkey usage acme/orders/0Jx5k3f9QmZ2aB7c --step minute --since 1h
  latchkey usage acme --owner acme/shop --by outcome --output json
  latchkey usage acme --by country --since 30d

Bars are scaled to the highest point of each row. What replicas saw is here within 10 s; of one that sees more
than 1,024 keys a minute, within 70 s.")]
pub(crate) struct Usage {
    /// Of this tenant, keyspace or key; left out: of the whole system.
    #[arg(value_name = "TENANT[/KEYSPACE[/KEY]]", conflicts_with = "owner")]
    of: Option<String>,
    /// Of this owner's keys. By key it shows all that each was used for, also while it was another owner's.
    #[arg(long, value_name = "TENANT/OWNER")]
    owner: Option<String>,
    /// By what requests are told apart.
    #[arg(long, value_name = "WHAT")]
    by: Vec<By>,
    /// How long ago it begins.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "24h", conflicts_with = "from")]
    since: Duration,
    /// When it begins.
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    from: Option<Timestamp>,
    /// When it ends [default: now].
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    until: Option<Timestamp>,
    /// How long a point is [default: by the length of the range].
    #[arg(long, value_name = "STEP")]
    step: Option<Length>,
    /// How many keys, owners, keyspaces or networks.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: i32,
    /// Which: comparisons of keyspace, region, outcome, joined by AND.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
}

/// A dimension.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Key,
    Version,
    Owner,
    Keyspace,
    Region,
    Outcome,
    Network,
    Country,
    StatusClass,
}

/// How long a point is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Length {
    Minute,
    Hour,
    Day,
}

impl Usage {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let (start, end) = self.range(SystemClock.unix_millis())?;
        let request = pb::QueryUsageRequest {
            parent: self.parent(context)?,
            start_time: Some(start),
            end_time: Some(end),
            step: self.step.map_or(Step::Unspecified, Length::step).into(),
            group_by: self.by.iter().map(|by| by.dimension().into()).collect(),
            top_n: self.top,
            filter: self.filter.clone(),
        };
        let answer: Answer<pb::QueryUsageResponse> = context.api.query_usage(request).await?;
        let message = &answer.message;
        let steps = steps(&start, &end, message.step());
        let rows: Vec<Value> = message.series.iter().map(|series| row(series, &steps, message.step())).collect();
        let view = if message.series.iter().any(|one| one.last_used_time.is_some()) { &VIEW_OF_KEYS } else { &VIEW };
        output::print(&context.printer.many(view, &answer.json(), &rows))?;
        if context.printer.is_for_people() {
            notes(message).iter().for_each(|note| output::note(note));
            if self.owner.is_some() && self.by.iter().any(|by| matches!(by, By::Key)) {
                output::note("A key that was another owner's in this time is shown with all that it was used for.");
            }
        }
        Ok(Exit::Done)
    }

    fn parent(&self, context: &Context) -> Result<String, CliError> {
        if let Some(owner) = &self.owner {
            return context.name(Kind::Owner, owner);
        }
        let Some(of) = self.of.as_deref().or(context.tenant.as_deref()) else { return Ok(String::new()) };
        // A full name has a word before each id.
        let ids = if of.starts_with("tenants/") { of.split('/').count() / 2 } else { of.split('/').count() };
        let kind = match ids {
            1 => Kind::Tenant,
            2 => Kind::Keyspace,
            _ => Kind::Key,
        };
        kind.full(of, None)
    }

    /// When it begins and ends.
    fn range(&self, now: UnixMillis) -> Result<(Timestamp, Timestamp), CliError> {
        let end = self.until.as_ref().map(|until| moment::checked("--until", until)).transpose()?.unwrap_or(now);
        let start = match &self.from {
            Some(from) => moment::checked("--from", from)?,
            None => moment::since(self.since, end)?,
        };
        let (from, until) = (write_time(start), write_time(end));
        if start >= end {
            let what = if self.until.is_some() { "--until" } else { "now" };
            let wrong = CliError::usage(format!("expected --from before {what} ({until}), found {from}"));
            return Err(wrong.remedy("give an earlier --from, or --since with a span such as 24h"));
        }
        Ok((from, until))
    }
}

impl By {
    const fn dimension(self) -> Dimension {
        match self {
            Self::Key => Dimension::Key,
            Self::Version => Dimension::Version,
            Self::Owner => Dimension::Owner,
            Self::Keyspace => Dimension::Keyspace,
            Self::Region => Dimension::Region,
            Self::Outcome => Dimension::Outcome,
            Self::Network => Dimension::Network,
            Self::Country => Dimension::Country,
            Self::StatusClass => Dimension::StatusClass,
        }
    }
}

impl Length {
    const fn step(self) -> Step {
        match self {
            Self::Minute => Step::Minute,
            Self::Hour => Step::Hour,
            Self::Day => Step::Day,
        }
    }
}

/// Milliseconds of a step.
const fn step_ms(step: Step) -> u64 {
    match step {
        Step::Minute => 60_000,
        Step::Hour | Step::Unspecified => 3_600_000,
        Step::Day => 86_400_000,
    }
}

/// The numbers of the steps of a range.
fn steps(start: &Timestamp, end: &Timestamp, step: Step) -> std::ops::Range<u64> {
    let millis = |time: &Timestamp| read_time(time).map_or(0, UnixMillis::millis);
    millis(start) / step_ms(step)..millis(end).div_ceil(step_ms(step))
}

fn row(series: &pb::UsageSeries, steps: &std::ops::Range<u64>, step: Step) -> Value {
    let labels =
        series.labels.values().map(|label| if label.is_empty() { "none".to_owned() } else { names::short(label) });
    let of = labels.collect::<Vec<_>>().join(" · ");
    let denied: u64 = series.points.iter().map(|point| point.denials).sum();
    let points = series.points.iter().filter_map(|point| {
        let at = read_time(point.start_time.as_ref()?).ok()?.millis() / step_ms(step);
        Some((at, point.requests))
    });
    let requests = if series.is_estimate { format!("~{}", series.requests) } else { series.requests.to_string() };
    json!({
        "of": if of.is_empty() { "all".to_owned() } else { of },
        "requests": requests,
        "denied": share(denied, series.requests),
        "p50": series.latency.as_ref().map(|latency| micros(latency.p50_micros)),
        "p99": series.latency.as_ref().map(|latency| micros(latency.p99_micros)),
        "lastUsed": series.last_used_time.map(|time| time.to_string()),
        "trend": trend(points, steps),
    })
}

/// A share in percent; empty where there is none.
fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    let per_mille = u128::from(part) * 1_000 / u128::from(whole);
    if per_mille == 0 { "<0.1 %".to_owned() } else { format!("{}.{} %", per_mille / 10, per_mille % 10) }
}

/// Microseconds as people say them: no more digits than are known.
fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..10_000 => format!("{}.{}ms", micros / 1_000, micros % 1_000 / 100),
        10_000..10_000_000 => format!("{}ms", micros / 1_000),
        _ => format!("{}s", micros / 1_000_000),
    }
}

/// Bars over the whole range, as wide as there is room for; several steps share one where there are more.
fn trend(points: impl Iterator<Item = (u64, u64)>, steps: &std::ops::Range<u64>) -> String {
    let count = steps.end.saturating_sub(steps.start).max(1);
    let chars = TREND_CHARS.min(usize::try_from(count).unwrap_or(TREND_CHARS));
    let mut sums = vec![0_u64; chars];
    for (step, requests) in points.filter(|(step, _)| steps.contains(step)) {
        let at = u128::from(step - steps.start) * chars as u128 / u128::from(count);
        sums[usize::try_from(at).unwrap_or(0).min(chars - 1)] += requests;
    }
    let most = sums.iter().copied().max().unwrap_or(0);
    let bar = |sum: u64| match sum {
        0 => ' ',
        // The lowest bar is for what is there at all.
        sum => BARS[usize::try_from((u128::from(sum) * 8).div_ceil(u128::from(most)) - 1).unwrap_or(0).min(7)],
    };
    sums.into_iter().map(bar).collect::<String>().trim_end().to_owned()
}

/// What a person has to know of the figures above.
fn notes(answer: &pb::QueryUsageResponse) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(through) = &answer.complete_through {
        notes.push(format!("Everything before {through} is counted."));
    }
    if let Some(error) = answer.series.iter().filter(|series| series.is_estimate).map(|series| series.error_max).max() {
        notes.push(format!("~ is an estimate: others may have up to {error} requests that are not shown here."));
    }
    if answer.left_out_series > 0 {
        notes.push(format!(
            "{} more series with {} requests are left out: ask for fewer dimensions, a shorter range or longer steps.",
            answer.left_out_series, answer.left_out_requests
        ));
    }
    if !answer.missing_replicas.is_empty() {
        let replicas: Vec<_> = answer.missing_replicas.iter().map(u64::to_string).collect();
        notes.push(format!("What replica {} saw lately is missing: it does not hand it over.", replicas.join(", ")));
    }
    let lost = answer.lost.filter(|lost| lost.requests + lost.records + lost.batches > 0);
    if let Some(pb::UsageLost { requests, records, batches, .. }) = lost {
        notes.push(format!(
            "Since the beginning {requests} requests, {records} lines of the access log and {batches} batches were lost."
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_scaled_to_the_highest_and_share_room() {
        assert_eq!(trend([(10, 1), (11, 8), (13, 4)].into_iter(), &(10..15)), "▁█ ▄");
        assert_eq!(trend([(0, 5)].into_iter(), &(0..1_440)).chars().count(), 1);
        assert_eq!(trend((0..1_440).map(|step| (step, 3)), &(0..1_440)), "█".repeat(TREND_CHARS));
        assert_eq!(trend(std::iter::empty(), &(5..5)), "");
    }

    #[test]
    fn shares_and_latencies_are_said_as_people_say_them() {
        assert_eq!(
            (share(0, 9), share(1, 8), share(1, 9_999)),
            (String::new(), "12.5 %".to_owned(), "<0.1 %".to_owned())
        );
        let said = [8, 999, 1_234, 9_999, 12_345, 9_999_999, 71_582_788].map(micros);
        assert_eq!(said, ["8us", "999us", "1.2ms", "9.9ms", "12ms", "9999ms", "71s"]);
    }

    fn usage(arguments: &str) -> Usage {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            usage: Usage,
        }
        let words = std::iter::once("usage").chain(arguments.split(' '));
        <Line as clap::Parser>::parse_from(words).usage
    }

    #[test]
    fn a_range_that_is_none_says_what_was_expected_and_found() {
        // 2026-01-01T00:00:00Z.
        let now = UnixMillis::new(1_767_225_600_000);
        for (arguments, expected) in [
            ("--since 40000d", "--since: expected more than nothing and at most 20454d, which is 1970, found 40000d"),
            ("--since 0s", "found 0s"),
            ("--since 9000000000d", "found 9000000000d"),
            ("--since 2d --until 1970-01-02T00:00:00Z", "at most 1d, which is 1970, found 2d"),
            ("--from 2026-01-02T00:00:00Z", "before now (2026-01-01T00:00:00Z), found 2026-01-02T00:00:00Z"),
            (
                "--from 2025-01-02T00:00:00Z --until 2025-01-01T00:00:00Z",
                "before --until (2025-01-01T00:00:00Z), found 2025-01-02T00:00:00Z",
            ),
            ("--from 1960-01-01T00:00:00Z", "--from must be from 0 to 2^53 ms, counted from 1970; found 1960-01-01"),
            ("--until 1960-01-01T00:00:00Z", "--until must be from 0 to 2^53 ms"),
        ] {
            let told = usage(arguments).range(now).unwrap_err().to_string();
            assert!(told.contains(expected), "{arguments}: {told}");
        }
        let (from, until) = usage("--since 500ms").range(now).unwrap();
        assert_eq!((from.to_string(), until.seconds), ("2025-12-31T23:59:59.500Z".to_owned(), 1_767_225_600));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let answer =
            pb::QueryUsageResponse { left_out_series: 7, left_out_requests: 14, ..pb::QueryUsageResponse::default() };
        let told = notes(&answer);
        assert!(told.len() == 1 && told[0].starts_with("7 more series with 14 requests are left out"), "{told:?}");
        assert!(notes(&pb::QueryUsageResponse::default()).is_empty());
    }

    #[test]
    fn a_row_says_of_what_it_is_and_that_it_is_an_estimate() {
        let series = pb::UsageSeries {
            labels: [("owner", ""), ("region", "eu")].map(|(word, value)| (word.to_owned(), value.to_owned())).into(),
            requests: 7,
            is_estimate: true,
            ..Default::default()
        };
        let row = row(&series, &(0..2), Step::Hour);
        assert_eq!((&row["of"], &row["requests"]), (&json!("none · eu"), &json!("~7")));
    }
}
