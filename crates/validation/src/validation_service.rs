//! `ValidationService`: from the gate on, a call is answered in one go, from one state.

use crate::answer::Basis;
use crate::consistency::{check, strictest};
use crate::halt::Halt;
use crate::session::{Session, ground_of, require_claim, verdict};
use crate::tally::Tally;
use latchkey_decision::Decision;
use latchkey_registry::{Reader, View};
use latchkey_transport::Deadline;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::validation_service_server::ValidationService;
use latchkey_wire::request::{BatchItem, Consistency, ValidateKey, read_batch_validate_keys, read_validate_key};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Extensions, Request, Response, Status};

/// How long a call may wait that came without a deadline, which happens in tests only: transport gives one.
const WAIT_DEFAULT: Duration = Duration::from_secs(2);

/// Kept back from the wait, so that the answer says what was missing before the deadline says that time ran out.
const ANSWER_MARGIN: Duration = Duration::from_millis(10);

/// The handlers.
#[derive(Clone)]
pub struct ValidationFace {
    reader: Reader,
    tally: Arc<Tally>,
}

impl ValidationFace {
    /// Over the state that `reader` reads.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader, tally: Arc::new(Tally::new()) }
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

    async fn one(&self, request: Request<v1::ValidateKeyRequest>) -> Result<v1::ValidateKeyResponse, Halt> {
        let (_, extensions, message) = request.into_parts();
        let asked = read_validate_key(&message);
        let consistency = asked.as_ref().map_or(Consistency::default(), |asked| asked.consistency);
        let view = self.view(consistency, &extensions).await?;
        let age = || view.age();
        // Who is nobody does not learn what is wrong with his request.
        let session = Session::open(ground_of(&view), &extensions, &age)?;
        session.require_validator()?;
        let asked = asked?;
        let decision = session.decide(&asked)?;
        self.answer(session.basis()?, decision)
    }

    async fn batch(&self, request: Request<v1::BatchValidateKeysRequest>) -> Result<Vec<v1::ValidateKeyResult>, Halt> {
        let (_, extensions, message) = request.into_parts();
        let items = read_batch_validate_keys(&message);
        let epoch = self.reader.now()?.state().revision().epoch;
        let readable = items.iter().flatten().filter_map(|item| item.request.as_ref().ok());
        let consistency = strictest(epoch, readable.map(|asked| asked.consistency));
        let view = self.view(consistency, &extensions).await?;
        let age = || view.age();
        let session = Session::open(ground_of(&view), &extensions, &age)?;
        session.require_validator()?;
        let items = items?;
        let decided: Vec<_> = items.iter().map(|item| decide_item(session, item, &view)).collect();
        // Once for all: no answer leaves before the last one is decided.
        let basis = session.basis()?;
        let results = items.iter().zip(decided).map(|(item, decided)| {
            let answer = decided.and_then(|decision| self.answer(basis, decision));
            let result = answer.map_or_else(|halt| ItemResult::Error(item_error(halt)), ItemResult::Response);
            v1::ValidateKeyResult { id: item.id.to_owned(), result: Some(result) }
        });
        Ok(results.collect())
    }

    fn answer(&self, basis: Basis<'_>, decision: Decision<'_>) -> Result<v1::ValidateKeyResponse, Halt> {
        let verdict = verdict(decision, basis.age)?;
        self.tally.count(verdict.outcome());
        Ok(basis.answer(verdict))
    }
}

fn decide_item<'a>(session: Session<'a>, item: &'a BatchItem<'a>, view: &View) -> Result<Decision<'a>, Halt> {
    let asked: &ValidateKey<'a> = item.request.as_ref().map_err(|violations| Halt::from(violations.clone()))?;
    check(asked.consistency, view.state().revision())?;
    session.decide(asked)
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

fn call_error(halt: Halt) -> Status {
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
}
