//! Who calls, as far as the connection and the headers say. Whether it is true is for the handler to find out.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use latchkey_domain::Workload;
use tower::{Layer, Service};
use zeroize::Zeroizing;

/// A management key text has at most 72 characters; what is longer than this is none, and is not copied.
const BEARER_BYTES_MAX: usize = 128;

/// The peer and what it shows. In the extensions of each request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The other end of the connection. `None` where there is no TCP, as in some tests.
    pub peer: Option<SocketAddr>,
    /// Who its certificate says it is. `None` over plain text, and where it showed none.
    pub workload: Option<Arc<Workload>>,
    /// From `authorization: Bearer …`. `None` when there is none, more than one, or one that cannot be a key text.
    pub bearer: Option<BearerToken>,
}

/// The text of a management key, as it came. Zeroed on drop; never shown.
#[derive(Clone)]
pub struct BearerToken(Zeroizing<String>);

impl BearerToken {
    /// Takes the header out, so that nothing that prints a request's metadata can show it.
    #[must_use]
    pub fn take(headers: &mut HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let bearer = values.next().and_then(|value| bearer_in(value.as_bytes()));
        // Of two nobody guesses which one is meant.
        let alone = values.next().is_none();
        headers.remove(AUTHORIZATION);
        bearer.filter(|_| alone)
    }

    /// The text. Hand it to the parser of key texts, and nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BearerToken({} bytes)", self.0.len())
    }
}

fn bearer_in(value: &[u8]) -> Option<BearerToken> {
    let (scheme, text) = value.split_at_checked("Bearer ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") || text.is_empty() || text.len() > BEARER_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    Some(BearerToken(Zeroizing::new(text.to_owned())))
}

/// The layer of one connection.
#[derive(Debug, Clone)]
pub(crate) struct CallerLayer {
    peer: Option<SocketAddr>,
    workload: Option<Arc<Workload>>,
}

impl CallerLayer {
    /// Who is at the other end.
    pub(crate) const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    pub(crate) const fn new(peer: Option<SocketAddr>, workload: Option<Arc<Workload>>) -> Self {
        Self { peer, workload }
    }
}

impl<S> Layer<S> for CallerLayer {
    type Service = Callers<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Callers { inner, peer: self.peer, workload: self.workload.clone() }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Callers<S> {
    inner: S,
    peer: Option<SocketAddr>,
    workload: Option<Arc<Workload>>,
}

impl<S, B> Service<Request<B>> for Callers<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let bearer = BearerToken::take(request.headers_mut());
        request.extensions_mut().insert(Caller { peer: self.peer, workload: self.workload.clone(), bearer });
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn taken(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let bearer = BearerToken::take(&mut headers);
        assert!(headers.is_empty(), "the header stays with nobody");
        bearer.map(|bearer| bearer.reveal().to_owned())
    }

    #[test]
    fn only_a_single_bearer_of_a_possible_length_is_one() {
        let too_long = format!("Bearer {}", "a".repeat(BEARER_BYTES_MAX + 1));
        for values in
            [&[][..], &[""], &["Bearer "], &["Bearerlkm"], &["Basic lkm"], &[&too_long], &["Bearer a", "Bearer b"]]
        {
            assert_eq!(taken(values), None, "{values:?}");
        }
        assert_eq!(taken(&["Bearer lkm_1"]).as_deref(), Some("lkm_1"));
        assert_eq!(taken(&["bearer lkm_1"]).as_deref(), Some("lkm_1"));
    }

    #[test]
    fn a_bearer_is_never_shown() {
        let caller = Caller { peer: None, workload: None, bearer: bearer_in(b"Bearer lkm_secret") };
        assert_eq!(format!("{caller:?}"), "Caller { peer: None, workload: None, bearer: Some(BearerToken(10 bytes)) }");
    }
}
