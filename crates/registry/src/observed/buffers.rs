//! Where uses wait for a moment. Each thread has its own place, so that no validation waits for another; a place that is
//! full is emptied by whoever has filled it, unless somebody is at the sums just now.

use super::one_use::Use;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Places. More threads than that share them.
const PLACES: usize = 32;

/// From here on a place is worth being emptied: what it holds is summed up in a few tens of microseconds.
const USES_USUAL: usize = 256;

/// From here on it is emptied even where one has to wait for that. All places together stay below 8 MiB.
const USES_MAX: usize = 2_048;

/// The golden ratio of 2^32: its multiples fall evenly over all of the range, whichever share of them is looked at.
const GOLDEN: u32 = 0x9E37_79B9;

/// The places.
pub(super) struct Buffers {
    places: Box<[Place]>,
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Place(Mutex<Buffer>);

#[derive(Default)]
struct Buffer {
    uses: Vec<Use>,
    /// The management key that was used last here: a service calls with one for hours.
    run: Option<Use>,
    drawn: u32,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// Nothing.
    Low,
    /// The place is to be emptied, if that can be done at once.
    High,
    /// The place has to be emptied.
    Full,
}

/// What came of writing down a validation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pushed {
    pub(super) fill: Fill,
    /// It is one of those that are recorded singly.
    pub(super) sampled: bool,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| Place::default()).collect() }
    }

    /// Writes down a validation. Of those with a `sample_ppm`, that many of a million are sampled.
    pub(super) fn push(&self, one: Use, sample_ppm: u32) -> Pushed {
        let mut buffer = self.own();
        buffer.uses.push(one);
        let sampled = sample_ppm > 0 && buffer.draw() < sample_ppm;
        Pushed { fill: fill(buffer.uses.len()), sampled }
    }

    /// Writes down the use of a management key. What repeats takes no place.
    pub(super) fn push_run(&self, one: Use) -> Fill {
        let mut buffer = self.own();
        match &mut buffer.run {
            Some(run) if run.is_like(&one) => {
                run.at = run.at.max(one.at);
                run.count = run.count.saturating_add(one.count);
            }
            run => {
                let ended = run.replace(one);
                buffer.uses.extend(ended);
            }
        }
        fill(buffer.uses.len())
    }

    /// Empties the place of this thread into `spare`, which is empty.
    pub(super) fn empty_own(&self, spare: &mut Vec<Use>) {
        empty(&mut self.own(), spare);
    }

    /// Empties all places, one after the other.
    pub(super) fn empty_all(&self, spare: &mut Vec<Use>, mut take: impl FnMut(&mut Vec<Use>)) {
        for place in &self.places {
            empty(&mut locked(&place.0), spare);
            take(spare);
        }
    }

    fn own(&self) -> MutexGuard<'_, Buffer> {
        locked(&self.places[place_of_thread()].0)
    }
}

impl Buffer {
    /// The next of a sequence that is spread evenly over 0 to 999,999.
    fn draw(&mut self) -> u32 {
        self.drawn = self.drawn.wrapping_add(GOLDEN);
        u32::try_from((u64::from(self.drawn) * 1_000_000) >> 32).expect("less than a million")
    }
}

fn empty(buffer: &mut Buffer, spare: &mut Vec<Use>) {
    std::mem::swap(&mut buffer.uses, spare);
    spare.extend(buffer.run.take());
}

const fn fill(uses: usize) -> Fill {
    match uses {
        0..USES_USUAL => Fill::Low,
        USES_USUAL..USES_MAX => Fill::High,
        _ => Fill::Full,
    }
}

/// A panic while counting would leave a count that is off by one, which is better than none.
fn locked(buffer: &Mutex<Buffer>) -> MutexGuard<'_, Buffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    PLACE.with(|place| {
        if place.get() == usize::MAX {
            place.set(NEXT.fetch_add(1, Ordering::Relaxed) % PLACES);
        }
        place.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sampled_is_the_share_that_was_asked_for_in_any_stretch() {
        let mut buffer = Buffer::default();
        for ppm in [1_000, 50_000, 500_000, 1_000_000] {
            for _ in 0..10 {
                let sampled = (0..10_000).filter(|_| buffer.draw() < ppm).count();
                let expected = ppm as usize / 100;
                assert!(sampled.abs_diff(expected) <= 5, "{ppm}: {sampled}");
            }
            // Every other one, as where two keyspaces take turns.
            let sampled = (0..10_000).filter(|_| (buffer.draw(), buffer.draw()).1 < ppm).count();
            assert!(sampled.abs_diff(ppm as usize / 100) <= 5, "{ppm}: {sampled}");
        }
    }
}
