//! Which feature level each command needs.

use super::{
    AdvanceRotation, Cut, CutScope, Delete, DriverStep, FEATURE_LEVEL_NEWEST, NewKey, NewRingKey, Operation,
    RotationStep, StepRotation,
};
use crate::rotation::WARNING_LEVEL;

impl Operation {
    /// The lowest feature level that knows it. The first command of a cluster brings the newest: all its replicas are
    /// of one build then.
    #[must_use]
    pub fn feature_level(&self) -> u32 {
        match self {
            Self::Bootstrap(_) => FEATURE_LEVEL_NEWEST,
            Self::SetNodeKey { .. } | Self::RecordCheckpoint { .. } | Self::GiveExpiryNotices(_) => 6,
            Self::RecordBackup(_) | Self::RecordKeptBackups { .. } | Self::BeginAuditLog(_) => 6,
            Self::AdvanceRotation(operation)
                if matches!(**operation, AdvanceRotation { step: DriverStep::Warn(_), .. }) =>
            {
                WARNING_LEVEL
            }
            Self::Delete(Delete { destroy: true, .. } | Delete { number: Some(_), .. }) => 6,
            Self::CreateTenant(operation) if !operation.contacts.is_empty() => 6,
            // That there shall be none, or no sample, is what every build knows.
            Self::UpdateTenant(operation) if operation.changes.is_of_level_6() => 6,
            Self::CreateKeyspace(operation) if operation.settings.is_of_level_6() => 6,
            Self::UpdateKeyspace(operation) if operation.changes.is_of_level_6() => 6,
            Self::RotateRingKey(_)
            | Self::RewrapRingKeys(_)
            | Self::RedigestVersions(_)
            | Self::ResealInners(_)
            | Self::AddRingKey(NewRingKey { kek: Some(_), .. }) => 5,
            Self::ClaimRotations(_)
            | Self::PlanRotations(_)
            | Self::PrepareRotation(_)
            | Self::AdvanceRotation(_)
            | Self::GiveNotices(_)
            | Self::StepRotation(StepRotation { step: RotationStep::Hold | RotationStep::Resume, .. }) => 5,
            Self::RotateKey(operation) if operation.is_of_level_5() => 5,
            Self::CreateKeys(operation) if operation.keys.iter().any(NewKey::is_of_level_5) => 5,
            Self::CreateKeyspace(operation) if operation.settings.is_of_level_5() => 5,
            Self::UpdateKeyspace(operation) if operation.changes.is_of_level_5() => 5,
            Self::UpdateKey(operation) if operation.changes.is_of_level_5() => 5,
            Self::AdmitReplica(_) | Self::StepReplica(_) | Self::BeginEpoch(_) => 4,
            // What an older build reads of these is less than what they say. That no format shall be is what it knows.
            Self::CreateKeyspace(operation) if operation.settings.is_of_level_4() => 4,
            Self::UpdateKeyspace(operation) if operation.changes.is_of_level_4() => 4,
            Self::RecordDenials(_) => 4,
            Self::ImportKeys(operation) if operation.keys.iter().any(|key| !key.also.is_empty()) => 5,
            Self::ImportKeys(_) => 3,
            Self::CreateKeyspace(operation) if operation.settings.is_of_level_3() => 3,
            Self::UpdateKeyspace(operation) if operation.changes.is_of_level_3() => 3,
            Self::CreateKeys(operation) if operation.keys.iter().any(NewKey::is_of_level_2) => 2,
            Self::CreateKeyspace(operation) if operation.settings.is_of_level_2() => 2,
            Self::Cut(Cut { scope: CutScope::Role(_), .. }) => 2,
            Self::AdvanceClock { .. }
            | Self::CreateTenant(_)
            | Self::CreateKeyspace(_)
            | Self::CreateOwner(_)
            | Self::CreateIdentity(_)
            | Self::CreateKeys(_)
            | Self::RevokeKey(_)
            | Self::Cut(_)
            | Self::AddRingKey(_)
            | Self::DropRingKey(_)
            | Self::RaiseFeatureLevel(_) => 1,
            Self::UpdateTenant(_)
            | Self::UpdateKeyspace(_)
            | Self::UpdateOwner(_)
            | Self::CreateRole(_)
            | Self::UpdateRole(_)
            | Self::UpdateIdentity(_)
            | Self::Delete(_)
            | Self::UpdateKey(_)
            | Self::SuspendKey(_)
            | Self::ResumeKey(_)
            | Self::RestrictKey(_)
            | Self::RevokeKeys(_)
            | Self::RotateKey(_)
            | Self::PrepareStandby(_)
            | Self::StepRotation(_)
            | Self::Settle
            | Self::RemoveDead(_)
            | Self::MarkRevoked(_)
            | Self::Trim(_)
            | Self::RecordRefusals(_)
            | Self::RecordExplanation(_) => 2,
        }
    }
}
