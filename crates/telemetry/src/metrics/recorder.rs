//! Keeps every counter, gauge and histogram of the process. Whatever is not in the contract as it stands there is a bug:
//! a debug build panics at the place where it is made, a release build counts it into nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use crate::metrics::distribution::Buckets;
use crate::metrics::text::{self, Format};
use crate::metrics::{Family, Point, Value};
use crate::names::{self, Kind, Metric};
use crate::process;

/// The recorder of a process. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Recorder {
    kept: Arc<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    counters: Series<AtomicU64>,
    gauges: Series<AtomicU64>,
    histograms: Series<Buckets>,
    service: OnceLock<&'static str>,
}

/// The values of one kind, by name and labels.
type Series<T> = Mutex<BTreeMap<Key, Arc<T>>>;

impl Default for Recorder {
    fn default() -> Self {
        let recorder = Self { kept: Arc::default() };
        // What never happened is told as 0: a rule over its rate then sees the first time.
        for metric in names::ALL.iter().filter(|metric| metric.kind == Kind::Counter && metric.labels.is_empty()) {
            one_of(&recorder.kept.counters, &Key::from_static_name(metric.name));
        }
        recorder
    }
}

impl Recorder {
    /// Says which service this process is. Only the first call counts.
    pub(crate) fn name(&self, service: &'static str) {
        // Somebody who names it twice has two services in one process: the first has named it.
        let _ = self.kept.service.set(service);
    }

    /// All that there is now, in the order of the contract.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counters are exact below 2^53")]
    pub fn gather(&self) -> Vec<Family> {
        let mut points: BTreeMap<&'static str, Vec<Point>> = BTreeMap::new();
        let mut add = |key: &Key, value| {
            let metric = names::find(key.name()).expect("only what the contract has is kept");
            points.entry(metric.name).or_default().push(Point { labels: labels(metric, key), value });
        };
        for (key, counter) in locked(&self.kept.counters).iter() {
            add(key, Value::Number(counter.load(Ordering::Relaxed) as f64));
        }
        for (key, gauge) in locked(&self.kept.gauges).iter() {
            add(key, Value::Number(f64::from_bits(gauge.load(Ordering::Relaxed))));
        }
        for (key, histogram) in locked(&self.kept.histograms).iter() {
            add(key, Value::Distribution(histogram.read()));
        }
        for (name, point) in process::points(self.kept.service.get().copied().unwrap_or("latchkey")) {
            points.entry(name).or_default().push(point);
        }
        let family = |metric: &'static Metric| Some(Family { metric, points: points.remove(metric.name)? });
        names::ALL.iter().filter_map(family).collect()
    }

    /// Whether a probe of the health service says that it serves; `None` where nobody ever said.
    pub(crate) fn serves(&self, probe: &str) -> Option<bool> {
        let key = Key::from_parts(names::SERVES, vec![metrics::Label::new("probe", probe.to_owned())]);
        locked(&self.kept.gauges).get(&key).map(|gauge| f64::from_bits(gauge.load(Ordering::Relaxed)) > 0.0)
    }

    /// The same as text.
    #[must_use]
    pub fn render_as(&self, format: Format) -> String {
        text::render(&self.gather(), format)
    }

    /// The same as Prometheus has read it for longest.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_as(Format::Prometheus)
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if holds_to_contract(key, Kind::Counter) { one_of(&self.kept.counters, key).into() } else { Counter::noop() }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if holds_to_contract(key, Kind::Gauge) { one_of(&self.kept.gauges, key).into() } else { Gauge::noop() }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if holds_to_contract(key, Kind::Histogram) {
            one_of(&self.kept.histograms, key).into()
        } else {
            Histogram::noop()
        }
    }
}

fn locked<T>(series: &Series<T>) -> std::sync::MutexGuard<'_, BTreeMap<Key, Arc<T>>> {
    series.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one_of<T: Default>(series: &Series<T>, key: &Key) -> Arc<T> {
    let mut series = locked(series);
    if let Some(one) = series.get(key) {
        return one.clone();
    }
    series.entry(key.clone()).or_default().clone()
}

fn holds_to_contract(key: &Key, kind: Kind) -> bool {
    let metric = names::find(key.name());
    let holds = metric.is_some_and(|metric| {
        metric.kind == kind
            && metric.labels.len() == key.labels().len()
            && key.labels().all(|label| metric.labels.contains(&label.key()))
    });
    debug_assert!(holds, "{key} is not in the contract of `names` as a {}", kind.as_str());
    holds
}

fn labels(metric: &Metric, key: &Key) -> Vec<(String, String)> {
    let value = |label: &&str| key.labels().find(|found| found.key() == *label).map(|found| found.value().to_owned());
    metric.labels.iter().filter_map(|label| Some(((*label).to_owned(), value(label)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "is not in the contract")]
    fn a_metric_that_the_contract_does_not_have_cannot_be_made() {
        let recorder = Recorder::default();
        let _installed = metrics::set_default_local_recorder(&recorder);
        metrics::counter!("latchkey_invented_total").increment(1);
    }

    #[test]
    #[should_panic(expected = "is not in the contract")]
    fn a_label_that_the_contract_does_not_have_cannot_be_used() {
        let recorder = Recorder::default();
        let _installed = metrics::set_default_local_recorder(&recorder);
        metrics::counter!(names::PROPOSALS_TOTAL, "tenant" => "acme").increment(1);
    }

    #[test]
    fn a_handle_that_is_made_again_counts_into_the_same_number() {
        let recorder = Recorder::default();
        let _installed = metrics::set_default_local_recorder(&recorder);
        for _ in 0..2 {
            metrics::counter!(names::PROPOSALS_TOTAL, "result" => "refused").increment(1);
            metrics::gauge!(names::AUDIT_WATCHERS).increment(1.0);
        }
        let text = recorder.render();
        assert!(text.contains("latchkey_proposals_total{result=\"refused\"} 2\n"), "{text}");
        assert!(text.contains("latchkey_audit_watchers 2\n"), "{text}");
    }
}
