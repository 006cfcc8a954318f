//! The metrics of the process as they are at one moment: what is scraped and what is pushed are both made of this.

use crate::metrics::Distribution;
use crate::names::Metric;

/// All that is known of one metric.
#[derive(Debug, Clone)]
pub struct Family {
    /// Its line of the contract.
    pub metric: &'static Metric,
    /// A point for each combination of labels.
    pub points: Vec<Point>,
}

/// One number, or one distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The labels as the contract writes them, in its order.
    pub labels: Vec<(String, String)>,
    /// What it is.
    pub value: Value,
}

/// What a point is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Distribution(Distribution),
}

impl Point {
    /// A number.
    #[must_use]
    pub fn number(labels: &[(&str, &str)], value: f64) -> Self {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        Self { labels, value: Value::Number(value) }
    }
}
