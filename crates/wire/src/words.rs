//! Enums that protobuf, the domain and the state each have under the same names.
//!
//! To protobuf every word has its number. From protobuf `UNSPECIFIED` and unknown numbers are errors, never a default.

use crate::pb::{disk::v1 as disk, internal::v1 as internal, v1};
use latchkey_domain::{
    Duty, HoldCause, ImportAlphabet, ImportDigest, ImportRefusal, Outcome, OverlapStart, Quota, ReplicaRole,
    ResourceKind, RevocationReason, RiskClass, RotationMode, RotationState,
};
use latchkey_state::{DenialStep, EpochOrigin, FollowUp, ReplicaStep};

/// A number that is no word of the enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is none of its values")]
pub(crate) struct UnknownWord {
    /// The number found; 0 is `UNSPECIFIED`.
    pub(crate) found: i32,
}

macro_rules! to_protobuf {
    ($ours:ty => $theirs:ty { $($word:ident),+ $(,)? }) => {
        impl From<$ours> for $theirs {
            fn from(word: $ours) -> Self {
                match word {
                    $(<$ours>::$word => Self::$word,)+
                }
            }
        }
    };
}

macro_rules! both_ways {
    ($ours:ty => $theirs:ty as $reader:ident { $($word:ident),+ $(,)? }) => {
        to_protobuf!($ours => $theirs { $($word),+ });

        /// Reads the number of a field of that enum.
        pub(crate) fn $reader(number: i32) -> Result<$ours, UnknownWord> {
            match <$theirs>::try_from(number) {
                $(Ok(<$theirs>::$word) => Ok(<$ours>::$word),)+
                Ok(<$theirs>::Unspecified) | Err(_) => Err(UnknownWord { found: number }),
            }
        }
    };
}

both_ways!(Duty => v1::Duty as duty { Root, Admin, Issuer, Operator, Auditor, Validator });
both_ways!(Duty => disk::Duty as disk_duty { Root, Admin, Issuer, Operator, Auditor, Validator });
both_ways!(RevocationReason => v1::RevocationReason as revocation_reason {
    Compromised, Superseded, PrivilegeWithdrawn, OwnerLeft, Unused, Other,
});
both_ways!(RevocationReason => disk::RevocationReason as disk_revocation_reason {
    Compromised, Superseded, PrivilegeWithdrawn, OwnerLeft, Unused, Other,
});
both_ways!(ResourceKind => internal::ResourceKind as resource_kind {
    Tenant, Keyspace, Owner, Identity, Key, Version, Role, Rotation, Replica,
});
both_ways!(Quota => internal::Quota as quota {
    KeysOfKeyspace, KeyspacesOfTenant, OwnersOfTenant, IdentitiesOfTenant, Tenants, KeysOfCommand, RememberedRequests,
    RolesOfTenant, VersionsOfKeyspace, VersionsOfKey, MetadataBytesOfKeyspace, WritesPerSecondOfTenant,
    Replicas, LocalDenials,
});
both_ways!(RotationState => v1::rotation::State as rotation_state {
    Planned, Prepared, Delivered, Verified, Overlap, Held, Completed, RolledBack, Cancelled, Failed,
});
both_ways!(RotationState => disk::RotationState as disk_rotation_state {
    Planned, Prepared, Delivered, Verified, Overlap, Held, Completed, RolledBack, Cancelled, Failed,
});
both_ways!(RiskClass => v1::RiskClass as risk_class { High, Moderate, Custom });
both_ways!(RotationMode => v1::RotationMode as rotation_mode { Automatic, Notify });
to_protobuf!(OverlapStart => v1::OverlapStart { AtOnce, FirstUse });
to_protobuf!(HoldCause => v1::rotation::HoldCause { Asked, Delivery, Check, StillUsed, NeverSeen });
both_ways!(RiskClass => disk::RiskClass as disk_risk_class { High, Moderate, Custom });
both_ways!(RotationMode => disk::RotationMode as disk_rotation_mode { Automatic, Notify });
both_ways!(OverlapStart => disk::OverlapStart as disk_overlap_start { AtOnce, FirstUse });
both_ways!(HoldCause => disk::HoldCause as disk_hold_cause { Asked, Delivery, Check, StillUsed, NeverSeen });
both_ways!(ReplicaRole => disk::ReplicaRole as disk_replica_role { Learner, Voter, Leaving, Retired });
both_ways!(ReplicaStep => disk::step_replica::Step as disk_replica_step { Promote, Demote, Remove, Retire, Lead });
both_ways!(EpochOrigin => disk::begin_epoch::Origin as disk_epoch_origin { Backup, Survivor });
both_ways!(FollowUp => disk::local_denial::FollowUp as disk_follow_up { Nothing, Suspend, Revoke });
both_ways!(FollowUp => v1::local_denial::FollowUp as follow_up { Nothing, Suspend, Revoke });
both_ways!(DenialStep => disk::recorded_denial::Step as disk_denial_step { Denied, Allowed });
both_ways!(Outcome => disk::Outcome as disk_outcome {
    Valid, Malformed, NotFound, WrongKeyspace, Revoked, Suspended, NotYetValid, Expired, NetworkNotAllowed,
    MethodNotAllowed, ResourceNotAllowed, InsufficientPermissions,
});
both_ways!(ImportDigest => v1::ImportDigest as import_digest { Sha256OfText, Sha256OfLastPart });
both_ways!(ImportDigest => disk::ImportDigest as disk_import_digest { Sha256OfText, Sha256OfLastPart });
both_ways!(ImportAlphabet => v1::ImportAlphabet as import_alphabet { Alphanumeric, Base58, Hex, Base64Url });
both_ways!(ImportAlphabet => disk::ImportAlphabet as disk_import_alphabet { Alphanumeric, Base58, Hex, Base64Url });
both_ways!(ImportRefusal => disk::ImportRefusal as disk_import_refusal {
    FieldInvalid, FormatUnknown, MaterialMissing, DigestInvalid, ShapeMismatch, StartInvalid, DuplicateInBatch,
    DigestTaken, SourceIdTaken, OwnerNotFound, OwnerNotAllowed, RoleNotFound, RoleNotAllowed, PermissionNotAllowed,
    ExpiryPast, LifetimeTooLong, NotBeforeAfterExpiry,
});
to_protobuf!(ImportRefusal => v1::ImportRefusal {
    FieldInvalid, FormatUnknown, MaterialMissing, DigestInvalid, ShapeMismatch, StartInvalid, DuplicateInBatch,
    DigestTaken, SourceIdTaken, OwnerNotFound, OwnerNotAllowed, RoleNotFound, RoleNotAllowed, PermissionNotAllowed,
    ExpiryPast, LifetimeTooLong, NotBeforeAfterExpiry,
});
to_protobuf!(Outcome => v1::Outcome {
    Valid, Malformed, NotFound, WrongKeyspace, Revoked, Suspended, NotYetValid, Expired, NetworkNotAllowed,
    MethodNotAllowed, ResourceNotAllowed, InsufficientPermissions,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_and_unknown_numbers_are_no_words() {
        for number in [0, -1, 7, 99] {
            assert_eq!(duty(number), Err(UnknownWord { found: number }));
            assert_eq!(disk_duty(number), Err(UnknownWord { found: number }));
        }
        assert!(quota(99).is_err());
    }

    #[test]
    fn every_word_reads_as_it_was_written_and_is_spelled_alike() {
        for word in Duty::ALL {
            assert_eq!(duty(v1::Duty::from(word).into()), Ok(word));
            assert_eq!(disk_duty(disk::Duty::from(word).into()), Ok(word));
            assert_eq!(v1::Duty::from(word).as_str_name(), format!("DUTY_{}", word.as_str().to_uppercase()));
        }
        for word in RevocationReason::ALL {
            assert_eq!(revocation_reason(v1::RevocationReason::from(word).into()), Ok(word));
            assert_eq!(disk_revocation_reason(disk::RevocationReason::from(word).into()), Ok(word));
            assert_eq!(v1::RevocationReason::from(word).as_str_name(), format!("REVOCATION_REASON_{}", word.as_str()));
        }
        for word in ResourceKind::ALL {
            assert_eq!(resource_kind(internal::ResourceKind::from(word).into()), Ok(word));
        }
        for word in Quota::ALL {
            assert_eq!(quota(internal::Quota::from(word).into()), Ok(word));
        }
        for word in RotationState::ALL {
            assert_eq!(rotation_state(v1::rotation::State::from(word).into()), Ok(word));
            assert_eq!(v1::rotation::State::from(word).as_str_name(), format!("STATE_{word}"));
        }
        for word in ImportDigest::ALL {
            assert_eq!(import_digest(v1::ImportDigest::from(word).into()), Ok(word));
            assert_eq!(disk_import_digest(disk::ImportDigest::from(word).into()), Ok(word));
            assert_eq!(v1::ImportDigest::from(word).as_str_name(), format!("IMPORT_DIGEST_{}", word.as_str()));
        }
        for word in ImportAlphabet::ALL {
            assert_eq!(import_alphabet(v1::ImportAlphabet::from(word).into()), Ok(word));
            assert_eq!(disk_import_alphabet(disk::ImportAlphabet::from(word).into()), Ok(word));
            assert_eq!(v1::ImportAlphabet::from(word).as_str_name(), format!("IMPORT_ALPHABET_{}", word.as_str()));
        }
        for word in ImportRefusal::ALL {
            assert_eq!(disk_import_refusal(disk::ImportRefusal::from(word).into()), Ok(word));
            assert_eq!(v1::ImportRefusal::from(word).as_str_name(), format!("IMPORT_REFUSAL_{}", word.as_str()));
        }
        for word in RiskClass::ALL {
            assert_eq!(risk_class(v1::RiskClass::from(word).into()), Ok(word));
            assert_eq!(v1::RiskClass::from(word).as_str_name(), format!("RISK_CLASS_{}", word.as_str()));
        }
        for word in RotationMode::ALL {
            assert_eq!(rotation_mode(v1::RotationMode::from(word).into()), Ok(word));
            assert_eq!(v1::RotationMode::from(word).as_str_name(), format!("ROTATION_MODE_{}", word.as_str()));
        }
        for word in OverlapStart::ALL {
            assert_eq!(v1::OverlapStart::from(word).as_str_name(), format!("OVERLAP_START_{}", word.as_str()));
        }
        for word in HoldCause::ALL {
            assert_eq!(v1::rotation::HoldCause::from(word).as_str_name(), format!("HOLD_CAUSE_{}", word.as_str()));
        }
        for word in Outcome::ALL {
            assert_eq!(v1::Outcome::from(word).as_str_name(), format!("OUTCOME_{}", word.as_str()));
        }
    }
}
