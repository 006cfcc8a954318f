//! Writes down all that is logged and traced: each event, and each span with its fields, at the finest level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Our crates and those that carry our calls. Raft's own words at `trace` would be most of it: `debug` tells its messages.
const FILTER: &str = "trace,openraft=debug,h2=debug,hyper_util=debug,tower=debug";

/// What was written so far.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    written: Arc<Mutex<Vec<u8>>>,
}

impl Witness {
    /// Listens to the whole process from now on.
    pub(crate) fn install() -> Self {
        let witness = Self::default();
        witness.subscriber().init();
        witness
    }

    /// Writes down what it is told: as JSON, so that no field is left out, and the fields of spans when they end.
    pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static + use<> {
        let lines = fmt::layer().json().with_span_events(FmtSpan::NEW | FmtSpan::CLOSE).with_writer(self.clone());
        tracing_subscriber::registry().with(EnvFilter::new(FILTER)).with(lines)
    }

    /// All that was written.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many spans of calls ended.
    pub(crate) fn spans(&self) -> usize {
        let written = self.written();
        let text = String::from_utf8_lossy(&written).into_owned();
        text.lines().filter(|line| line.contains("\"message\":\"close\"") && line.contains("latchkey.v1.")).count()
    }
}

impl Write for Witness {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Witness {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
