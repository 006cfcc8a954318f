//! `StreamValidateKeys`: one answer for each item, in their order.
//!
//! An item is read when the answer before it was taken or there is room for it, so a client that does not read is not
//! read from either: what a stream holds is bounded by [`ANSWERS_PENDING_MAX`] and the window of its connection. Each
//! stream is a task of its own that gives way after as many steps as any other task (tokio's budget counts what it
//! receives and sends), so one that never pauses takes no more than its turn.

use crate::halt::Halt;
use crate::stopping::Stopping;
use crate::validation_service::{ValidationFace, call_error};
use latchkey_transport::Unavailable;
use latchkey_wire::pb::v1;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tonic::{Extensions, Status, Streaming};

/// Answers that wait for a client to read them. Enough to answer on while the client reads, few enough to forget.
const ANSWERS_PENDING_MAX: usize = 16;

type Answer = Result<v1::StreamValidateKeysResponse, Status>;

/// The answers of one stream. Whoever drops it ends the work on it.
#[derive(Debug)]
pub struct Answers {
    ready: mpsc::Receiver<Answer>,
    _work: JoinSet<()>,
}

impl Answers {
    /// Answers `items` until the client has no more, is nobody any more, or the process stops.
    pub(crate) fn begin(
        face: ValidationFace,
        extensions: Extensions,
        items: Streaming<v1::StreamValidateKeysRequest>,
        stopping: Stopping,
    ) -> Self {
        let (answers, ready) = mpsc::channel(ANSWERS_PENDING_MAX);
        let mut work = JoinSet::new();
        work.spawn(async move {
            let Err(end) = answer_all(&face, &extensions, items, stopping, &answers).await else { return };
            // Where nobody reads any more, nobody needs to hear why it ended.
            drop(answers.send(Err(end)).await);
        });
        Self { ready, _work: work }
    }
}

/// # Errors
/// Why the stream ends before the client ended it.
async fn answer_all(
    face: &ValidationFace,
    extensions: &Extensions,
    mut items: Streaming<v1::StreamValidateKeysRequest>,
    mut stopping: Stopping,
    answers: &mpsc::Sender<Answer>,
) -> Result<(), Status> {
    loop {
        let item = tokio::select! {
            biased;
            () = stopping.begun() => return Err(call_error(Halt::Unavailable(Unavailable::Stopping))),
            item = items.message() => item?,
        };
        let Some(item) = item else { return Ok(()) };
        let result = face.item(extensions, &item).await.map_err(call_error)?;
        let answer = v1::StreamValidateKeysResponse { result: Some(result) };
        tokio::select! {
            sent = answers.send(Ok(answer)) => if sent.is_err() { return Ok(()) },
            () = stopping.begun() => return Err(call_error(Halt::Unavailable(Unavailable::Stopping))),
        }
    }
}

impl Stream for Answers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        self.ready.poll_recv(context)
    }
}
