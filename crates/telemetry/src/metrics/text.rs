//! What is gathered, as text: for Prometheus, and as OpenMetrics, which has exemplars.

use std::fmt::Write as _;

use crate::metrics::{Distribution, Exemplar, Family, Point, SECONDS_BUCKETS, Value};
use crate::names::{Kind, Metric, TARGET_INFO};

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    #[default]
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`, with exemplars.
    OpenMetrics,
}

impl Format {
    /// What a scraper asked for in its `Accept`.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What it is called in an answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

pub(crate) fn render(families: &[Family], format: Format) -> String {
    let mut text = String::with_capacity(16 << 10);
    for family in families {
        head(&mut text, family.metric, format);
        for point in &family.points {
            body(&mut text, family.metric, point, format);
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// The help and the kind. OpenMetrics names a counter without its `_total`, and knows a kind for what a target is.
fn head(text: &mut String, metric: &Metric, format: Format) {
    let (name, kind) = match (format, metric.kind) {
        (Format::OpenMetrics, _) if metric.name == TARGET_INFO => ("target", "info"),
        (Format::OpenMetrics, Kind::Counter) => (metric.name.trim_end_matches("_total"), "counter"),
        (_, kind) => (metric.name, kind.as_str()),
    };
    let unit = match metric.unit {
        "s" => "seconds",
        "By" => "bytes",
        _ => "",
    };
    line(text, format_args!("# TYPE {name} {kind}"));
    if format == Format::OpenMetrics && !unit.is_empty() {
        line(text, format_args!("# UNIT {name} {unit}"));
    }
    line(text, format_args!("# HELP {name} {}", metric.help));
}

fn body(text: &mut String, metric: &Metric, point: &Point, format: Format) {
    match &point.value {
        Value::Number(number) => {
            sample(text, metric.name, "", &point.labels, None);
            line(text, format_args!(" {number}"));
        }
        Value::Distribution(distribution) => buckets(text, metric, point, distribution, format),
    }
}

fn buckets(text: &mut String, metric: &Metric, point: &Point, distribution: &Distribution, format: Format) {
    let mut below = 0;
    for (index, count) in distribution.counts.iter().enumerate() {
        below += count;
        let bound = SECONDS_BUCKETS.get(index).map_or_else(|| "+Inf".to_owned(), |bound| written(*bound, format));
        sample(text, metric.name, "_bucket", &point.labels, Some(&bound));
        let exemplar = distribution.exemplars[index].filter(|_| format == Format::OpenMetrics);
        line(text, format_args!(" {below}{}", exemplar.map(shown).unwrap_or_default()));
    }
    sample(text, metric.name, "_sum", &point.labels, None);
    line(text, format_args!(" {}", distribution.sum));
    sample(text, metric.name, "_count", &point.labels, None);
    line(text, format_args!(" {below}"));
}

/// OpenMetrics writes a bound as a floating-point number even where it is whole.
fn written(bound: f64, format: Format) -> String {
    match format {
        Format::Prometheus => bound.to_string(),
        Format::OpenMetrics => format!("{bound:?}"),
    }
}

fn shown(exemplar: Exemplar) -> String {
    let Exemplar { trace, seconds, at } = exemplar;
    let (at, millis) = (at.millis() / 1_000, at.millis() % 1_000);
    format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} {seconds} {at}.{millis:03}", trace.trace_id(), trace.span_id())
}

fn sample(text: &mut String, name: &str, suffix: &str, labels: &[(String, String)], le: Option<&str>) {
    text.push_str(name);
    text.push_str(suffix);
    let bound = le.map(|bound| ("le", bound));
    let labels = labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).chain(bound);
    let mut open = '{';
    for (label, value) in labels {
        text.push(open);
        open = ',';
        text.push_str(&Metric::scraped_label(label));
        text.push_str("=\"");
        text.push_str(&value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n"));
        text.push('"');
    }
    if open == ',' {
        text.push('}');
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = text.write_fmt(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use latchkey_domain::UnixMillis;

    use super::*;
    use crate::names;
    use crate::trace::TraceParent;

    fn families() -> Vec<Family> {
        let mut counts = vec![0; SECONDS_BUCKETS.len() + 1];
        (counts[5], counts[18]) = (2, 1);
        let mut exemplars = vec![None; counts.len()];
        let trace = TraceParent::from_header("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        exemplars[5] = Some(Exemplar { trace, seconds: 0.000_75, at: UnixMillis::new(1_700_000_000_007) });
        let distribution = Distribution { counts, sum: 12.5, exemplars };
        let point = Point { labels: vec![], value: Value::Distribution(distribution) };
        vec![
            Family { metric: names::find(names::PROPOSE_SECONDS).unwrap(), points: vec![point] },
            Family {
                metric: names::find(names::PROCESS_CPU_TIME).unwrap(),
                points: vec![Point::number(&[("cpu.mode", "us\"er")], 1.5)],
            },
        ]
    }

    #[test]
    fn openmetrics_has_exemplars_units_and_an_end() {
        let text = render(&families(), Format::OpenMetrics);
        let expected = "latchkey_propose_seconds_bucket{le=\"0.001\"} 2 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\",\
                        span_id=\"b7ad6b7169203331\"} 0.00075 1700000000.007\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("# UNIT latchkey_propose_seconds seconds\n"), "{text}");
        assert!(text.contains("_bucket{le=\"10.0\"} 2\n") && text.contains("_bucket{le=\"+Inf\"} 3\n"), "{text}");
        assert!(text.contains("# TYPE process_cpu_time_seconds counter\n"), "{text}");
        assert!(text.ends_with("process_cpu_time_seconds_total{cpu_mode=\"us\\\"er\"} 1.5\n# EOF\n"), "{text}");
    }

    #[test]
    fn prometheus_is_told_the_same_without_exemplars() {
        let text = render(&families(), Format::Prometheus);
        assert!(text.contains("# TYPE process_cpu_time_seconds_total counter\n"), "{text}");
        assert!(text.contains("latchkey_propose_seconds_bucket{le=\"0.001\"} 2\n"), "{text}");
        assert!(text.contains("latchkey_propose_seconds_sum 12.5\nlatchkey_propose_seconds_count 3\n"), "{text}");
        assert!(!text.contains("EOF") && !text.contains("trace_id"), "{text}");
    }
}
