//! The waker of a connection.
//!
//! Each answer wakes its connection, most often while that is at work and will look again anyway. Such a ring is noted and
//! wakes nobody; a ring while nobody works wakes the task.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

const QUIET: u8 = 0;
const AT_WORK: u8 = 1;
const RUNG: u8 = 2;

/// Give its [`Waker`] to what is driven.
#[derive(Default)]
pub(crate) struct Bell {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// Says whom to wake. Then [`Self::listen`] before the work.
    pub(crate) fn wakes(&self, context: &Context<'_>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            *task = Some(context.waker().clone());
        }
    }

    /// Forgets what rang so far: the work that begins now will see to it.
    pub(crate) fn listen(&self) {
        self.state.store(AT_WORK, Ordering::SeqCst);
    }

    /// Whether nothing has rung since [`Self::listen`]. What rings from now on wakes the task.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.compare_exchange(AT_WORK, QUIET, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Wakes the task, whatever the state is.
    pub(crate) fn wake_task(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::SeqCst) == QUIET {
            self.wake_task();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_ring_during_the_work_is_noted_and_one_after_it_wakes_the_task_once() {
        let (bell, woken) = (Arc::new(Bell::default()), Arc::new(Woken::default()));
        let (task, ring) = (Waker::from(woken.clone()), Waker::from(bell.clone()));
        bell.wakes(&Context::from_waker(&task));

        bell.listen();
        ring.wake_by_ref();
        assert!(!bell.is_quiet());
        bell.listen();
        assert!(bell.is_quiet());
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);

        ring.wake_by_ref();
        ring.wake_by_ref();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }
}
