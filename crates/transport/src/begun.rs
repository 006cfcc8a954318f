//! The calls that one look at a connection has begun.
//!
//! A call that can be answered at once needs no task of its own: its future is polled here, and what it answers leaves
//! with the others. Only what has to wait becomes a task.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where HTTP/2 puts the calls of a connection, and its driver takes them.
#[derive(Clone, Default)]
pub(crate) struct Begun {
    calls: Arc<Mutex<Calls>>,
}

#[derive(Default)]
struct Calls {
    /// Whether the driver is about to look.
    awaited: bool,
    waiting: VecDeque<Call>,
}

impl Begun {
    /// Gathers what `look` begins.
    pub(crate) fn gather<T>(&self, look: impl FnOnce() -> T) -> T {
        self.lock().awaited = true;
        let seen = look();
        self.lock().awaited = false;
        seen
    }

    /// Polls the calls that were gathered, `count_max` at most, and says how many there were. Those that have to wait go on
    /// as tasks.
    pub(crate) fn run(&self, count_max: usize) -> usize {
        for count in 0..count_max {
            let Some(mut call) = self.next() else { return count };
            // Nobody needs to be woken: what is not ready is polled again as a task, with the waker of that.
            let mut context = Context::from_waker(Waker::noop());
            // What panics costs its own call, as it would in a task; the panic hook has told of it.
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)));
            match polled {
                Ok(polled) if polled.is_pending() => drop(tokio::spawn(call)),
                Ok(_) | Err(_) => {}
            }
        }
        count_max
    }

    /// Whether calls wait to be run.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    fn next(&self) -> Option<Call> {
        self.lock().waiting.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> hyper::rt::Executor<F> for Begun
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let mut calls = self.lock();
        if calls.awaited {
            calls.waiting.push_back(Box::pin(call));
        } else {
            drop(calls);
            tokio::spawn(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use hyper::rt::Executor as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_ready_is_run_at_once_and_what_waits_becomes_a_task() {
        let begun = Begun::default();
        let (told, hears) = oneshot::channel();
        let (tells, waits) = oneshot::channel::<()>();
        begun.gather(|| {
            begun.execute(ready(()));
            begun.execute(async move {
                waits.await.unwrap();
                told.send(()).unwrap();
            });
            begun.execute(pending());
        });

        assert_eq!((begun.run(2), begun.is_empty()), (2, false), "no more than asked for");
        assert_eq!((begun.run(2), begun.is_empty()), (1, true));
        tells.send(()).unwrap();
        hears.await.expect("the call that had to wait goes on");
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_call() {
        let begun = Begun::default();
        begun.gather(|| {
            begun.execute(async { panic!("on purpose") });
            begun.execute(ready(()));
        });
        assert_eq!(begun.run(10), 2);
    }

    #[tokio::test]
    async fn what_nobody_will_look_for_becomes_a_task_at_once() {
        let begun = Begun::default();
        let (told, hears) = oneshot::channel();
        begun.execute(async move { told.send(()).unwrap() });
        assert!(begun.is_empty());
        hears.await.unwrap();
    }
}
