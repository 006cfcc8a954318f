//! Shedding by class: a full process refuses listings first and revocations last, at once and with little work.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use latchkey_telemetry::names;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::held::Held;
use crate::limits::Limits;
use crate::method::Method;
use crate::rule::Class;
use crate::status::Unavailable;

/// What is in progress on one listener.
#[derive(Debug)]
pub(crate) struct Room {
    limits: Limits,
    calls: AtomicUsize,
    streams: AtomicUsize,
}

impl Room {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, calls: AtomicUsize::new(0), streams: AtomicUsize::new(0) })
    }

    /// A place for one call, if its class still gets one.
    fn enter(self: &Arc<Self>, class: Class, streaming: bool) -> Option<Place> {
        let bound = if streaming { self.limits.streams_max } else { share(self.limits.calls_max, class) };
        let before = self.counter(streaming).fetch_add(1, Ordering::Relaxed);
        // Made before the question is asked, so that a refusal gives its number back as any end does.
        let place = Place { room: self.clone(), streaming };
        (before < bound || class == Class::Probe).then_some(place)
    }

    fn counter(&self, streaming: bool) -> &AtomicUsize {
        if streaming { &self.streams } else { &self.calls }
    }
}

/// How much of the room a class may fill. What is left over is for the classes above it.
fn share(calls_max: usize, class: Class) -> usize {
    let percent = match class {
        Class::Probe | Class::Raft | Class::Revoke => 100,
        Class::Validate => 90,
        Class::Management => 70,
        Class::List => 50,
    };
    calls_max * percent / 100
}

/// One place, given back on drop.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    streaming: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.counter(self.streaming).fetch_sub(1, Ordering::Relaxed);
    }
}

/// The layer.
#[derive(Debug, Clone)]
pub(crate) struct ShedLayer {
    room: Arc<Room>,
}

impl ShedLayer {
    pub(crate) fn new(room: Arc<Room>) -> Self {
        Self { room }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Shed { inner, room: self.room.clone() }
    }
}

/// The service that the layer makes.
#[derive(Debug, Clone)]
pub(crate) struct Shed<S> {
    inner: S,
    room: Arc<Room>,
}

impl<S> Service<Request<Body>> for Shed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ShedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = Method::of(&request);
        let (class, streaming) = (method.class, method.streaming);
        match self.room.enter(class, streaming) {
            Some(place) => ShedFuture::Entered { inner: self.inner.call(request), place: Some(place) },
            None => {
                metrics::counter!(names::RPCS_SHED_TOTAL, "class" => class.as_str()).increment(1);
                ShedFuture::Refused { class }
            }
        }
    }
}

pin_project! {
    /// The future of one call.
    #[project = ShedProjection]
    pub(crate) enum ShedFuture<F> {
        Entered { #[pin] inner: F, place: Option<Place> },
        Refused { class: Class },
    }
}

impl<F> Future for ShedFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, place) = match self.project() {
            ShedProjection::Entered { inner, place } => (inner, place),
            ShedProjection::Refused { class } => {
                return Poll::Ready(Ok(Unavailable::Overloaded { class: *class }.into_status().into_http()));
            }
        };
        let Ok(response) = ready!(inner.poll(context));
        let place = place.take().expect("a future is not polled after its end");
        if !place.streaming {
            return Poll::Ready(Ok(response));
        }
        // A stream holds its place until its last message, not until its head.
        Poll::Ready(Ok(response.map(|inner| Body::new(Held { inner, _kept: place }))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_of(calls_max: usize) -> Arc<Room> {
        Room::new(Limits { calls_max, streams_max: 1, ..Limits::PUBLIC })
    }

    #[test]
    fn classes_are_shed_in_their_order_and_a_probe_never() {
        let room = room_of(10);
        let mut places = Vec::new();
        let mut full_at = Vec::new();
        for class in [Class::List, Class::Management, Class::Validate, Class::Revoke] {
            while let Some(place) = room.enter(class, false) {
                places.push(place);
            }
            full_at.push(places.len());
        }
        assert_eq!(full_at, [5, 7, 9, 10]);
        assert!(room.enter(Class::Probe, false).is_some());
    }

    #[test]
    fn a_place_is_given_back_by_an_end_and_by_a_refusal() {
        let room = room_of(1);
        let place = room.enter(Class::Revoke, false);
        assert!(place.is_some());
        assert!(room.enter(Class::Revoke, false).is_none());
        drop(place);
        assert!(room.enter(Class::Revoke, false).is_some());
        assert_eq!(room.calls.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn streams_do_not_take_the_room_of_calls() {
        let room = room_of(1);
        let _stream = room.enter(Class::Management, true);
        assert!(room.enter(Class::Management, true).is_none());
        assert!(room.enter(Class::Revoke, false).is_some());
    }
}
