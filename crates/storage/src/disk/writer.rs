//! The one thread that makes things durable. Everything that waits shares one flush and one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::desk::Work;
use super::open::panic_text;
use super::shared::Shared;
use super::witness::Witness;
use super::{log, words};
use crate::error::StoreError;
use crate::log::Purged;
use crate::queue::Op;

pub(super) struct Writer {
    shared: Arc<Shared>,
    witness: Witness,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, witness: Witness) -> Self {
        Self { shared, witness }
    }

    /// Works until the store is dropped and nothing waits, or until it cannot go on.
    pub(super) fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| while self.turn() {}));
        if let Err(panic) = outcome {
            self.shared.engine.fatal.trip(&format!("the writer panicked: {}", panic_text(panic.as_ref())));
        }
        self.shared.refuse_all();
    }

    /// One round. False if it was the last.
    fn turn(&mut self) -> bool {
        let Some(Work { ops, promise, chore, written_next }) = self.shared.wait_for_work() else { return false };
        let mut result = Ok(());
        if !ops.is_empty() || promise.is_some() {
            result = self.commit(&ops, promise, written_next);
            for done in ops.into_iter().filter_map(Op::into_done) {
                done(result.clone());
            }
        }
        if let (Ok(()), Some(chore)) = (&result, chore) {
            result = chore.step(&self.shared.engine).map(|finished| {
                if finished {
                    self.shared.lock().chores.pop_front();
                }
            });
        }
        // Damage met while removing is damage all the same: nobody would hear of it later.
        result.inspect_err(|error| drop(self.shared.engine.fatal.trip(&error.to_string()))).is_ok()
    }

    /// Writes, syncs, and only then lets anybody know.
    fn commit(&mut self, ops: &[Op], promise: Option<Purged>, written_next: u64) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let engine = &shared.engine;
        if let Some(promise) = &promise
            && shared.state_durable_through() < Some(promise.through)
            && !shared.eager()
        {
            // The marker must never be on a disk on which the state below it is not.
            self.sync()?;
        }
        let mut batch = sled::Batch::default();
        if let Some(promise) = &promise {
            words::put_purged(&mut batch, promise);
        }
        for op in ops {
            if let Op::SaveWord { word, bytes, .. } = op {
                words::put_word(&mut batch, *word, bytes);
            }
        }
        words::put_syncs(&mut batch, self.witness.seen() + 1);
        engine.apply(&engine.words, batch)?;
        let written_next = self.write_log(ops, written_next)?;
        self.sync()?;
        self.witness
            .see(self.witness.seen() + 1)
            .map_err(|error| engine.fatal.trip(&format!("the witness cannot be written: {error}")))?;
        shared.lock().settle(ops, promise, written_next);
        Ok(())
    }

    fn write_log(&self, ops: &[Op], mut next: u64) -> Result<u64, StoreError> {
        let engine = &self.shared.engine;
        let mut batch = sled::Batch::default();
        for op in ops {
            match op {
                Op::Append { records, .. } => {
                    for record in records {
                        log::put(&mut batch, record);
                        next = record.index + 1;
                    }
                }
                Op::Truncate { from, .. } => {
                    engine.apply(&engine.log, core::mem::take(&mut batch))?;
                    log::truncate(engine, *from, next)?;
                    next = next.min(*from);
                }
                Op::SaveWord { .. } | Op::Sync { .. } => {}
            }
        }
        engine.apply(&engine.log, batch)?;
        Ok(next)
    }

    /// Syncs, and notes how far the state was written before that.
    fn sync(&self) -> Result<(), StoreError> {
        let written = self.shared.state_written.load(Ordering::Acquire);
        self.shared.engine.sync()?;
        self.shared.state_durable.store(written, Ordering::Release);
        Ok(())
    }
}
