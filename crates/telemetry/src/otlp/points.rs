//! What is gathered, as OTLP's metrics: the same numbers that are scraped.

use latchkey_domain::UnixMillis;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Plain;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1 as pb;
use pb::metric::Data;

use crate::metrics::{Distribution, Exemplar, Family, Point, SECONDS_BUCKETS, Value};
use crate::names::{Kind, TARGET_INFO};

const CUMULATIVE: i32 = pb::AggregationTemporality::Cumulative as i32;

/// All families as metrics that began at `since`. What the resource says already is not said again.
pub(crate) fn metrics(families: &[Family], since: UnixMillis, now: UnixMillis) -> Vec<pb::Metric> {
    let time = Time { since: nanos(since), now: nanos(now) };
    let told = families.iter().filter(|family| family.metric.name != TARGET_INFO);
    told.map(|family| metric(family, time)).collect()
}

#[derive(Clone, Copy)]
struct Time {
    since: u64,
    now: u64,
}

fn nanos(time: UnixMillis) -> u64 {
    time.millis().saturating_mul(1_000_000)
}

fn metric(family: &Family, time: Time) -> pb::Metric {
    let numbers = || family.points.iter().filter_map(|point| number(point, time)).collect();
    let data = match family.metric.kind {
        Kind::Counter => {
            Data::Sum(pb::Sum { data_points: numbers(), aggregation_temporality: CUMULATIVE, is_monotonic: true })
        }
        Kind::Gauge => Data::Gauge(pb::Gauge { data_points: numbers() }),
        Kind::Histogram => Data::Histogram(pb::Histogram {
            data_points: family.points.iter().filter_map(|point| distribution(point, time)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    pb::Metric {
        name: family.metric.otlp.to_owned(),
        description: family.metric.help.to_owned(),
        unit: family.metric.unit.to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn number(point: &Point, time: Time) -> Option<pb::NumberDataPoint> {
    let Value::Number(number) = point.value else { return None };
    Some(pb::NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: time.since,
        time_unix_nano: time.now,
        value: Some(pb::number_data_point::Value::AsDouble(number)),
        ..pb::NumberDataPoint::default()
    })
}

fn distribution(point: &Point, time: Time) -> Option<pb::HistogramDataPoint> {
    let Value::Distribution(Distribution { counts, sum, exemplars }) = &point.value else { return None };
    Some(pb::HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: time.since,
        time_unix_nano: time.now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: SECONDS_BUCKETS.to_vec(),
        exemplars: exemplars.iter().flatten().map(exemplar).collect(),
        ..pb::HistogramDataPoint::default()
    })
}

fn exemplar(exemplar: &Exemplar) -> pb::Exemplar {
    pb::Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: nanos(exemplar.at),
        span_id: exemplar.trace.span_bytes().to_vec(),
        trace_id: exemplar.trace.trace_bytes().to_vec(),
        value: Some(pb::exemplar::Value::AsDouble(exemplar.seconds)),
    }
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    let one = |(label, value): &(String, String)| KeyValue {
        key: label.clone(),
        value: Some(AnyValue { value: Some(Plain::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    point.labels.iter().map(one).collect()
}
