//! A replica whose wall clock is wrong: the library behind `latchkey-validation` with another clock.
//!
//! libfaketime cannot stand in for it: `rustix` asks the kernel without libc, so that nothing that is preloaded is called.

use clap::Args;
use latchkey_config::{Sources, ValidationSettings};
use latchkey_domain::UnixMillis;
use latchkey_telemetry::{Clock, SystemClock};
use latchkey_validation::{Validation, telemetry_options};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// How often it is looked how far the wall clock is to be ahead.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What is wrong with the clocks of a replica.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// How far the wall clock is ahead. Milliseconds.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    pub(crate) clock_offset_ms: i64,
    /// Both clocks run so much slower from the start on: a planted bug, for no lease ends in time by such clocks.
    #[arg(long, default_value_t = 0)]
    pub(crate) clock_slowness: u64,
}

impl Fault {
    /// As the replica takes it on its command line.
    pub(crate) fn arguments(self) -> [String; 2] {
        let Self { clock_offset_ms, clock_slowness } = self;
        [format!("--clock-offset-ms={clock_offset_ms}"), format!("--clock-slowness={clock_slowness}")]
    }
}

/// The machine's clocks with a fault.
struct Wrong {
    fault: Fault,
    started_ms: u64,
    /// By how much the wall clock jumped since the start.
    jumped_ms: AtomicI64,
}

impl Wrong {
    /// How far both clocks are behind by now.
    fn behind_ms(&self) -> u64 {
        let passed_ms = SystemClock.boottime_millis().saturating_sub(self.started_ms);
        passed_ms - passed_ms / self.fault.clock_slowness.max(1)
    }

    /// Lets the wall clock jump as a file says, for ever.
    async fn follow(&self, file: &Path) {
        loop {
            if let Some(jumped_ms) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
                self.jumped_ms.store(jumped_ms, Ordering::Relaxed);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Clock for Wrong {
    fn unix_millis(&self) -> UnixMillis {
        let real_ms = SystemClock.unix_millis().millis().saturating_sub(self.behind_ms());
        let ahead_ms = self.fault.clock_offset_ms.saturating_add(self.jumped_ms.load(Ordering::Relaxed));
        UnixMillis::new(real_ms.saturating_add_signed(ahead_ms))
    }

    fn boottime_millis(&self) -> u64 {
        SystemClock.boottime_millis().saturating_sub(self.behind_ms())
    }
}

/// Serves until `SIGTERM`.
pub(crate) async fn serve(config: PathBuf, fault: Fault, clock_file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let settings = ValidationSettings::load(&Sources::of_process(Some(config), Vec::new()))?;
    let telemetry = latchkey_telemetry::init("latchkey-validation", &telemetry_options(&settings.telemetry))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let started_ms = SystemClock.boottime_millis();
    let clock = Arc::new(Wrong { fault, started_ms, jumped_ms: AtomicI64::new(0) });
    let follows = clock.clone();
    if let Some(file) = clock_file {
        tokio::spawn(async move { follows.follow(&file).await });
    }
    let mut running = Validation::start_by(&settings, clock).await?;
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        _ = terminate.recv() => {}
    }
    running.shutdown().await?;
    telemetry.shutdown();
    Ok(())
}
