use tower::ServiceExt as _;

use super::*;

/// Answers each message with itself, except one that it cannot answer at once and one that is refused.
#[derive(Clone)]
struct Echo;

impl AtOnce for Echo {
    fn has(&self, path: &str) -> bool {
        path == "/test/Echo"
    }

    fn answer(&self, _: &str, _: &Extensions, message: Bytes, answer: &mut BytesMut) -> Option<Result<(), Status>> {
        match &message[..] {
            b"wait" => None,
            b"refuse" => Some(Err(Status::aborted(""))),
            _ => {
                answer.put(message);
                Some(Ok(()))
            }
        }
    }
}

/// Stands for the generated server: says how many bytes it got.
#[derive(Clone)]
struct Server;

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        Box::pin(async move {
            let got = bytes_of(request.into_body()).await.len();
            Ok(Status::unknown(format!("the server got {got} bytes")).into_http())
        })
    }
}

/// A body of these frames.
struct Frames(Vec<&'static [u8]>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let next = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(next.map(|bytes| Ok(Frame::data(Bytes::from_static(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

async fn bytes_of(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame.unwrap().into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(rest) => assert_eq!(rest.into_trailers().unwrap()[Status::GRPC_STATUS], "0"),
        }
    }
    bytes
}

async fn call(path: &str, encoding: Option<&str>, frames: &[&'static [u8]]) -> Result<Vec<u8>, String> {
    let mut request = Request::post(path);
    if let Some(encoding) = encoding {
        request = request.header(GRPC_ENCODING, encoding);
    }
    let request = request.body(Body::new(Frames(frames.to_vec()))).unwrap();
    let Ok(response) = Direct::new(Server, Echo, 10).oneshot(request).await;
    match Status::from_header_map(response.headers()) {
        Some(status) => Err(format!("{:?} {}", status.code(), status.message())),
        None => {
            assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
            Ok(bytes_of(response.into_body()).await)
        }
    }
}

#[tokio::test]
async fn one_whole_message_in_one_frame_is_answered_at_once() {
    assert_eq!(call("/test/Echo", None, &[b"\0\0\0\0\x02hi"]).await.unwrap(), b"\0\0\0\0\x02hi");
    assert_eq!(call("/test/Echo", None, &[b"\0\0\0\0\0"]).await.unwrap(), b"\0\0\0\0\0");
    assert_eq!(call("/test/Echo", None, &[b"\0\0\0\0\x06refuse"]).await.unwrap_err(), "Aborted ");
}

#[tokio::test]
async fn whatever_else_comes_gets_to_the_server_whole() {
    for (path, encoding, frames) in [
        ("/test/Other", None, &[&b"\0\0\0\0\x02hi"[..]][..]),
        ("/test/Echo", Some("gzip"), &[b"\0\0\0\0\x02hi"]),
        ("/test/Echo", None, &[b"\x01\0\0\0\x02hi"]),
        ("/test/Echo", None, &[b"\0\0\0\0\x03hi"]),
        ("/test/Echo", None, &[b"\0\0\0\0\x01hi"]),
        ("/test/Echo", None, &[b"\0\0\0\0\x02h", b"i"]),
        ("/test/Echo", None, &[b"\0\0\0\0\x02hi", b"more"]),
        ("/test/Echo", None, &[b"\0\0\0\0\x04wait"]),
        ("/test/Echo", None, &[b"\0\0\0\0\x0belevenbytes"]),
        ("/test/Echo", None, &[b"\0\0"]),
        ("/test/Echo", None, &[]),
    ] {
        let sent: usize = frames.iter().map(|frame| frame.len()).sum();
        let answer = call(path, encoding, frames).await.unwrap_err();
        assert_eq!(answer, format!("Unknown the server got {sent} bytes"), "{path} {frames:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_still_on_its_way_is_awaited_by_the_server() {
    /// Ready at its second look, as a body is whose bytes come later.
    struct Late(bool);

    impl http_body::Body for Late {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(None);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    let request = Request::post("/test/Echo").body(Body::new(Late(false))).unwrap();
    let Ok(response) = Direct::new(Server, Echo, 10).oneshot(request).await;
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.message(), "the server got 0 bytes");
}
