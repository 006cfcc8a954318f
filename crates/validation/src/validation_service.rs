//! `ValidationService`: from the gate on, a call is answered in one go, from one state.

use crate::answer::{Basis, Encoder};
use crate::consistency::{check, strictest};
use crate::halt::Halt;
use crate::session::{Session, ground_of, require_claim, verdict};
use crate::stopping::Stopping;
use crate::stream::Answers;
use crate::tally::Tally;
use crate::usage_reports::{Repeats, report};
use bytes::BytesMut;
use latchkey_decision::{Decision, Explanation};
use latchkey_domain::KeyName;
use latchkey_domain::planted::{self, Plant};
use latchkey_link::answers::told;
use latchkey_link::{ProvenIdentity, Refusals, Time};
use latchkey_registry::{Reader, Registry, View};
use latchkey_state::Operation;
use latchkey_telemetry::trace;
use latchkey_transport::Deadline;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::validation_service_server::ValidationService;
use latchkey_wire::request::{
    BatchItem, Consistency, ExplainValidation, ValidateKey, read_batch_validate_keys, read_explain_validation,
    read_report_usage, read_stream_item, read_validate_key,
};
use latchkey_wire::verdict::write_explanation;
use latchkey_wire::violation::FieldViolations;
use prost::Message as _;
use prost::encoding::message;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// How long a call may wait that came without a deadline, which happens in tests only: transport gives one.
const WAIT_DEFAULT: Duration = Duration::from_secs(2);

/// Kept back from the wait, so that the answer says what was missing before the deadline says that time ran out.
const ANSWER_MARGIN: Duration = Duration::from_millis(10);

/// Methods under which refusals are noted.
const ONE: &str = "ValidationService/ValidateKey";
const BATCH: &str = "ValidationService/BatchValidateKeys";
const STREAM: &str = "ValidationService/StreamValidateKeys";
const EXPLAIN: &str = "ValidationService/ExplainValidation";
const REPORT: &str = "ValidationService/ReportUsage";

/// What one result of a batch takes, most often.
const RESULT_BYTES_USUAL: usize = 320;

/// `BatchValidateKeysResponse.results`.
const RESULTS_TAG: u32 = 1;

/// The handlers.
#[derive(Clone)]
pub struct ValidationFace {
    registry: Registry,
    reader: Reader,
    tally: Arc<Tally>,
    repeats: Arc<Repeats>,
    refusals: Refusals,
    stopping: Stopping,
}

impl ValidationFace {
    /// Over the replica of this process. What it refuses is gathered; streams end when it is about to stop.
    #[must_use]
    pub fn new(registry: Registry, refusals: Refusals, stopping: Stopping) -> Self {
        let reader = registry.reader();
        Self { registry, reader, tally: Arc::new(Tally::new()), repeats: Arc::default(), refusals, stopping }
    }

    /// Refuses whoever validates nowhere, and takes note of it.
    fn require_validator(&self, session: &Session<'_>, method: &'static str) -> Result<(), Halt> {
        session.require_validator().inspect_err(|halt| halt.note(&self.refusals, session, method))
    }

    /// The gate: the only place where a validation waits, and only where its caller asked for it.
    async fn view(&self, consistency: Consistency, extensions: &Extensions) -> Result<View, Halt> {
        if consistency == Consistency::MinimizeLatency {
            return Ok(self.reader.now()?);
        }
        require_claim(extensions)?;
        let left = extensions.get::<Deadline>().map_or(WAIT_DEFAULT, Deadline::remaining);
        Ok(self.reader.view(consistency, left.saturating_sub(ANSWER_MARGIN)).await?)
    }

    /// Whoever opens a stream must be somebody who validates somewhere, as for one key; each item asks again.
    pub(crate) fn admit(&self, extensions: &Extensions) -> Result<(), Halt> {
        let view = self.reader.now()?;
        let age = || view.age();
        self.require_validator(&Session::open_validator(ground_of(&view), extensions, &age, &self.registry)?, STREAM)
    }

    /// Whether an open stream may go on. That this cannot be said now ends none.
    ///
    /// # Errors
    /// Its caller is nobody any more, or validates nowhere.
    pub(crate) fn still_admits(&self, extensions: &Extensions) -> Result<(), Halt> {
        match self.admit(extensions) {
            Ok(()) | Err(Halt::Unavailable(_)) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    /// Answers one item of a stream, on a state of its own.
    ///
    /// # Errors
    /// What ends the stream: its caller is nobody any more, or validates nowhere. What concerns the item is in the
    /// result, that it cannot be said now who calls included.
    pub(crate) async fn item(
        &self,
        extensions: &Extensions,
        item: &v1::StreamValidateKeysRequest,
    ) -> Result<v1::ValidateKeyResult, Halt> {
        let began = Instant::now();
        let BatchItem { id, request } = read_stream_item(item);
        let consistency = request.as_ref().map_or(Consistency::default(), |asked| asked.consistency);
        let answer = match self.view(consistency, extensions).await {
            Ok(view) => self.answer_item(extensions, &view, request, began)?,
            Err(halt) => {
                // What it could not wait for is his to learn only while he is somebody.
                self.still_admits(extensions)?;
                Err(halt)
            }
        };
        Ok(item_result(id, answer))
    }

    fn answer_item(
        &self,
        extensions: &Extensions,
        view: &View,
        asked: Result<ValidateKey<'_>, FieldViolations>,
        began: Instant,
    ) -> Result<Result<v1::ValidateKeyResponse, Halt>, Halt> {
        let age = || view.age();
        let session = match Session::open_validator(ground_of(view), extensions, &age, &self.registry) {
            Ok(session) => session,
            Err(halt @ Halt::Unavailable(_)) => return Ok(Err(halt)),
            Err(halt) => return Err(halt),
        };
        // Who is nobody any more does not learn what is wrong with his item.
        self.require_validator(&session, STREAM)?;
        let asked = match asked {
            Ok(asked) => asked,
            Err(violations) => return Ok(Err(violations.into())),
        };
        let answered = session
            .decide(&asked)
            .and_then(|decision| self.answer(&session, &asked, session.basis()?, decision, began.elapsed()));
        Ok(answered)
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainValidationRequest>,
    ) -> Result<v1::ExplainValidationResponse, Status> {
        let (_, extensions, message) = request.into_parts();
        let asked = read_explain_validation(&message);
        let consistency = asked.as_ref().map_or(Consistency::default(), |asked| asked.request.consistency);
        let view = self.view(consistency, &extensions).await?;
        let (answer, identity, record) = self.explained(&view, &extensions, asked)?;
        // What cannot be audited is not told.
        let (registry, by) = (&self.registry, Time::of(&extensions));
        let proposed = latchkey_link::Registry::propose(registry, &identity.command(None, record), by).await?;
        told(proposed).inspect_err(|status| self.refusals.note(&identity, EXPLAIN, status))?;
        Ok(answer)
    }

    /// What an explanation tells, to whom, and what says in the audit log that it was told.
    fn explained(
        &self,
        view: &View,
        extensions: &Extensions,
        asked: Result<ExplainValidation<'_>, FieldViolations>,
    ) -> Result<(v1::ExplainValidationResponse, ProvenIdentity, Operation), Halt> {
        let age = || view.age();
        let session = Session::open(ground_of(view), extensions, &age, &self.registry)?;
        let require = |keyspace| {
            session.require_operator(keyspace).inspect_err(|halt| halt.note(&self.refusals, &session, EXPLAIN))
        };
        // Who operates nothing does not learn what is wrong with his request.
        require(None)?;
        let ExplainValidation { request, text } = asked?;
        require(request.keyspace.as_ref())?;
        let Explanation { verdict, checks } = session.explain(&request)?;
        let key = verdict
            .named()
            .map(|found| KeyName { keyspace: view.state().keyspace_name(found.keyspace), key: found.key.id });
        let outcome = verdict.outcome();
        let shown = latchkey_wire::resource::View::new(view.state(), view.now());
        let answer = write_explanation(&shown, &Explanation { verdict, checks }, session.basis()?.age);
        let record = latchkey_state::Explanation { key, keyspace: request.keyspace.clone(), outcome, text };
        Ok((answer, session.proven(), Operation::RecordExplanation(record)))
    }

    fn report(&self, request: Request<v1::ReportUsageRequest>) -> Result<v1::ReportUsageResponse, Halt> {
        let (_, extensions, message) = request.into_parts();
        let view = self.reader.now()?;
        let age = || view.age();
        let session = Session::open_validator(ground_of(&view), &extensions, &age, &self.registry)?;
        self.require_validator(&session, REPORT)?;
        // Who validates nowhere does not learn what is wrong with his request.
        let asked = read_report_usage(&message, view.now())?;
        Ok(report(&self.registry, &self.repeats, &session, &asked))
    }

    async fn one(&self, request: Request<v1::ValidateKeyRequest>) -> Result<v1::ValidateKeyResponse, Halt> {
        let (_, extensions, message) = request.into_parts();
        let asked = read_validate_key(&message);
        let consistency = asked.as_ref().map_or(Consistency::default(), |asked| asked.consistency);
        let view = self.view(consistency, &extensions).await?;
        self.one_on(&view, &extensions, asked)
    }

    /// Answers for one key, on this state.
    ///
    /// # Errors
    /// That the call is refused, or cannot be answered now.
    pub(crate) fn one_on(
        &self,
        view: &View,
        extensions: &Extensions,
        asked: Result<ValidateKey<'_>, FieldViolations>,
    ) -> Result<v1::ValidateKeyResponse, Halt> {
        let age = || view.age();
        // Who is nobody does not learn what is wrong with his request.
        let session = Session::open_validator(ground_of(view), extensions, &age, &self.registry)?;
        self.require_validator(&session, ONE)?;
        let asked = asked?;
        let decision = session.decide(&asked)?;
        let answer = self.answer(&session, &asked, session.basis()?, decision, elapsed(extensions))?;
        trace::note("latchkey.tenant", || session.proven().key.keyspace.tenant.to_string());
        trace::note("latchkey.outcome", || answer.outcome().as_str_name().trim_start_matches("OUTCOME_").to_owned());
        Ok(answer)
    }

    async fn batch(&self, request: Request<v1::BatchValidateKeysRequest>) -> Result<Vec<v1::ValidateKeyResult>, Halt> {
        let (_, extensions, message) = request.into_parts();
        let items = read_batch_validate_keys(&message);
        if planted::is(Plant::TwoSnapshotsInBatch) {
            return self.each_for_itself(&extensions, items?).await;
        }
        let epoch = self.reader.now()?.state().revision().epoch;
        let readable = items.iter().flatten().filter_map(|item| item.request.as_ref().ok());
        let consistency = strictest(epoch, readable.map(|asked| asked.consistency));
        let view = self.view(consistency, &extensions).await?;
        let age = || view.age();
        let session = Session::open_validator(ground_of(&view), &extensions, &age, &self.registry)?;
        self.require_validator(&session, BATCH)?;
        let items = items?;
        let decided: Vec<_> = items.iter().map(|item| decide_item(session, item, &view)).collect();
        // Once for all: no answer leaves before the last one is decided.
        let (basis, took) = (session.basis()?, elapsed(&extensions));
        let answer = |item: &BatchItem<'_>, decided: Result<Decision<'_>, Halt>| {
            let asked = item.request.as_ref().map_err(|violations| Halt::from(violations.clone()))?;
            self.answer(&session, asked, basis, decided?, took)
        };
        Ok(items.iter().zip(decided).map(|(item, decided)| item_result(item.id, answer(item, decided))).collect())
    }

    /// The bug [`Plant::TwoSnapshotsInBatch`]: each item waits for itself, and is answered on the state that it finds.
    async fn each_for_itself(
        &self,
        extensions: &Extensions,
        items: Vec<BatchItem<'_>>,
    ) -> Result<Vec<v1::ValidateKeyResult>, Halt> {
        let mut results = Vec::new();
        for BatchItem { id, request } in items {
            let consistency = request.as_ref().map_or(Consistency::default(), |asked| asked.consistency);
            let view = self.view(consistency, extensions).await?;
            results.push(item_result(id, self.answer_item(extensions, &view, request, Instant::now())?));
        }
        Ok(results)
    }

    /// Answers a batch that asks for no more than this state, encoded.
    ///
    /// # Errors
    /// That the call is refused, or cannot be answered now. What concerns an item is in its result.
    pub(crate) fn batch_into(
        &self,
        view: &View,
        extensions: &Extensions,
        items: Result<Vec<BatchItem<'_>>, FieldViolations>,
        results: &mut BytesMut,
    ) -> Result<(), Halt> {
        let age = || view.age();
        let session = Session::open_validator(ground_of(view), extensions, &age, &self.registry)?;
        self.require_validator(&session, BATCH)?;
        let items = items?;
        let decided: Vec<_> = items.iter().map(|item| decide_item(session, item, view)).collect();
        // Once for all: no answer leaves before the last one is decided.
        let (basis, took) = (session.basis()?, elapsed(extensions));
        results.reserve(items.len() * RESULT_BYTES_USUAL);
        let mut encoder = Encoder::default();
        for (item, decided) in items.iter().zip(decided) {
            match decided.and_then(|decision| verdict(decision, basis.age)) {
                Ok(verdict) => {
                    self.tally.count(&verdict);
                    if let Ok(asked) = &item.request {
                        session.observe(asked, &verdict, took);
                    }
                    encoder.push_result(item.id, basis, verdict, results);
                }
                Err(halt) => message::encode(RESULTS_TAG, &item_result(item.id, Err(halt)), results),
            }
        }
        Ok(())
    }

    /// The state as it is.
    ///
    /// # Errors
    /// That it is not loaded.
    pub(crate) fn view_now(&self) -> Result<View, Halt> {
        Ok(self.reader.now()?)
    }

    fn answer(
        &self,
        session: &Session<'_>,
        asked: &ValidateKey<'_>,
        basis: Basis<'_>,
        decision: Decision<'_>,
        took: Duration,
    ) -> Result<v1::ValidateKeyResponse, Halt> {
        let verdict = verdict(decision, basis.age)?;
        self.tally.count(&verdict);
        session.observe(asked, &verdict, took);
        Ok(basis.answer(verdict))
    }
}

/// How long a call has taken, from the head of its request on. One without a deadline has not come over the network.
fn elapsed(extensions: &Extensions) -> Duration {
    extensions.get::<Deadline>().map_or(Duration::ZERO, |deadline| deadline.began().elapsed())
}

fn decide_item<'a>(session: Session<'a>, item: &'a BatchItem<'a>, view: &View) -> Result<Decision<'a>, Halt> {
    let asked: &ValidateKey<'a> = item.request.as_ref().map_err(|violations| Halt::from(violations.clone()))?;
    check(asked.consistency, view.state().revision())?;
    session.decide(asked)
}

fn item_result(id: &str, answer: Result<v1::ValidateKeyResponse, Halt>) -> v1::ValidateKeyResult {
    let result = answer.map_or_else(|halt| ItemResult::Error(item_error(halt)), ItemResult::Response);
    v1::ValidateKeyResult { id: id.to_owned(), result: Some(result) }
}

/// The error of one item: what the whole call would have been answered.
fn item_error(halt: Halt) -> tonic_types::Status {
    Tally::count_halt(&halt);
    let status = Status::from(halt);
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

pub(crate) fn call_error(halt: Halt) -> Status {
    Tally::count_halt(&halt);
    halt.into()
}

#[tonic::async_trait]
impl ValidationService for ValidationFace {
    async fn validate_key(
        &self,
        request: Request<v1::ValidateKeyRequest>,
    ) -> Result<Response<v1::ValidateKeyResponse>, Status> {
        self.one(request).await.map(Response::new).map_err(call_error)
    }

    async fn batch_validate_keys(
        &self,
        request: Request<v1::BatchValidateKeysRequest>,
    ) -> Result<Response<v1::BatchValidateKeysResponse>, Status> {
        let results = self.batch(request).await.map_err(call_error)?;
        Ok(Response::new(v1::BatchValidateKeysResponse { results }))
    }

    type StreamValidateKeysStream = Answers;

    async fn stream_validate_keys(
        &self,
        request: Request<Streaming<v1::StreamValidateKeysRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (_, extensions, items) = request.into_parts();
        self.admit(&extensions).map_err(call_error)?;
        Ok(Response::new(Answers::begin(self.clone(), extensions, items, self.stopping.clone())))
    }

    async fn report_usage(
        &self,
        request: Request<v1::ReportUsageRequest>,
    ) -> Result<Response<v1::ReportUsageResponse>, Status> {
        self.report(request).map(Response::new).map_err(Status::from)
    }

    async fn explain_validation(
        &self,
        request: Request<v1::ExplainValidationRequest>,
    ) -> Result<Response<v1::ExplainValidationResponse>, Status> {
        self.explain(request).await.map(Response::new)
    }
}
