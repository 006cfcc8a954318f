//! What a replica hands over at once, by tenant.

use crate::run::CLUSTER;
use latchkey_domain::{KeyId, NodeId, TenantNumber, VersionId};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1::Outcome;
use prost::Message as _;
use std::collections::BTreeMap;

/// A batch of one replica.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who saw it.
    pub node: NodeId,
    /// In which region.
    pub region: String,
    /// In which of its process lives.
    pub incarnation: u64,
    /// Its number in that life, from 1 on.
    pub number: u64,
    /// Since when this process life observes. Milliseconds since 1970.
    pub began_ms: u64,
    /// Before when all is handed over with it. Milliseconds since 1970.
    pub complete_ms: u64,
    /// Requests and lines that are missing in it.
    pub lost: (u64, u64),
    pub(crate) parts: BTreeMap<TenantNumber, Part>,
}

/// What of a batch belongs to one tenant: what is sealed under its key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Part {
    pub(crate) cells: Vec<pb::UsageCell>,
    pub(crate) lines: Vec<pb::AccessRecord>,
    pub(crate) names: Vec<pb::ObservedName>,
}

/// An answer that is no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("replica {node} sent no batch of its own: {what}")]
pub struct BatchError {
    /// Who was asked.
    pub node: u64,
    /// What was expected, and what was found.
    pub what: String,
}

/// One sum of one replica, as it came: for those who count by themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct RawCell {
    /// What tells its batch from all others: node, incarnation, number.
    pub batch: (NodeId, u64, u64),
    /// In which region it was counted.
    pub region: String,
    /// The tenant; the cluster's own have 0.
    pub tenant: TenantNumber,
    /// What the numbers in the cell are called, as far as its batch says.
    pub names: RawNames,
    /// Where it stands among those of its tenant in its batch.
    pub at: u32,
    /// The sums.
    pub cell: pb::UsageCell,
}

/// One line of the access log of one replica, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct RawLine {
    /// What tells its batch from all others: node, incarnation, number.
    pub batch: (NodeId, u64, u64),
    /// In which region it was seen.
    pub region: String,
    /// The tenant; the cluster's own have 0.
    pub tenant: TenantNumber,
    /// What the numbers in the line are called, as far as its batch says.
    pub names: RawNames,
    /// Where it stands among those of its tenant in its batch.
    pub at: u32,
    /// The line.
    pub line: pb::AccessRecord,
}

/// Resource names of what a cell is about. Empty: there is none, or it is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawNames {
    /// The tenant.
    pub tenant: String,
    /// The keyspace.
    pub keyspace: String,
    /// The owner.
    pub owner: String,
}

impl Batch {
    /// Reads an answer of `node`; `None`: nothing is to be taken now.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn read(node: NodeId, answer: pb::TakeObservationsResponse) -> Result<Option<Self>, BatchError> {
        let wrong = |what: String| BatchError { node: node.0, what };
        if answer.node_id != node.0 {
            return Err(wrong(format!("expected node {node}, found {}", answer.node_id)));
        }
        if answer.batch == 0 {
            return Ok(None);
        }
        if answer.region.len() > 255 {
            return Err(wrong(format!("a region has at most 255 bytes, found {}", answer.region.len())));
        }
        let mut parts = BTreeMap::<TenantNumber, Part>::new();
        for cell in answer.cells {
            let well_formed = [&cell.key_id, &cell.version_id].iter().all(|id| id.is_empty() || id.len() == 12);
            if !well_formed {
                return Err(wrong("expected ids of 12 bytes".to_owned()));
            }
            parts.entry(TenantNumber(cell.tenant)).or_default().cells.push(cell);
        }
        for line in answer.records {
            parts.entry(line.tenant.map_or(CLUSTER, TenantNumber)).or_default().lines.push(line);
        }
        for name in answer.names {
            parts.entry(TenantNumber(name.tenant)).or_default().names.push(name);
        }
        Ok(Some(Self {
            node,
            region: answer.region,
            incarnation: answer.incarnation,
            number: answer.batch,
            began_ms: answer.began_unix_ms,
            complete_ms: answer.complete_until_unix_ms,
            lost: (answer.lost_requests, answer.lost_records),
            parts,
        }))
    }

    /// Whose observations are in it.
    pub fn tenants(&self) -> impl Iterator<Item = TenantNumber> {
        self.parts.keys().copied()
    }

    /// Its sums and lines, one by one, as whoever counts by himself takes them.
    pub(crate) fn raw(self) -> (Vec<RawCell>, Vec<RawLine>) {
        let (mut cells, mut lines) = (Vec::new(), Vec::new());
        let Self { node, region, incarnation, number, parts, .. } = self;
        let batch = (node, incarnation, number);
        for (tenant, part) in parts {
            use pb::observed_name::Kind;
            let named: BTreeMap<_, _> =
                part.names.iter().map(|name| ((name.kind, name.number), name.name.as_str())).collect();
            let name = |kind: Kind, number: Option<u32>| {
                let name = number.and_then(|number| named.get(&(kind.into(), number)));
                name.copied().unwrap_or_default().to_owned()
            };
            let names = |keyspace, owner| RawNames {
                tenant: name(Kind::Tenant, Some(tenant.0)),
                keyspace: name(Kind::Keyspace, keyspace),
                owner: name(Kind::Owner, owner),
            };
            for (at, cell) in (0..).zip(part.cells) {
                let names = names(cell.keyspace, cell.owner);
                cells.push(RawCell { batch, region: region.clone(), tenant, names, at, cell });
            }
            for (at, line) in (0..).zip(part.lines) {
                let names = names(line.keyspace, None);
                lines.push(RawLine { batch, region: region.clone(), tenant, names, at, line });
            }
        }
        (cells, lines)
    }
}

impl Part {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { cells, lines, names } = self.clone();
        pb::TakeObservationsResponse { cells, records: lines, names, ..Default::default() }.encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let pb::TakeObservationsResponse { cells, records, names, .. } =
            pb::TakeObservationsResponse::decode(bytes).ok()?;
        Some(Self { cells, lines: records, names })
    }
}

/// The key and version of a cell or line; `None`: no key was found.
pub(crate) fn ids(key: &[u8], version: &[u8]) -> Option<(KeyId, VersionId)> {
    Some((KeyId::from_bytes(key.try_into().ok()?)?, VersionId::from_bytes(version.try_into().ok()?)?))
}

/// The word of an outcome; one that a newer replica knows has its number.
pub(crate) fn outcome_word(number: i32) -> String {
    let known = Outcome::try_from(number).ok();
    known.map_or_else(|| number.to_string(), |outcome| outcome.as_str_name().trim_start_matches("OUTCOME_").to_owned())
}
