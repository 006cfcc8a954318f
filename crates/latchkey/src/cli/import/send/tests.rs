//! The way to the service with faults that a test chooses.

use super::*;
use crate::cli::import::batch::key_of;
use crate::cli::import::row::{Refused, Row};
use std::cell::RefCell;
use tonic_types::ErrorDetails;

/// What becomes of one batch at the service.
#[derive(Clone, Copy)]
enum Fate {
    Answered,
    /// It came in, and nobody heard of it.
    AnswerLost,
    /// The whole batch failed, with this code.
    Failed(Code),
    /// The stream ends.
    Ended,
}

/// A service that keeps what came in by the ids of the requests.
struct Fake {
    fates: RefCell<Vec<Fate>>,
    in_by_id: RefCell<Vec<String>>,
    streams: RefCell<u32>,
}

struct FakeAnswers<'a> {
    fake: &'a Fake,
    requests: mpsc::Receiver<pb::ImportKeysRequest>,
    batch: u64,
}

impl<'a> Way for &'a Fake {
    type Answers = FakeAnswers<'a>;

    async fn open(&self, requests: ReceiverStream<pb::ImportKeysRequest>) -> Result<Self::Answers, Status> {
        *self.streams.borrow_mut() += 1;
        Ok(FakeAnswers { fake: self, requests: requests.into_inner(), batch: 0 })
    }

    fn error(&self, status: &Status) -> CallError {
        CallError::new(Service::Issuance, METHOD, "127.0.0.1:1", status)
    }
}

impl Answers for FakeAnswers<'_> {
    async fn next(&mut self) -> Result<Option<pb::ImportKeysResponse>, Status> {
        let Some(request) = self.requests.recv().await else { return Ok(None) };
        let fate = self.fake.fates.borrow_mut().pop().unwrap_or(Fate::Answered);
        let mut kept = self.fake.in_by_id.borrow_mut();
        let replayed = kept.contains(&request.request_id);
        if matches!(fate, Fate::Answered | Fate::AnswerLost) && !replayed {
            kept.push(request.request_id);
        }
        let batch = self.batch;
        self.batch += 1;
        match fate {
            Fate::Answered => Ok(Some(pb::ImportKeysResponse { batch, replayed, ..pb::ImportKeysResponse::default() })),
            Fate::AnswerLost => Err(Status::unknown("error reading a body from connection")),
            Fate::Ended => Ok(None),
            Fate::Failed(code) => {
                let mut details = ErrorDetails::new();
                details.set_error_info("A_REASON", "latchkey", std::collections::HashMap::new());
                let status = Status::with_error_details(code, "failed", details);
                let error = tonic_types::Status::decode(status.details()).expect("it was encoded");
                Ok(Some(pb::ImportKeysResponse { batch, error: Some(error), ..pb::ImportKeysResponse::default() }))
            }
        }
    }
}

/// So many batches of one row; what was settled, and how often it paused.
#[derive(Default)]
struct Told {
    left: u64,
    begun: u64,
    /// Batches without a good row, by number.
    empty: Vec<u64>,
    /// All batches but the first hold refused rows, as many as can be.
    refusing: bool,
    settled: Vec<u64>,
    pauses: u32,
}

impl Course for Told {
    async fn next(&mut self) -> Result<Option<Batch>, CliError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.begun += 1;
        let mut batch = Batch { read_bytes: self.begun, ..Batch::default() };
        if self.refusing && self.begun > 1 {
            let (text, line) = (String::new(), self.begun);
            let [source_id, field, reason, message] = [text.clone(), text.clone(), text.clone(), text];
            batch.refused = vec![Refused { line, source_id, field, reason, message }; REFUSED_MAX];
        } else if !self.empty.contains(&self.begun) {
            let row = Row { source_id: self.begun.to_string(), ..Row::default() };
            batch.push(self.begun, key_of(row, "x", String::new(), Vec::new()));
        }
        Ok(Some(batch))
    }

    fn settle(&mut self, batch: Batch, _: pb::ImportKeysResponse) -> Result<(), CliError> {
        self.settled.push(batch.read_bytes);
        Ok(())
    }

    fn pause(&mut self, _: &CallError, _: Duration) {
        self.pauses += 1;
    }
}

/// Sends `batches`; `fates` are those of the batches that reach the service, in order.
async fn send(batches: u64, empty: Vec<u64>, fates: &[Fate]) -> (Result<(), CliError>, Told, Fake) {
    let fates = fates.iter().rev().copied().collect();
    let fake = Fake { fates: RefCell::new(fates), in_by_id: RefCell::default(), streams: RefCell::default() };
    let mut told = Told { left: batches, empty, ..Told::default() };
    let patience = Duration::from_secs(30);
    let sending = Sending { way: &&fake, keyspace: "tenants/a/keyspaces/b", validate_only: false, patience };
    let ended = sending.run(&mut told).await;
    (ended, told, fake)
}

#[tokio::test(start_paused = true)]
async fn whatever_is_lost_every_batch_is_in_once_and_settled_in_order() {
    use Fate::{AnswerLost, Answered, Ended, Failed};
    let down = Failed(Code::Unavailable);
    for fates in [
        vec![AnswerLost],
        vec![Answered, AnswerLost, Answered, down],
        vec![Ended, Ended],
        vec![down, Answered, AnswerLost, Ended],
    ] {
        let (ended, told, fake) = send(20, Vec::new(), &fates).await;
        ended.unwrap();
        assert_eq!(told.settled, (1..=20).collect::<Vec<_>>());
        assert_eq!(fake.in_by_id.borrow().len(), 20);
        assert!(told.pauses > 0 && *fake.streams.borrow() == told.pauses + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_batch_is_final_and_so_is_the_end_of_patience() {
    let (ended, told, _) = send(9, Vec::new(), &[Fate::Answered, Fate::Failed(Code::ResourceExhausted)]).await;
    assert_eq!((ended.unwrap_err().exit(), told.settled), (crate::cli::Exit::Failed, vec![1]));
    let (ended, told, _) = send(9, Vec::new(), &[Fate::Failed(Code::Unavailable); 99]).await;
    assert_eq!((ended.unwrap_err().exit(), told.settled.len()), (crate::cli::Exit::Unavailable, 0));
    assert!((5..20).contains(&told.pauses), "{}", told.pauses);
}

#[tokio::test(start_paused = true)]
async fn batches_without_a_good_row_are_settled_and_never_sent() {
    let (ended, told, fake) = send(6, vec![1, 2, 4, 6], &[]).await;
    ended.unwrap();
    // The fourth goes with the third and the sixth with the fifth, whose answers settle both.
    assert_eq!((told.settled, fake.in_by_id.borrow().len()), (vec![1, 2, 4, 6], 2));
    let (ended, told, fake) = send(3, vec![1, 2, 3], &[]).await;
    ended.unwrap();
    assert_eq!((told.settled.len(), *fake.streams.borrow()), (3, 0), "nobody is asked");
}

#[tokio::test(start_paused = true)]
async fn another_run_asks_anew_and_not_for_the_answers_of_the_first() {
    let fake = Fake { fates: RefCell::default(), in_by_id: RefCell::default(), streams: RefCell::default() };
    let patience = Duration::from_secs(30);
    let sending = Sending { way: &&fake, keyspace: "tenants/a/keyspaces/b", validate_only: false, patience };
    for _ in 0..2 {
        sending.run(&mut Told { left: 3, ..Told::default() }).await.unwrap();
    }
    assert_eq!(fake.in_by_id.borrow().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn bad_rows_without_end_wait_for_the_answer_before_them() {
    let fake = Fake { fates: RefCell::default(), in_by_id: RefCell::default(), streams: RefCell::default() };
    let patience = Duration::from_secs(30);
    let sending = Sending { way: &&fake, keyspace: "tenants/a/keyspaces/b", validate_only: false, patience };
    let mut told = Told { left: 5, refusing: true, ..Told::default() };
    sending.run(&mut told).await.unwrap();
    assert_eq!(told.settled, [2, 3, 4, 5], "not all with the first");
}
