//! Parts: what is sealed, with a CRC that finds what changed where the key is gone too.

use super::keys::SealingKey;
use latchkey_crypto::envelope;
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{ClusterId, TenantNumber};
use latchkey_minting::contexts::RunPlace;
use zeroize::Zeroizing;

/// Which part of a run it is, as its context tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Block = 1,
    Section = 2,
    Directory = 3,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) cluster: ClusterId,
    pub(super) run: [u8; 16],
    pub(super) tenant: TenantNumber,
    pub(super) kind: Kind,
    pub(super) offset: u64,
}

impl Place {
    fn run_place(&self) -> RunPlace {
        RunPlace::new(self.cluster, self.run, self.tenant, self.kind as u8, self.offset)
    }
}

/// The bytes before what is sealed.
pub(super) const HEAD_BYTES: usize = 4 + 4;

pub(super) fn seal(place: &Place, key: &SealingKey, plain: &[u8], entropy: &mut dyn Entropy) -> Vec<u8> {
    let sealed = envelope::seal(&key.key, key.number, &place.run_place().context(), draw(entropy), plain);
    let length = u32::try_from(sealed.len()).expect("an envelope holds at most 64 MiB").to_be_bytes();
    [&length, &crc(place.offset, &length, &sealed).to_be_bytes(), &sealed[..]].concat()
}

/// How many bytes the part takes that begins with `head`.
pub(super) const fn length(head: &[u8; HEAD_BYTES]) -> u64 {
    let [l0, l1, l2, l3, ..] = *head;
    HEAD_BYTES as u64 + u32::from_be_bytes([l0, l1, l2, l3]) as u64
}

/// What is sealed in a part that is whole.
///
/// # Errors
/// What is wrong.
pub(super) fn check(offset: u64, part: &[u8]) -> Result<&[u8], String> {
    let (length, rest) = part.split_first_chunk::<4>().ok_or("a part without a length")?;
    let (expected, sealed) = rest.split_first_chunk().ok_or("a part without a CRC")?;
    let (expected, found) = (u32::from_be_bytes(*expected), crc(offset, length, sealed));
    if found != expected {
        return Err(format!("CRC {found:08x}, expected {expected:08x}"));
    }
    let length = u32::from_be_bytes(*length) as usize;
    if length == sealed.len() { Ok(sealed) } else { Err(format!("{} bytes, expected {length}", sealed.len())) }
}

/// Opens a part.
///
/// # Errors
/// What is wrong.
pub(super) fn open(place: &Place, key: &SealingKey, part: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let sealed = check(place.offset, part)?;
    envelope::open(&key.key, &place.run_place().context(), sealed).map_err(|error| error.to_string())
}

fn crc(offset: u64, length: &[u8; 4], sealed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_be_bytes());
    hasher.update(length);
    hasher.update(sealed);
    hasher.finalize()
}
