//! `ListExports`.

use crate::exporting::{Exports, SinkStatus};
use crate::handlers::Handlers;
use latchkey_domain::{DurationMillis, Duty, Scope, UnixMillis};
use latchkey_link::{Authorized, Call, Registry};
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1;
use latchkey_wire::request::ReadListError;
use latchkey_wire::time::{write_span, write_time};
use tonic::Status;

/// Reads the request: it asks for all.
pub(crate) fn read_exports(_: &v1::ListExportsRequest) -> Result<(), ReadListError> {
    Ok(())
}

impl<R: Registry> Handlers<R> {
    /// How sinks do is for those who may see all entries: errors and numbers tell of all tenants.
    pub(crate) async fn exports(&self, call: Call<()>) -> Result<v1::ListExportsResponse, Status> {
        Authorized::check((), call.identity, &[Duty::Auditor], &Scope::System)?;
        Ok(shown(self.sinks(), SystemClock.unix_millis()))
    }
}

fn shown(exports: &Exports, now: UnixMillis) -> v1::ListExportsResponse {
    let export = |(name, status): (String, SinkStatus)| v1::Export {
        name,
        kind: status.kind.to_owned(),
        next_sequence: status.next,
        lag_entries: status.lag_entries,
        lag: status.waits_since.map(|_| write_span(DurationMillis::new(status.lag_millis(now)))),
        last_taken_time: status.taken_at.map(write_time),
        set_aside_entries: status.set_aside,
        failing_since: status.failing.as_ref().map(|(since, _)| write_time(*since)),
        error: status.failing.map(|(_, error)| error).unwrap_or_default(),
        place: status.place,
        stream: status.stream.as_str().to_owned(),
        missed: status.missed,
    };
    v1::ListExportsResponse { exports: exports.list().into_iter().map(export).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_config::SinkStream;

    #[test]
    fn a_sink_that_fails_tells_since_when_and_why() {
        let exports = Exports::default();
        exports.update("elk", |status| {
            status.kind = "elasticsearch";
            status.next = 7;
            status.waits_since = Some(UnixMillis::new(1_000));
            status.failing = Some((UnixMillis::new(2_000), "no answer".to_owned()));
        });
        exports.update("files", |status| {
            status.stream = SinkStream::Access;
            status.missed = 4;
            status.taken_at = Some(UnixMillis::new(3_000));
        });
        exports.measure(9, 0, UnixMillis::new(4_000));
        let answer = shown(&exports, UnixMillis::new(4_000));
        let [elk, files] = &answer.exports[..] else { panic!("{answer:?}") };
        assert_eq!((elk.next_sequence, elk.lag_entries, elk.error.as_str()), (7, 2, "no answer"));
        assert_eq!((elk.lag.unwrap().seconds, elk.failing_since.unwrap().seconds), (3, 2));
        assert_eq!((elk.stream.as_str(), elk.missed), ("entries", 0));
        assert_eq!((files.stream.as_str(), files.missed), ("access", 4));
        assert_eq!((files.lag, files.failing_since, files.last_taken_time.unwrap().seconds), (None, None, 3));
    }
}
