//! Batches over one stream, several in flight; again, under the same ids, after a loss of the way or of the service.

use super::batch::{Batch, REFUSED_MAX};
use crate::cli::api::Api;
use crate::cli::call_error::CallError;
use crate::cli::error::CliError;
use crate::cli::service::Service;
use crate::cli::shared::new_request_id;
use latchkey_wire::pb::v1 as pb;
use prost::Message as _;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

/// Batches whose answers are not here yet. Two keep the way full; the others cover for a slow disk.
const IN_FLIGHT: usize = 4;

/// Without an answer for so long the stream is given up, and another one tried.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Before the second try; doubled for each one after, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The name of the method, for errors.
const METHOD: &str = "ImportKeys";

/// The way to the service.
pub(crate) trait Way {
    type Answers: Answers;
    /// Opens a stream of batches.
    async fn open(&self, requests: ReceiverStream<pb::ImportKeysRequest>) -> Result<Self::Answers, Status>;
    /// What a status of it tells.
    fn error(&self, status: &Status) -> CallError;
}

/// The answers of a stream.
pub(crate) trait Answers {
    /// The next one; `None` at the end.
    async fn next(&mut self) -> Result<Option<pb::ImportKeysResponse>, Status>;
}

impl Way for Api {
    type Answers = Streaming<pb::ImportKeysResponse>;

    async fn open(&self, requests: ReceiverStream<pb::ImportKeysRequest>) -> Result<Self::Answers, Status> {
        self.import_keys(requests).await
    }

    fn error(&self, status: &Status) -> CallError {
        self.error(Service::Issuance, METHOD, status)
    }
}

impl Answers for Streaming<pb::ImportKeysResponse> {
    async fn next(&mut self) -> Result<Option<pb::ImportKeysResponse>, Status> {
        self.message().await
    }
}

/// What batches are sent for.
pub(crate) struct Sending<'a, W> {
    pub(crate) way: &'a W,
    /// The keyspace, in full.
    pub(crate) keyspace: &'a str,
    pub(crate) validate_only: bool,
    /// How long nothing may go forward.
    pub(crate) patience: Duration,
}

/// Why a stream ended before all was answered.
enum Lost {
    /// Nothing was decided: the same batches may be sent again.
    ForNow(CallError),
    /// Sending again would change nothing.
    ForGood(CliError),
}

/// What a sender works with: batches come in, settled ones go out, and a pause is told.
pub(crate) trait Course {
    /// The next batch, ready to go out; `None` at the end.
    async fn next(&mut self) -> Result<Option<Batch>, CliError>;
    /// A batch was answered. They come in the order of the file.
    fn settle(&mut self, batch: Batch, answer: pb::ImportKeysResponse) -> Result<(), CliError>;
    /// It will be tried again after this pause.
    fn pause(&mut self, error: &CallError, pause: Duration);
}

impl<W: Way> Sending<'_, W> {
    /// Sends until the course has no more batches and each was answered.
    ///
    /// # Errors
    /// [`CliError`]: a refusal of a whole batch, or nothing went forward for as long as patience lasts.
    pub(crate) async fn run(&self, course: &mut impl Course) -> Result<(), CliError> {
        let (mut window, run) = (VecDeque::new(), new_request_id());
        let (mut forward, mut pause) = (Instant::now(), PAUSE);
        loop {
            let before = forward;
            let error = match self.stream(&run, course, &mut window, &mut forward).await {
                Ok(()) => return Ok(()),
                Err(Lost::ForGood(error)) => return Err(error),
                Err(Lost::ForNow(error)) => error,
            };
            if forward != before {
                pause = PAUSE;
            }
            if forward.elapsed() + pause > self.patience {
                return Err(CliError::Call(Box::new(error)));
            }
            course.pause(&error, pause);
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One stream. `window` holds what was sent on it or on an earlier one and is not settled.
    async fn stream(
        &self,
        run: &str,
        course: &mut impl Course,
        window: &mut VecDeque<Batch>,
        forward: &mut Instant,
    ) -> Result<(), Lost> {
        let (outgoing, requests) = mpsc::channel(IN_FLIGHT);
        for batch in &*window {
            self.put(run, &outgoing, batch);
        }
        let mut ended = fill(self, run, course, window, &outgoing).await?;
        if window.is_empty() {
            return Ok(());
        }
        let opening = timeout(STALL_MAX, self.way.open(ReceiverStream::new(requests))).await;
        let mut answers = opening.unwrap_or_else(|_| Err(stalled())).map_err(|status| self.lost(&status))?;
        let mut answered = 0;
        while !window.is_empty() {
            let message = timeout(STALL_MAX, answers.next()).await.unwrap_or_else(|_| Err(stalled()));
            let Some(answer) = message.map_err(|status| self.lost(&status))? else {
                return Err(self.lost(&Status::unavailable("the stream ended before its answers")));
            };
            if let Some(error) = &answer.error {
                let code = Code::from(error.code);
                let status = Status::with_details(code, error.message.clone(), error.encode_to_vec().into());
                return Err(self.lost(&status));
            }
            if answer.batch != answered {
                let what = format!("answer {} where {answered} was expected", answer.batch);
                return Err(Lost::ForGood(CliError::Other(what.into())));
            }
            answered += 1;
            let batch = window.pop_front().expect("somebody was answered");
            course.settle(batch, answer).map_err(Lost::ForGood)?;
            *forward = Instant::now();
            if !ended {
                ended = fill(self, run, course, window, &outgoing).await?;
            }
        }
        // Told that nothing more comes, the service ends the stream in peace.
        drop(outgoing);
        let _ = timeout(PAUSE, answers.next()).await;
        Ok(())
    }

    fn put(&self, run: &str, outgoing: &mpsc::Sender<pb::ImportKeysRequest>, batch: &Batch) {
        let request = batch.request(self.keyspace, run, self.validate_only);
        // There is room for as many as may be in flight; where nobody takes them any more, the answers end and say so.
        let _ = outgoing.try_send(request);
    }

    fn lost(&self, status: &Status) -> Lost {
        let error = self.way.error(status);
        // What nobody of ours said came of the way: whether it was done the next try finds out.
        let ours = status.get_details_error_info().is_some();
        let on_the_way = !ours && matches!(error.code(), Code::Unknown | Code::Internal | Code::Cancelled);
        let undecided = matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded);
        if on_the_way || undecided { Lost::ForNow(error) } else { Lost::ForGood(CliError::Call(Box::new(error))) }
    }
}

/// Sends as many as may be in flight; whether the course has ended.
async fn fill<W: Way>(
    sending: &Sending<'_, W>,
    run: &str,
    course: &mut impl Course,
    window: &mut VecDeque<Batch>,
    outgoing: &mpsc::Sender<pb::ImportKeysRequest>,
) -> Result<bool, Lost> {
    while window.len() < IN_FLIGHT {
        let Some(batch) = course.next().await.map_err(Lost::ForGood)? else { return Ok(true) };
        if batch.keys.is_empty() {
            // Nothing of it goes out. It is settled in its turn, which is now only where nothing is before it.
            if window.is_empty() {
                course.settle(batch, pb::ImportKeysResponse::default()).map_err(Lost::ForGood)?;
                continue;
            }
            let before = window.back_mut().expect("it is not empty");
            before.refused.extend(batch.refused);
            before.read_bytes = batch.read_bytes;
            // However many bad rows follow: what is held is bounded, and answers make room.
            if before.refused.len() >= REFUSED_MAX {
                return Ok(false);
            }
            continue;
        }
        sending.put(run, outgoing, &batch);
        window.push_back(batch);
    }
    Ok(false)
}

fn stalled() -> Status {
    Status::unavailable(format!("no answer within {} s", STALL_MAX.as_secs()))
}

#[cfg(test)]
mod tests;
