//! One HTTP call: dial, ask, read a bounded answer.

use crate::error::DialError;
use crate::server::Server;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Longest answer that is read: a Secret has at most 1 MiB, more in the digits of base64. Bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 2 << 20;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, zeroed when it is dropped.
    pub body: Zeroizing<Vec<u8>>,
}

impl Server {
    /// Makes one call. The target of `request` is a path; `Host` is added.
    ///
    /// # Errors
    /// [`DialError`]: there is no answer. One of any status is an answer.
    pub async fn call(&self, request: Request<Full<Bytes>>) -> Result<Answer, DialError> {
        timeout(self.limit, self.call_within(request)).await.map_err(|_| DialError::Time(self.limit))?
    }

    async fn call_within(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, DialError> {
        let host = http::HeaderValue::from_str(&self.address).expect("a host and a port are visible letters");
        request.headers_mut().insert(http::header::HOST, host);
        let connection = self.dial(&[b"http/1.1"]).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(DialError::Http)?;
        let asking = async {
            let answer = sender.send_request(request).await.map_err(DialError::Http)?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_| DialError::Answer)?.to_bytes();
            Ok(Answer { status, headers, body: Zeroizing::new(body.to_vec()) })
        };
        // The connection moves the bytes of the answer, so it is polled beside it, and ends with it.
        tokio::pin!(connection);
        tokio::pin!(asking);
        tokio::select! {
            biased;
            answer = &mut asking => answer,
            ended = &mut connection => {
                ended.map_err(DialError::Http)?;
                asking.await
            }
        }
    }
}
