//! Numbers that the replicated state gives to directory records. A key refers to its keyspace and owner by number,
//! so whatever is deleted and made again under the same name inherits nothing.

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
    };
}

number!(
    /// A tenant's number; never used again.
    TenantNumber
);
number!(
    /// A keyspace's number; never used again.
    KeyspaceNumber
);
number!(
    /// An owner's number; never used again.
    OwnerNumber
);
number!(
    /// A role's number; never used again. Those up to [`crate::BuiltInRole::NUMBER_MAX`] are built in.
    RoleNumber
);
number!(
    /// An identity's number; never used again.
    IdentityNumber
);
number!(
    /// The number of a wrapped key in the keyring; it stands in clear in front of each ciphertext.
    RingNumber
);
