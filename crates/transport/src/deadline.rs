//! Deadlines: read from the request, given where none came, handed to the handler, and enforced.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::method::Method;
use crate::rule::{TimeRule, UNARY_DEFAULT};
use crate::status;

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// When the answer of a call has to be there. In the extensions of each unary request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    began: Instant,
    ends: Instant,
    by_caller: bool,
}

impl Deadline {
    /// The rest of the time; zero when it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// When the call began, on tokio's clock.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// When it is over, on tokio's clock.
    #[must_use]
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// The deadline of a request that asks to wait for `wait`: the caller's own where it set one, else 2 s and the wait.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        if self.by_caller {
            return self;
        }
        Self { ends: self.began + UNARY_DEFAULT + wait, ..self }
    }

    /// Passes the rest of the time on to the next service.
    pub fn pass_on<T>(&self, request: &mut tonic::Request<T>) {
        request.set_timeout(self.remaining());
    }

    fn new(began: Instant, asked: Option<Duration>, rule: TimeRule) -> Option<Self> {
        let asked_or_default = asked.or(rule.default);
        let allowed = match (asked_or_default, rule.ceiling) {
            (Some(time), Some(ceiling)) => time.min(ceiling),
            (time, ceiling) => time.or(ceiling)?,
        };
        Some(Self { began, ends: began + allowed, by_caller: asked.is_some() })
    }
}

/// Reads `grpc-timeout`: one to eight digits and a unit. What is malformed counts as absent, as in tonic.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadlines<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadlines { inner }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Deadlines<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Deadlines<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let rule = Method::of(&request).time;
        let deadline = Deadline::new(Instant::now(), asked(request.headers()), rule);
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        DeadlineFuture { inner: self.inner.call(request), ends: deadline.map(|deadline| deadline.ends), sleep: None }
    }
}

pin_project! {
    /// The future of one call.
    pub(crate) struct DeadlineFuture<F> {
        #[pin]
        inner: F,
        ends: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let answer @ Poll::Ready(_) = this.inner.poll(context) {
            return answer;
        }
        let Some(ends) = *this.ends else { return Poll::Pending };
        // Made only for a call that has to wait: a validation answers on its first poll and needs no timer.
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(ends)));
        }
        let sleep = this.sleep.as_pin_mut().expect("set two lines above");
        sleep.poll(context).map(|()| Ok(status::deadline_exceeded().into_http()))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tower::service_fn;

    use super::*;
    use crate::record::code_in;
    use crate::rule::{self, Class};
    use crate::test_support;

    fn header(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(GRPC_TIMEOUT.parse().unwrap(), HeaderValue::from_static(text))])
    }

    async fn cut_after(path: &str, timeout: Option<&'static str>) -> (Option<tonic::Code>, Duration) {
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let method = test_support::methods().find(path).clone();
        request.extensions_mut().insert(method);
        if let Some(text) = timeout {
            *request.headers_mut() = header(text);
        }
        let mut service = DeadlineLayer.layer(service_fn(|_| std::future::pending()));
        let began = Instant::now();
        let Ok(response) = service.call(request).await;
        (code_in(response.headers()), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_unary_call_without_a_deadline_is_cut_after_two_seconds() {
        let (code, after) = cut_after("/test.v1.TestService/Facts", None).await;
        assert_eq!(code, Some(tonic::Code::DeadlineExceeded));
        assert_eq!(after, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_validation_is_cut_after_five_seconds_whatever_its_caller_asks_for() {
        let (code, after) = cut_after("/latchkey.v1.ValidationService/ValidateKey", Some("1H")).await;
        assert_eq!(code, Some(tonic::Code::DeadlineExceeded));
        assert_eq!(after, Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_the_caller_asked_for_is_kept_in_both_directions() {
        let (_, short) = cut_after("/test.v1.TestService/Facts", Some("50m")).await;
        let (_, long) = cut_after("/test.v1.TestService/Facts", Some("1M")).await;
        assert_eq!(short, Duration::from_millis(50));
        assert_eq!(long, Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_never_cut() {
        let stream = cut_after("/test.v1.TestService/Stream", None);
        assert!(tokio::time::timeout(Duration::from_secs(86_400), stream).await.is_err());
    }

    #[test]
    fn every_unit_is_read_and_what_is_malformed_counts_as_absent() {
        for (text, time) in [
            ("2H", Duration::from_secs(7_200)),
            ("2M", Duration::from_secs(120)),
            ("2S", Duration::from_secs(2)),
            ("250m", Duration::from_millis(250)),
            ("250u", Duration::from_micros(250)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(asked(&header(text)), Some(time), "{text}");
        }
        for text in ["", "S", "2", "2s", "-2S", "+2S", "123456789S", "2.5S", "2 S"] {
            assert_eq!(asked(&header(text)), None, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_lengthens_the_default_and_never_the_deadline_of_the_caller() {
        let began = Instant::now();
        let rule = rule::time(Class::Revoke, "RevokeKey", false);
        let own = Deadline::new(began, Some(Duration::from_secs(3)), rule).unwrap();
        let given = Deadline::new(began, None, rule).unwrap();
        let wait = Duration::from_secs(10);
        assert_eq!(own.with_wait(wait), own);
        assert_eq!(given.with_wait(wait).ends(), began + Duration::from_secs(12));
    }
}
