//! A short way for unary calls that can be answered at once.
//!
//! tonic's way serves every form that a call may have: a message in pieces, compression, trailers of the request, an answer
//! that waits. Most calls of a validation service have none of it: one frame, one message, one answer from memory. [`Direct`]
//! takes those, and gives all others, as they came, to the generated server: what is unusual, or wrong, is answered there.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

/// gRPC puts a flag and four bytes of length before each message.
const PREFIX_BYTES: usize = 5;

/// What an answer begins with room for. Most are shorter.
const ANSWER_BYTES_USUAL: usize = 512;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: &str = "grpc-encoding";
const STATUS_OK: HeaderValue = HeaderValue::from_static("0");

/// What answers at once, where that can be done.
pub trait AtOnce: Clone + Send + Sync + 'static {
    /// Whether a method may be answered by [`Self::answer`].
    fn has(&self, path: &str) -> bool;

    /// Writes the answer to `message` into `answer`. `None`: it has to wait, or is no message of the method; nothing was
    /// done then, and the generated server gets the call.
    fn answer(
        &self,
        path: &str,
        extensions: &Extensions,
        message: Bytes,
        answer: &mut BytesMut,
    ) -> Option<Result<(), Status>>;
}

/// A generated server with a short way before it.
#[derive(Clone, Debug)]
pub struct Direct<S, H> {
    server: S,
    at_once: H,
    message_bytes_max: usize,
}

impl<S, H> Direct<S, H> {
    /// Messages longer than `message_bytes_max` are left to `server`.
    pub const fn new(server: S, at_once: H, message_bytes_max: usize) -> Self {
        Self { server, at_once, message_bytes_max }
    }
}

impl<S: NamedService, H> NamedService for Direct<S, H> {
    const NAME: &'static str = S::NAME;
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S, H> Service<Request<Body>> for Direct<S, H>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
        + Send
        + Clone
        + 'static,
    H: AtOnce,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.server.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let encoded = request.headers().contains_key(GRPC_ENCODING);
        if encoded || !self.at_once.has(request.uri().path()) {
            return self.server.call(request);
        }
        let Self { mut server, at_once, message_bytes_max } = self.clone();
        Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            // It has come with the head of the call, nearly always. Where it has not, whoever waits for it is the server.
            let Poll::Ready(first) = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await
            else {
                return server.call(Request::from_parts(parts, body)).await;
            };
            if let Some(Ok(frame)) = &first
                && let Some(message) = frame.data_ref().filter(|_| body.is_end_stream()).and_then(whole_message)
                && message.len() <= message_bytes_max
            {
                let mut answer = BytesMut::with_capacity(ANSWER_BYTES_USUAL);
                answer.put_bytes(0, PREFIX_BYTES);
                match at_once.answer(parts.uri.path(), &parts.extensions, message, &mut answer) {
                    Some(Ok(())) => return Ok(answered(answer)),
                    Some(Err(status)) => return Ok(status.into_http()),
                    None => {}
                }
            }
            server.call(Request::from_parts(parts, Body::new(Again { first, rest: body }))).await
        })
    }
}

/// The message, if `data` is a whole one, and not compressed.
fn whole_message(data: &Bytes) -> Option<Bytes> {
    let (prefix, message) = data.split_first_chunk::<PREFIX_BYTES>()?;
    let [compressed, length @ ..] = *prefix;
    let whole = compressed == 0 && usize::try_from(u32::from_be_bytes(length)) == Ok(message.len());
    whole.then(|| data.slice(PREFIX_BYTES..))
}

fn answered(mut answer: BytesMut) -> Response<Body> {
    let length = u32::try_from(answer.len() - PREFIX_BYTES).expect("an answer has less than 4 GiB");
    answer[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    let mut response = Response::new(Body::new(Answer { message: Some(answer.freeze()), ended: false }));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// One message, and that all went well.
struct Answer {
    message: Option<Bytes>,
    ended: bool,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, STATUS_OK);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// A body of which the first frame was looked at.
struct Again {
    first: Option<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl http_body::Body for Again {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
