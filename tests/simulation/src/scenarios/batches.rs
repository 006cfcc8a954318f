//! Keys that are asked for together.

use super::Scenario;
use super::barrier::{keys_everywhere, led};
use crate::furniture::Furniture;
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_domain::Revision;
use latchkey_domain::planted::Plant;
use latchkey_link::Refusals;
use latchkey_registry::Registry;
use latchkey_transport::{BearerToken, Caller};
use latchkey_validation::{Stop, ValidationFace};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::validation_service_server::ValidationService as _;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::{Request, Status};

/// How long anybody waits.
const WITHIN: Duration = Duration::from_secs(30);

/// How often the key is in the batch.
const ITEMS: usize = 20;

pub(super) const ASKED_TOGETHER: Scenario = Scenario {
    name: "asked-together",
    story: "A key is revoked while a replica is cut off for a moment. A batch asks that replica for the key many times, and \
            once as the caller knows it who revoked it. All of its answers are of one state, which knows the revocation.",
    finds: Plant::TwoSnapshotsInBatch,
    run: asked_together,
};

fn asked_together(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 1)?;
    let leader = led(&mut world)?;
    let behind = world.others(&[leader])[0];
    world.isolate(behind);
    world.call("a revocation", WITHIN, furniture.revoke(leader, 0, Duration::ZERO))?;
    let key = world.history().keys[0].clone();
    let Some(revoked) = key.revoked else { return Err(world.failure("liveness", "a key could not be revoked")) };
    let registry = world.machine(behind).process().expect("it is cut off, and runs");
    let (answer, mut answered) = oneshot::channel();
    let (root, revision) = (world.ground.root().to_owned(), revoked.write.revision);
    world.spawn(async move { drop(answer.send(batch(registry, &root, &key.text, revision).await)) });
    world.pass(Duration::from_millis(100))?;
    world.rejoin(behind);
    let mut results = None;
    world.until(WITHIN, "the batch is answered", |_| {
        results = answered.try_recv().ok();
        results.is_some()
    })?;
    let results = results.expect("just waited for");
    let results = results.map_err(|status| world.failure("liveness", format!("a batch: {status}")))?;
    let one_state = results.windows(2).all(|pair| pair[0] == pair[1]);
    let knows = |result: &Told| result.0 == v1::Outcome::Revoked && result.1 >= revision;
    if results.len() == ITEMS && one_state && results.iter().all(knows) {
        return world.finish();
    }
    let (first, last) = (results.first(), results.last());
    let what = format!("revoked at {revision}; of {} answers the first is {first:?}, the last {last:?}", results.len());
    Err(world.failure("a batch is of one state", what))
}

/// An outcome, and the revision of the state that was read.
type Told = (v1::Outcome, Revision);

/// Asks for one key in all items, in the last one as it was at `revision` or later.
async fn batch(registry: Registry, root: &str, text: &str, revision: Revision) -> Result<Vec<Told>, Status> {
    let (_stop, stopping) = Stop::new();
    let face = ValidationFace::new(registry, Refusals::default(), stopping);
    let known = v1::consistency::AtLeastAsFresh {
        revision: Some(v1::Revision { epoch: revision.epoch, index: revision.index }),
    };
    let known = v1::Consistency { requirement: Some(v1::consistency::Requirement::AtLeastAsFresh(known)) };
    let item = |number: usize| v1::BatchValidateKeysItem {
        id: number.to_string(),
        request: Some(v1::ValidateKeyRequest {
            key_text: text.to_owned(),
            consistency: (number + 1 == ITEMS).then_some(known),
            ..Default::default()
        }),
    };
    let mut request = Request::new(v1::BatchValidateKeysRequest { items: (0..ITEMS).map(item).collect() });
    request.metadata_mut().insert("authorization", format!("Bearer {root}").parse().expect("a key text is ASCII"));
    let mut headers = request.metadata().clone().into_headers();
    request.extensions_mut().insert(Caller { bearer: BearerToken::take(&mut headers), ..Caller::default() });
    let results = face.batch_validate_keys(request).await?.into_inner().results;
    results.into_iter().map(told).collect()
}

fn told(result: v1::ValidateKeyResult) -> Result<Told, Status> {
    match result.result {
        Some(ItemResult::Response(answer)) => {
            let at = answer.checked_at.unwrap_or_default();
            Ok((answer.outcome(), Revision::new(at.epoch, at.index)))
        }
        Some(ItemResult::Error(error)) => Err(Status::new(error.code.into(), error.message)),
        None => Err(Status::internal("a result is an answer or an error")),
    }
}
