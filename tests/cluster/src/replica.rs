//! A replica whose wall clock is wrong: the library behind `latchkey-validation` with another clock.
//!
//! libfaketime cannot stand in for it: `rustix` asks the kernel without libc, so that nothing that is preloaded is called.

use latchkey_config::{Sources, ValidationSettings};
use latchkey_domain::UnixMillis;
use latchkey_telemetry::{Clock, SystemClock};
use latchkey_validation::{Validation, telemetry_options};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// The machine's clocks, the wall clock shifted.
struct Shifted {
    offset_ms: i64,
}

impl Clock for Shifted {
    fn unix_millis(&self) -> UnixMillis {
        UnixMillis::new(SystemClock.unix_millis().millis().saturating_add_signed(self.offset_ms))
    }

    fn boottime_millis(&self) -> u64 {
        SystemClock.boottime_millis()
    }
}

/// Serves until `SIGTERM`.
pub(crate) async fn serve(config: PathBuf, offset_ms: i64) -> Result<(), Box<dyn Error>> {
    let settings = ValidationSettings::load(&Sources::of_process(Some(config), Vec::new()))?;
    let telemetry = latchkey_telemetry::init("latchkey-validation", &telemetry_options(&settings.telemetry))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut running = Validation::start_by(&settings, Arc::new(Shifted { offset_ms })).await?;
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        _ = terminate.recv() => {}
    }
    running.shutdown().await?;
    telemetry.shutdown();
    Ok(())
}
