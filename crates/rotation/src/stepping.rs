//! `CompleteRotation`, `CancelRotation`, `RollBackRotation`, `HoldRotation` and `ResumeRotation`. The first three end a
//! version, so all are confirmed as a revocation is.

use crate::Handlers;
use latchkey_domain::UnixMillis;
use latchkey_link::answers::{self, told, unexpected};
use latchkey_link::{Authorized, Call, Registry, Time, regions, wait_for};
use latchkey_state::{Operation, RotationStep, StepRotation};
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::AwaitedWrite;
use latchkey_wire::time::read_time;
use tonic::Status;

/// What the methods answer.
pub(crate) struct Stepped {
    pub(crate) rotation: v1::Rotation,
    pub(crate) key: v1::Key,
    pub(crate) revision: v1::Revision,
    pub(crate) regions: Vec<v1::RegionStatus>,
    pub(crate) replayed: bool,
}

impl<R: Registry> Handlers<R> {
    pub(crate) async fn step(&self, call: Call<AwaitedWrite<StepRotation>>) -> Result<Stepped, Status> {
        let Call { asked, identity, extensions, .. } = call;
        let by = Time::waiting(&extensions, asked.wait);
        let name = asked.operation.rotation.key.clone();
        let authorized = Authorized::check_issuing(&*self.registry, asked, identity, &name, by).await?;
        let (AwaitedWrite { operation, request, validate_only, wait }, identity) = authorized.into_parts();
        let step = operation.step;
        let operation = Operation::StepRotation(operation);
        if validate_only {
            let command = identity.command(None, operation);
            let (told, revision) = answers::rehearse(&*self.registry, &command, by).await?;
            let Told::Rotation { rotation, key, .. } = told else { return Err(unexpected("a rotation")) };
            return Ok(Stepped { rotation, key, revision: revision.into(), regions: Vec::new(), replayed: false });
        }
        let proposed = self.registry.propose(&identity.command(request, operation), by).await?;
        let (told, revision, replayed) = told(proposed)?;
        let Told::Rotation { rotation, key, bound, .. } = told else { return Err(unexpected("a rotation")) };
        let replicas = wait_for(&*self.registry, wait, revision, bound, by).await;
        let regions = regions(&replicas, retires_at(step, &rotation, &key));
        Ok(Stepped { rotation, key, revision: revision.into(), regions, replayed })
    }
}

/// When the version that the step ends is not accepted any more, where that is still to come: nobody stops before.
fn retires_at(step: RotationStep, rotation: &v1::Rotation, key: &v1::Key) -> Option<UnixMillis> {
    let ended = match step {
        RotationStep::Complete => &rotation.old_version,
        RotationStep::Cancel | RotationStep::RollBack { .. } => &rotation.new_version,
        RotationStep::Hold | RotationStep::Resume => return None,
    };
    let version = key.versions.iter().find(|version| version.name == *ended)?;
    let retiring = version.state() == v1::version::State::Retiring;
    version.retire_time.as_ref().filter(|_| retiring).and_then(|time| read_time(time).ok())
}

macro_rules! answers_as {
    ($($response:ident),+) => {$(
        impl From<Stepped> for v1::$response {
            fn from(stepped: Stepped) -> Self {
                let Stepped { rotation, key, revision, regions, replayed } = stepped;
                Self { rotation: Some(rotation), key: Some(key), revision: Some(revision), regions, replayed }
            }
        }
    )+};
}
answers_as!(
    CompleteRotationResponse,
    CancelRotationResponse,
    RollBackRotationResponse,
    HoldRotationResponse,
    ResumeRotationResponse
);
