//! Commands of whoever drives rotations.

use super::read_text;
use super::rotation::{read_new_version, write_new_version};
use crate::disk::{DecodeError, fixed, parsed, required, rotation_id, span, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{DisplayName, KeyName, Network, RotationName, UnixMillis};
use latchkey_state::{
    AdvanceRotation, Caller, ClaimRotations, DriverStep, Evidence, GiveNotices, PlanRotations, PlannedRotation,
    PrepareRotation,
};

pub(super) fn write_claim(operation: ClaimRotations) -> disk::ClaimRotations {
    disk::ClaimRotations { holder: operation.holder.to_vec(), life_ms: operation.life.millis() }
}

pub(super) fn read_claim(operation: &disk::ClaimRotations) -> Result<ClaimRotations, DecodeError> {
    Ok(ClaimRotations { holder: fixed(&operation.holder, "holder")?, life: span(operation.life_ms, "life")? })
}

pub(super) fn write_plan(operation: &PlanRotations) -> disk::PlanRotations {
    let plan = |plan: &PlannedRotation| disk::PlannedRotation {
        key: plan.key.to_string(),
        rotation_id: plan.rotation.bytes().to_vec(),
        phase: plan.phase.into(),
        starts_at_unix_ms: plan.starts_at.map(UnixMillis::millis),
    };
    disk::PlanRotations { fence: operation.fence, plans: operation.plans.iter().map(plan).collect() }
}

pub(super) fn read_plan(operation: &disk::PlanRotations) -> Result<PlanRotations, DecodeError> {
    let plan = |plan: &disk::PlannedRotation| {
        Ok(PlannedRotation {
            key: parsed(KeyName::parse(&plan.key), "plan.key")?,
            rotation: rotation_id(&plan.rotation_id, "plan.rotation_id")?,
            phase: parsed(u8::try_from(plan.phase), "plan.phase")?,
            starts_at: plan.starts_at_unix_ms.map(|millis| time(millis, "plan.starts_at")).transpose()?,
        })
    };
    let plans = operation.plans.iter().map(plan).collect::<Result<_, DecodeError>>()?;
    Ok(PlanRotations { fence: operation.fence, plans })
}

pub(super) fn write_prepare(operation: &PrepareRotation) -> disk::PrepareRotation {
    disk::PrepareRotation {
        fence: operation.fence,
        rotation: operation.rotation.to_string(),
        new_version: Some(write_new_version(&operation.new)),
        replaces_version_id: operation.replaces.map(|version| version.bytes().to_vec()),
        replay: operation.replay.to_vec(),
    }
}

pub(super) fn read_prepare(operation: &disk::PrepareRotation) -> Result<PrepareRotation, DecodeError> {
    let replaces = operation.replaces_version_id.as_deref().map(|id| version_id(id, "replaces"));
    Ok(PrepareRotation {
        fence: operation.fence,
        rotation: parsed(RotationName::parse(&operation.rotation), "rotation")?,
        new: read_new_version(operation.new_version.as_ref())?,
        replaces: replaces.transpose()?,
        replay: operation.replay.as_slice().into(),
    })
}

pub(super) fn write_advance(operation: &AdvanceRotation) -> disk::AdvanceRotation {
    use disk::advance_rotation::{Deliver, Fail, Hold, Plain, Step};
    let step = match &operation.step {
        DriverStep::Deliver { sealed } => Step::Deliver(Deliver { sealed: sealed.as_deref().map(<[u8]>::to_vec) }),
        DriverStep::Activate => Step::Activate(Plain {}),
        DriverStep::Verify => Step::Verify(Plain {}),
        DriverStep::BeginOverlap => Step::BeginOverlap(Plain {}),
        DriverStep::Retire(evidence) => Step::Retire(write_evidence(evidence)),
        DriverStep::Hold { cause, text, evidence } => Step::Hold(Hold {
            cause: disk::HoldCause::from(*cause).into(),
            text: text.to_string(),
            evidence: evidence.as_ref().map(write_evidence),
        }),
        DriverStep::Warn(evidence) => Step::Warn(write_evidence(evidence)),
        DriverStep::Fail { text } => Step::Fail(Fail { text: text.to_string() }),
    };
    disk::AdvanceRotation {
        fence: operation.fence,
        rotation: operation.rotation.to_string(),
        version_id: operation.version.map(|version| version.bytes().to_vec()),
        step: Some(step),
    }
}

pub(super) fn read_advance(operation: &disk::AdvanceRotation) -> Result<AdvanceRotation, DecodeError> {
    use disk::advance_rotation::{Deliver, Fail, Hold, Plain, Step};
    let step = match required(operation.step.as_ref(), "step")? {
        Step::Deliver(Deliver { sealed }) => DriverStep::Deliver { sealed: sealed.as_deref().map(Into::into) },
        Step::Activate(Plain {}) => DriverStep::Activate,
        Step::Verify(Plain {}) => DriverStep::Verify,
        Step::BeginOverlap(Plain {}) => DriverStep::BeginOverlap,
        Step::Retire(evidence) => DriverStep::Retire(read_evidence(evidence)?),
        Step::Hold(Hold { cause, text, evidence }) => DriverStep::Hold {
            cause: parsed(words::disk_hold_cause(*cause), "hold.cause")?,
            text: read_text(text)?,
            evidence: evidence.as_ref().map(read_evidence).transpose()?,
        },
        Step::Warn(evidence) => DriverStep::Warn(read_evidence(evidence)?),
        Step::Fail(Fail { text }) => DriverStep::Fail { text: read_text(text)? },
    };
    Ok(AdvanceRotation {
        fence: operation.fence,
        rotation: parsed(RotationName::parse(&operation.rotation), "rotation")?,
        version: operation.version_id.as_deref().map(|id| version_id(id, "version_id")).transpose()?,
        step,
    })
}

fn write_evidence(evidence: &Evidence) -> disk::Evidence {
    let caller = |caller: &Caller| disk::Caller {
        network: caller.network.as_ref().map(ToString::to_string),
        user_agent: caller.user_agent.to_string(),
        last_used_unix_ms: caller.last_used.millis(),
        count: caller.count,
    };
    disk::Evidence {
        old_last_used_unix_ms: evidence.old_last_used.map(UnixMillis::millis),
        new_first_used_unix_ms: evidence.new_first_used.map(UnixMillis::millis),
        watched_since_unix_ms: evidence.watched_since.millis(),
        callers: evidence.callers.iter().map(caller).collect(),
    }
}

fn read_evidence(evidence: &disk::Evidence) -> Result<Evidence, DecodeError> {
    let at = |millis: Option<u64>, field| millis.map(|millis| time(millis, field)).transpose();
    let caller = |caller: &disk::Caller| {
        let network = caller.network.as_deref().map(|network| parsed(Network::parse(network), "caller.network"));
        Ok(Caller {
            network: network.transpose()?,
            user_agent: parsed(DisplayName::parse(&caller.user_agent), "caller.user_agent")?,
            last_used: time(caller.last_used_unix_ms, "caller.last_used")?,
            count: caller.count,
        })
    };
    Ok(Evidence {
        old_last_used: at(evidence.old_last_used_unix_ms, "evidence.old_last_used")?,
        new_first_used: at(evidence.new_first_used_unix_ms, "evidence.new_first_used")?,
        watched_since: time(evidence.watched_since_unix_ms, "evidence.watched_since")?,
        callers: evidence.callers.iter().map(caller).collect::<Result<_, DecodeError>>()?,
    })
}

pub(super) fn write_notices(operation: &GiveNotices) -> disk::GiveNotices {
    disk::GiveNotices { fence: operation.fence, keys: operation.keys.iter().map(ToString::to_string).collect() }
}

pub(super) fn read_notices(operation: &disk::GiveNotices) -> Result<GiveNotices, DecodeError> {
    let keys = operation.keys.iter().map(|key| parsed(KeyName::parse(key), "key"));
    Ok(GiveNotices { fence: operation.fence, keys: keys.collect::<Result<_, _>>()? })
}
