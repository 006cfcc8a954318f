//! The manifest: which runs there are, and what is in them. Replaced as a whole, so that runs and positions change together.
//!
//! ```text
//! "LKOBS" (5) || format (1) || cluster (16) || body || CRC-32 of all before (4)
//! ```
//! It tells numbers, names of regions and of files; nothing of any tenant.

use super::tier::Tier;
use crate::run::codec::{Taker, put, put_bytes};
use latchkey_domain::ClusterId;
use std::collections::BTreeMap;

const MAGIC: &[u8; 5] = b"LKOBS";
const FORMAT: u8 = 1;

/// How far a replica's batches are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The process life whose batches come.
    pub(crate) incarnation: u64,
    /// The last of them that is counted.
    pub(crate) batch: u64,
    /// Before when all of this replica is counted. Milliseconds since 1970.
    pub(crate) complete_ms: u64,
}

/// What was seen and is not counted, since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) requests: u64,
    pub(crate) lines: u64,
    pub(crate) batches: u64,
    pub(crate) restarts: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunEntry {
    pub(crate) tier: Tier,
    pub(crate) part: u32,
    pub(crate) level: u8,
    /// Its number, which is in its file's name. Runs are made in the order of their numbers.
    pub(crate) number: u64,
}

/// What the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The first record of the log that is not in the runs.
    pub(crate) log_from: u64,
    /// The next run's number.
    pub(crate) next_run: u64,
    pub(crate) lost: Lost,
    /// The earliest time of which lines are kept, where the bound of bytes took some away; never later than when it did. Milliseconds since 1970.
    pub(crate) lines_from_ms: u64,
    pub(crate) positions: BTreeMap<u64, Position>,
    /// Regions, by their number in keys of rows.
    pub(crate) regions: Vec<String>,
    pub(crate) runs: Vec<RunEntry>,
}

/// Why a manifest does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It was written by another build.
    Format { found: u8, expected: u8 },
    /// The bytes are not what was written.
    Damaged,
}

impl RunEntry {
    /// The name of its file.
    pub(crate) fn file(&self) -> String {
        format!("{}-{}-{}-{}.run", self.tier.word(), self.part, self.level, self.number)
    }
}

impl Manifest {
    pub(crate) fn encode(&self, cluster: ClusterId) -> Vec<u8> {
        let mut out = [&MAGIC[..], &[FORMAT], &cluster.0].concat();
        let Lost { requests, lines, batches, restarts } = self.lost;
        for number in [self.log_from, self.next_run, requests, lines, batches, restarts, self.lines_from_ms] {
            put(&mut out, number);
        }
        put(&mut out, self.positions.len() as u64);
        for (node, position) in &self.positions {
            for number in [*node, position.incarnation, position.batch, position.complete_ms] {
                put(&mut out, number);
            }
        }
        put(&mut out, self.regions.len() as u64);
        self.regions.iter().for_each(|region| put_bytes(&mut out, region.as_bytes()));
        put(&mut out, self.runs.len() as u64);
        for run in &self.runs {
            put_bytes(&mut out, run.tier.word().as_bytes());
            for number in [u64::from(run.part), u64::from(run.level), run.number] {
                put(&mut out, number);
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend(crc.to_be_bytes());
        out
    }

    /// Reads what [`Self::encode`] wrote, and whose it is.
    ///
    /// # Errors
    /// [`Unread`]: it is anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(ClusterId, Self), Unread> {
        // The format comes first: of another one nothing is known, not even where its CRC stands.
        match bytes.strip_prefix(MAGIC).and_then(<[u8]>::first) {
            Some(found) if *found != FORMAT => Err(Unread::Format { found: *found, expected: FORMAT }),
            _ => Self::decode_body(bytes).ok_or(Unread::Damaged),
        }
    }

    fn decode_body(bytes: &[u8]) -> Option<(ClusterId, Self)> {
        let (body, crc) = bytes.split_last_chunk()?;
        let body = (crc32fast::hash(body) == u32::from_be_bytes(*crc)).then_some(body)?;
        let body = body.strip_prefix(MAGIC)?.strip_prefix(&[FORMAT])?;
        let (cluster, body) = body.split_first_chunk()?;
        let mut taker = Taker(body);
        let mut manifest = Self { log_from: taker.number()?, next_run: taker.number()?, ..Self::default() };
        manifest.lost = Lost {
            requests: taker.number()?,
            lines: taker.number()?,
            batches: taker.number()?,
            restarts: taker.number()?,
        };
        manifest.lines_from_ms = taker.number()?;
        for _ in 0..taker.length()? {
            let node = taker.number()?;
            let position =
                Position { incarnation: taker.number()?, batch: taker.number()?, complete_ms: taker.number()? };
            manifest.positions.insert(node, position);
        }
        for _ in 0..taker.length()? {
            manifest.regions.push(String::from_utf8(taker.bytes()?.to_vec()).ok()?);
        }
        for _ in 0..taker.length()? {
            let word = taker.bytes()?;
            let tier = Tier::ALL.into_iter().find(|tier| tier.word().as_bytes() == word)?;
            manifest.runs.push(RunEntry {
                tier,
                part: u32::try_from(taker.number()?).ok()?,
                level: u8::try_from(taker.number()?).ok()?,
                number: taker.number()?,
            });
        }
        taker.is_empty().then_some((ClusterId(*cluster), manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_as_it_was_written_and_not_when_a_byte_differs() {
        let manifest = Manifest {
            log_from: 7,
            next_run: 900,
            lost: Lost { requests: 1, lines: 2, batches: 3, restarts: 4 },
            lines_from_ms: 5,
            positions: BTreeMap::from([(3, Position { incarnation: u64::MAX, batch: 9, complete_ms: 10 })]),
            regions: vec!["eu".to_owned(), "us".to_owned()],
            runs: vec![RunEntry { tier: Tier::Hours, part: 600, level: 2, number: 11 }],
        };
        let bytes = manifest.encode(ClusterId([1; 16]));
        assert_eq!(Manifest::decode(&bytes), Ok((ClusterId([1; 16]), manifest)));
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let expected = if at == 5 { Unread::Format { found: 0, expected: 1 } } else { Unread::Damaged };
            assert_eq!(Manifest::decode(&altered), Err(expected), "byte {at}");
        }
        assert_eq!(Manifest::decode(&bytes[..3]), Err(Unread::Damaged));
    }
}
