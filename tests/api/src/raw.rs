//! Calling a method by its name, with bytes in and out: what is called is what `proto/` lists.

use crate::clients::CALL_WITHIN;
use bytes::{Buf as _, BufMut as _};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

/// Sends one message to `method`, such as `latchkey.v1.IssuanceService/GetKey`, and gives the first that comes back. A
/// stream is called like any other method.
///
/// # Errors
/// What the service answered.
///
/// # Panics
/// If nobody listens, or if the method is no path.
pub async fn call(channel: Channel, method: &str, metadata: MetadataMap, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let path: PathAndQuery = format!("/{method}").parse().expect("the name of a method makes a path");
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("somebody listens");
    let mut request = Request::new(tokio_stream::once(message));
    *request.metadata_mut() = metadata;
    request.set_timeout(CALL_WITHIN);
    let answers = grpc.streaming(request, path, Bytes).await?;
    answers.into_inner().message().await?.ok_or_else(|| Status::data_loss("neither an answer nor an error"))
}
