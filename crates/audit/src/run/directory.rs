//! The directory of a run: its note, and where the section of each tenant stands.

use super::codec::{Taker, put, put_bytes};
use latchkey_domain::TenantNumber;

/// One tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) number: TenantNumber,
    pub(super) items: u64,
    /// Where its section stands.
    pub(super) offset: u64,
    pub(super) length: usize,
}

/// All tenants, by number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) prefix_bytes: usize,
    pub(super) note: Vec<u8>,
    pub(super) tenants: Vec<Tenant>,
}

impl Directory {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.prefix_bytes as u64);
        put_bytes(&mut out, &self.note);
        for tenant in &self.tenants {
            put(&mut out, u64::from(tenant.number.0));
            put(&mut out, tenant.items);
            put(&mut out, tenant.offset);
            put(&mut out, tenant.length as u64);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut taker = Taker(bytes);
        let (prefix_bytes, note) = (taker.length()?, taker.bytes()?.to_vec());
        let mut tenants = Vec::new();
        while !taker.is_empty() {
            let number = TenantNumber(taker.number()?.try_into().ok()?);
            tenants.push(Tenant { number, items: taker.number()?, offset: taker.number()?, length: taker.length()? });
        }
        tenants.is_sorted_by(|one, two| one.number < two.number).then_some(Self { prefix_bytes, note, tenants })
    }

    pub(super) fn tenant(&self, number: TenantNumber) -> Option<&Tenant> {
        let at = self.tenants.binary_search_by_key(&number, |tenant| tenant.number).ok()?;
        self.tenants.get(at)
    }
}
