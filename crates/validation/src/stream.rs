//! `StreamValidateKeys`: one answer for each item, in their order.
//!
//! An item is read when the answer before it was taken or there is room for it, so a client that does not read is not
//! read from either: what a stream holds is bounded by [`ANSWERS_PENDING_MAX`] and the window of its connection. Each
//! stream is a task of its own that gives way after as many steps as any other task (tokio's budget counts what it
//! receives and sends), so one that never pauses takes no more than its turn. A stream that rests proves its caller all the
//! same: whoever holds a key that was revoked holds no place by it.

use crate::halt::Halt;
use crate::stopping::Stopping;
use crate::validation_service::{ValidationFace, call_error};
use latchkey_transport::Unavailable;
use latchkey_wire::pb::v1;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::Stream;
use tonic::{Extensions, Status, Streaming};

/// Answers that wait for a client to read them. Enough to answer on while the client reads, few enough to forget.
const ANSWERS_PENDING_MAX: usize = 16;

/// How often a stream that rests is asked who its caller is. Each item asks by itself.
const PROOF_INTERVAL: Duration = Duration::from_secs(2);

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
        let Some(item) = rest(face, extensions, &mut stopping, items.message()).await?? else { return Ok(()) };
        let result = face.item(extensions, &item).await.map_err(call_error)?;
        let answer = v1::StreamValidateKeysResponse { result: Some(result) };
        if rest(face, extensions, &mut stopping, answers.send(Ok(answer))).await?.is_err() {
            return Ok(());
        }
    }
}

/// Waits for what the client has to do.
///
/// # Errors
/// What ends the stream meanwhile: the process stops, or the caller is nobody any more.
async fn rest<T>(
    face: &ValidationFace,
    extensions: &Extensions,
    stopping: &mut Stopping,
    done: impl Future<Output = T>,
) -> Result<T, Status> {
    let mut done = pin!(done);
    loop {
        tokio::select! {
            biased;
            () = stopping.begun() => return Err(call_error(Halt::Unavailable(Unavailable::Stopping))),
            done = &mut done => return Ok(done),
            () = sleep(PROOF_INTERVAL) => face.still_admits(extensions).map_err(call_error)?,
        }
    }
}

impl Stream for Answers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        self.ready.poll_recv(context)
    }
}
