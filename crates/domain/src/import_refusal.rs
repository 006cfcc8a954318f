//! Why a row of an import was refused.

/// Why a row of an import was refused: by itself, where the rest of its batch comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImportRefusal {
    /// A field is not what it must be.
    FieldInvalid,
    /// The keyspace declares no such format, or declares it otherwise by now.
    FormatUnknown,
    /// Neither a digest nor a text.
    MaterialMissing,
    /// The digest is that of no text.
    DigestInvalid,
    /// The text has another shape than its format, or is one of our own.
    ShapeMismatch,
    /// What is shown of the text does not fit it, or shows too much.
    StartInvalid,
    /// An earlier row has the same text or the same id.
    DuplicateInBatch,
    /// The text was imported before, with another id.
    DigestTaken,
    /// The id was imported before, with another text.
    SourceIdTaken,
    /// There is no such owner.
    OwnerNotFound,
    /// The owner is none that the key can have.
    OwnerNotAllowed,
    /// There is no such role.
    RoleNotFound,
    /// The keyspace does not allow the role.
    RoleNotAllowed,
    /// The keyspace does not allow a permission.
    PermissionNotAllowed,
    /// The expiry is not in the future.
    ExpiryPast,
    /// The life asked for is longer than the keyspace's maximum.
    LifetimeTooLong,
    /// The key would end before it begins.
    NotBeforeAfterExpiry,
}

impl ImportRefusal {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::FieldInvalid,
        Self::FormatUnknown,
        Self::MaterialMissing,
        Self::DigestInvalid,
        Self::ShapeMismatch,
        Self::StartInvalid,
        Self::DuplicateInBatch,
        Self::DigestTaken,
        Self::SourceIdTaken,
        Self::OwnerNotFound,
        Self::OwnerNotAllowed,
        Self::RoleNotFound,
        Self::RoleNotAllowed,
        Self::PermissionNotAllowed,
        Self::ExpiryPast,
        Self::LifetimeTooLong,
        Self::NotBeforeAfterExpiry,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FieldInvalid => "FIELD_INVALID",
            Self::FormatUnknown => "FORMAT_UNKNOWN",
            Self::MaterialMissing => "MATERIAL_MISSING",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ShapeMismatch => "SHAPE_MISMATCH",
            Self::StartInvalid => "START_INVALID",
            Self::DuplicateInBatch => "DUPLICATE_IN_BATCH",
            Self::DigestTaken => "DIGEST_TAKEN",
            Self::SourceIdTaken => "SOURCE_ID_TAKEN",
            Self::OwnerNotFound => "OWNER_NOT_FOUND",
            Self::OwnerNotAllowed => "OWNER_NOT_ALLOWED",
            Self::RoleNotFound => "ROLE_NOT_FOUND",
            Self::RoleNotAllowed => "ROLE_NOT_ALLOWED",
            Self::PermissionNotAllowed => "PERMISSION_NOT_ALLOWED",
            Self::ExpiryPast => "EXPIRY_PAST",
            Self::LifetimeTooLong => "LIFETIME_TOO_LONG",
            Self::NotBeforeAfterExpiry => "NOT_BEFORE_AFTER_EXPIRY",
        }
    }

    /// The field of the row that it is about.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::FieldInvalid => "",
            Self::FormatUnknown => "format",
            Self::MaterialMissing => "material",
            Self::DigestInvalid | Self::DigestTaken => "digest",
            Self::ShapeMismatch => "key_text",
            Self::StartInvalid => "start",
            Self::DuplicateInBatch => "keys",
            Self::SourceIdTaken => "source_id",
            Self::OwnerNotFound | Self::OwnerNotAllowed => "owner",
            Self::RoleNotFound | Self::RoleNotAllowed => "roles",
            Self::PermissionNotAllowed => "permissions",
            Self::ExpiryPast | Self::LifetimeTooLong => "expire_time",
            Self::NotBeforeAfterExpiry => "not_before",
        }
    }

    /// Why, for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::FieldInvalid => "the field is not what it must be",
            Self::FormatUnknown => "the keyspace declares no such format",
            Self::MaterialMissing => "either the digest or the key text must be set",
            Self::DigestInvalid => "must be the 32 bytes of a SHA-256 of a key text",
            Self::ShapeMismatch => "the text does not have the shape of the format",
            Self::StartInvalid => "must be how the text begins, complete where the format compares it, and no more",
            Self::DuplicateInBatch => "an earlier row of the batch has the same text or the same source_id",
            Self::DigestTaken => "the text was imported before, with another source_id",
            Self::SourceIdTaken => "the source_id was imported before, with another text",
            Self::OwnerNotFound => "there is no such owner",
            Self::OwnerNotAllowed => "must be an owner of the keyspace's tenant",
            Self::RoleNotFound => "there is no such role",
            Self::RoleNotAllowed => "the keyspace does not allow the role",
            Self::PermissionNotAllowed => "the keyspace does not allow the permission",
            Self::ExpiryPast => "must be in the future",
            Self::LifetimeTooLong => "must be within the maximum_lifetime of the keyspace",
            Self::NotBeforeAfterExpiry => "must be before the key ends",
        }
    }
}
