//! The documented retry policy, read from the file that clients are told to use.

use crate::random::Random;
use crate::report::Trouble;
use serde_json::Value;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tonic::{Code, Status};

/// The file beside the protocol.
const FILE: &str = include_str!("../../../proto/retry.json");

/// How calls of one service are tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Policy {
    attempts_max: usize,
    first: Duration,
    longest: Duration,
    multiplier: f64,
}

/// The policy of a service.
pub(crate) fn policy(service: &str) -> Result<Policy, Trouble> {
    read(service).ok_or_else(|| Trouble::wrong(format!("proto/retry.json has no policy for {service}")))
}

fn read(service: &str) -> Option<Policy> {
    let file: Value = serde_json::from_str(FILE).ok()?;
    let applies = |config: &&Value| {
        let names = config["name"].as_array();
        // An entry that names a method is of that method alone.
        names.is_some_and(|names| names.iter().any(|name| name["service"] == service && name["method"].is_null()))
    };
    let retry = &file["methodConfig"].as_array()?.iter().find(applies)?["retryPolicy"];
    if retry["retryableStatusCodes"] != serde_json::json!(["UNAVAILABLE"]) {
        return None;
    }
    Some(Policy {
        attempts_max: usize::try_from(retry["maxAttempts"].as_u64()?).ok()?,
        first: seconds(&retry["initialBackoff"])?,
        longest: seconds(&retry["maxBackoff"])?,
        multiplier: retry["backoffMultiplier"].as_f64()?,
    })
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_str()?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Policy {
    /// Calls, and again where it may; counts the tries beyond the first in `again`.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Status>>>(
        self,
        again: &AtomicU64,
        random: &mut Random,
        call: impl Fn(usize) -> F,
    ) -> Result<T, Status> {
        let mut pause = self.first;
        for attempt in 0.. {
            match call(attempt).await {
                // It never left the client: gRPC's own libraries send it anew by themselves, tonic leaves that to us.
                Err(status) if never_left(&status) => _ = again.fetch_add(1, Ordering::Relaxed),
                Err(status) if is_unavailable(&status) && attempt + 1 < self.attempts_max => {
                    again.fetch_add(1, Ordering::Relaxed);
                    // gRPC clients draw each pause from 0.8 to 1.2 of what is written.
                    sleep(pause.mul_f64(0.8 + 0.4 * random.share())).await;
                    pause = pause.mul_f64(self.multiplier).min(self.longest);
                }
                ended => return ended,
            }
        }
        unreachable!("attempts are counted without an end")
    }
}

/// Whether the connection was gone before the call was written to it, as hyper words it.
fn never_left(status: &Status) -> bool {
    status.code() == Code::Cancelled && status.message() == "operation was canceled"
}

/// Whether it is what the policy names. Of a connection that broke under a call tonic says `UNKNOWN`, where gRPC's own
/// libraries say `UNAVAILABLE`.
fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable || (status.code() == Code::Unknown && status.message() == "transport error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_a_policy_for_what_is_called() {
        let issuance = policy("latchkey.v1.IssuanceService").unwrap();
        assert_eq!((issuance.first, issuance.longest), (Duration::from_secs(1), Duration::from_secs(8)));
        assert!(policy("latchkey.v1.ValidationService").is_ok());
        assert!(policy("latchkey.v1.NoService").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_unavailable_is_tried_again_and_only_so_often() {
        let (again, policy) = (AtomicU64::new(0), policy("latchkey.v1.IssuanceService").unwrap());
        let ended = policy.call(&again, &mut Random::new(1), |_| async { Err::<(), _>(Status::unavailable("")) }).await;
        assert_eq!((ended.unwrap_err().code(), again.load(Ordering::Relaxed)), (Code::Unavailable, 4));
        let broken = |_| async { Err::<(), _>(Status::unknown("transport error")) };
        assert!(policy.call(&again, &mut Random::new(1), broken).await.is_err());
        assert_eq!(again.load(Ordering::Relaxed), 8, "a connection that broke is a replica that is away");
        let again = AtomicU64::new(0);
        let ended = policy.call(&again, &mut Random::new(1), |_| async { Err::<(), _>(Status::internal("")) }).await;
        assert_eq!((ended.unwrap_err().code(), again.load(Ordering::Relaxed)), (Code::Internal, 0));
    }
}
