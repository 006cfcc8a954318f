//! What is answered: three kinds of paths, read only, each under one name.

use crate::proofs::Proving;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, RETRY_AFTER};
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use latchkey_transparency::Resource;
use sha2::{Digest as _, Sha256};
use tonic::Code;

/// Each moment there may be a newer checkpoint. Also of what is not there: it may be in a moment.
const CHANGES: &str = "no-cache";
/// A tile is for ever: a partial one goes when it is full, and never has other bytes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Answers one request. Its body, if it has one, is nobody's business.
pub(super) async fn answer<B>(request: &Request<B>, proving: &Proving) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return said(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, "GET, HEAD"), "the log is only read: GET or HEAD");
    }
    // A path is read as it came: what is escaped, doubled or relative is no path of the log.
    let resource = request.uri().path().strip_prefix('/').map(Resource::parse);
    let resource = match resource {
        Some(Ok(resource)) => resource,
        Some(Err(error)) => return said(StatusCode::NOT_FOUND, (CACHE_CONTROL, CHANGES), &error.to_string()),
        None => return said(StatusCode::BAD_REQUEST, (CACHE_CONTROL, CHANGES), "expected a path"),
    };
    let Some(prover) = proving.get() else { return later("the log is not open yet") };
    match prover.object(resource).await {
        Ok(Some(bytes)) => found(resource, bytes, request.method(), request.headers()),
        Ok(None) if resource == Resource::Checkpoint => later("nothing was signed yet"),
        Ok(None) => said(StatusCode::NOT_FOUND, (CACHE_CONTROL, CHANGES), "the log does not reach so far"),
        Err(error) if error.code() == Code::Internal => {
            said(StatusCode::INTERNAL_SERVER_ERROR, (CACHE_CONTROL, CHANGES), error.message())
        }
        Err(_) => later("the archive cannot be reached"),
    }
}

fn found(resource: Resource, bytes: Vec<u8>, method: &Method, asked: &HeaderMap) -> Response<Full<Bytes>> {
    let (content_type, cache) = match resource {
        Resource::Checkpoint => ("text/plain; charset=utf-8", CHANGES),
        Resource::Tile(_) | Resource::Entries(_) => ("application/octet-stream", FOR_EVER),
    };
    let tag = tag(&bytes);
    let known = asked.get_all(IF_NONE_MATCH).iter().any(|value| matches_tag(value, &tag));
    let length = HeaderValue::from(bytes.len());
    let head = known || *method == Method::HEAD;
    let mut response = Response::new(Full::from(if head { Vec::new() } else { bytes }));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(ETAG, HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes are a header's value"));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

/// Names what was answered: the beginning of its hash.
fn tag(bytes: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let digits: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn matches_tag(value: &HeaderValue, tag: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

fn later(line: &str) -> Response<Full<Bytes>> {
    said(StatusCode::SERVICE_UNAVAILABLE, (RETRY_AFTER, "1"), line)
}

fn said(status: StatusCode, (name, value): (HeaderName, &'static str), line: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{line}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
