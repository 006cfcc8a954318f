//! What a sealed record is bound to: it opens in its own place and nowhere else.
use alloc::vec::Vec;
use latchkey_domain::{ClusterId, RingNumber, TenantNumber};

/// The place of a sealed record. Not stored with it: whoever opens must know where it looked.
///
/// There is no revision and no epoch in it, since sealing happens before there is a revision and a restored cluster
/// must read its records; that a row is not an older one of itself is the state hash's affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// The cluster, for ever the same.
    pub cluster: ClusterId,
    /// The tenant that the record belongs to; 0 where it belongs to the cluster.
    pub tenant: TenantNumber,
    /// The record's own key among the records of this field, such as a version id.
    pub record: &'a [u8],
    /// Which part of the record this is.
    pub field: Field,
    /// The version of the plaintext's encoding.
    pub schema: u16,
}

/// Which part of a record is sealed. The numbers are at rest and declared only here, so that no two parts share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field(u8);

impl Field {
    /// A key, wrapped by another.
    pub const WRAPPED_KEY: Self = Self(1);
    /// A command in the raft log.
    pub const COMMAND: Self = Self(2);
    /// A row of the replicated state.
    pub const ROW: Self = Self(3);
    /// The inner hash of a version's secret.
    pub const INNER: Self = Self(4);
    /// A key text that a retry may get again.
    pub const REPLAY: Self = Self(5);
    /// An audit entry.
    pub const ENTRY: Self = Self(6);
    /// A frame of a snapshot file.
    pub const SNAPSHOT_FRAME: Self = Self(7);
    /// A page token, which the caller carries and cannot read.
    pub const PAGE_TOKEN: Self = Self(8);
    /// A part of a sorted run of the audit service.
    pub const RUN: Self = Self(9);
}

impl Context<'_> {
    /// `suite || ring number || cluster || tenant || field || schema || length of record u32 BE || record || tail`.
    ///
    /// All but the record have fixed widths and the record says its length, so two contexts never encode alike.
    pub(super) fn encode(&self, suite: u8, number: RingNumber, tail: &[u8]) -> Vec<u8> {
        let record_bytes = u32::try_from(self.record.len()).expect("a record's key is shorter than 4 GiB");
        let mut encoded = Vec::with_capacity(32 + self.record.len() + tail.len());
        encoded.push(suite);
        encoded.extend_from_slice(&number.0.to_be_bytes());
        encoded.extend_from_slice(&self.cluster.0);
        encoded.extend_from_slice(&self.tenant.0.to_be_bytes());
        encoded.push(self.field.0);
        encoded.extend_from_slice(&self.schema.to_be_bytes());
        encoded.extend_from_slice(&record_bytes.to_be_bytes());
        encoded.extend_from_slice(self.record);
        encoded.extend_from_slice(tail);
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_context_are_a_contract() {
        let context = Context {
            cluster: ClusterId([0xC1; 16]),
            tenant: TenantNumber(2),
            record: b"row",
            field: Field::ROW,
            schema: 0x0506,
        };
        let mut expected = vec![1, 0, 0, 0, 9];
        expected.extend([0xC1; 16]);
        expected.extend([0, 0, 0, 2, 3, 5, 6, 0, 0, 0, 3]);
        expected.extend(b"rowSALT");
        assert_eq!(context.encode(1, RingNumber(9), b"SALT"), expected);
        assert_eq!(expected.len(), 32 + 3 + 4, "the capacity is exact");
    }
}
