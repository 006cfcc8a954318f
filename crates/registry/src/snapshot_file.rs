//! Snapshot files: a header in the clear, then the rows as they lie in the tables, then the entries that nobody has
//! taken. The storage adds and checks a hash over the whole.

use crate::core::Core;
use crate::keyring::Keyring;
use crate::sealing::{OUTBOX_TABLE, RING_TABLE, Sealer, UnsealError};
use crate::types::SnapshotMeta;
use crate::words::{
    WordError, decode, log_id_from_pb, log_id_to_pb, stored_membership_from_pb, stored_membership_to_pb,
};
use bytes::Bytes;
use latchkey_domain::{ClusterId, Revision};
use latchkey_kms::OsEntropy;
use latchkey_state::{LoadError, Loading, Row, RowId, State};
use latchkey_storage::{Encoder, StoreError};
use latchkey_wire::disk::RowReader;
use latchkey_wire::pb::disk::v1 as pb;
use prost::Message;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The format of the frames.
const FORMAT: u32 = 1;

/// No frame is longer: the longest row is a remembered batch of a thousand keys.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// Entries read at once while a snapshot is written.
const ENTRIES_PER_READ: usize = 512;

/// Why a snapshot file is none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It could not be read or written.
    #[error("cannot read or write a snapshot")]
    Io(#[from] io::Error),
    /// The storage refused.
    #[error("cannot read or write a snapshot")]
    Store(#[from] StoreError),
    /// It is not what a snapshot is.
    #[error("this is no snapshot")]
    Word(#[from] WordError),
    /// It is of another format.
    #[error("format {found} of a snapshot, this build reads up to {FORMAT}")]
    Format {
        /// What was found.
        found: u32,
    },
    /// It is of another cluster or epoch.
    #[error("a snapshot of another cluster or epoch")]
    Foreign,
    /// This replica may not install it.
    #[error("this replica is fenced")]
    Fenced,
    /// A row does not open.
    #[error("a row of the snapshot does not open")]
    Unseal(#[from] UnsealError),
    /// The rows do not make up a state.
    #[error("the rows of the snapshot make up no state: {0:?}")]
    Load(LoadError),
}

/// One row of a snapshot file, sealed.
pub(crate) struct Frame {
    pub(crate) table: u8,
    pub(crate) id: Bytes,
    pub(crate) row: Bytes,
}

/// Writes the snapshot of `state` as a whole file, with the storage's frame around it.
pub(crate) fn write(
    core: &Arc<Core>,
    meta: &SnapshotMeta,
    state: &State,
    out: impl Write,
) -> Result<[u8; 32], SnapshotError> {
    let mut out = Encoder::new(io::BufWriter::with_capacity(64 << 10, out))?;
    write_payload(core, meta, state, &mut out)?;
    let (mut inner, hash) = out.finish()?;
    inner.flush()?;
    Ok(hash)
}

/// Writes header and frames. On a thread that may block.
pub(crate) fn write_payload(
    core: &Arc<Core>,
    meta: &SnapshotMeta,
    state: &State,
    out: &mut impl Write,
) -> Result<(), SnapshotError> {
    write_rows(core.cluster(), core.epoch(), &core.sealer, meta, state, out)?;
    // Entries reach the disk with their rows. A state that came from elsewhere brings none.
    match &meta.last_log_id {
        Some(log_id) if log_id.index <= core.state().revision().index => {
            Handle::current().block_on(core.rows.written_through(log_id.index));
        }
        Some(_) | None => return Ok(()),
    }
    let trimmed = state.progress().trimmed.map_or(0, |trimmed| trimmed.next.0);
    let tree = state.progress().tree();
    write_entries(core, tree, trimmed..state.progress().frontier.size(), out)
}

fn write_entries(
    core: &Core,
    tree: (u64, u64),
    sequences: Range<u64>,
    out: &mut impl Write,
) -> Result<(), SnapshotError> {
    let Range { start: mut from, end } = sequences;
    loop {
        let (start, end) = (from.to_be_bytes(), end.to_be_bytes());
        let rows = core.store.read_rows(OUTBOX_TABLE, &start[..]..&end[..], ENTRIES_PER_READ)?;
        // Another log began meanwhile: those are gone, and what is read is of that one.
        let Some(last) = rows.last().filter(|_| core.outbox.tree() == tree) else { return Ok(()) };
        let last = <[u8; 8]>::try_from(&last.key.id[..]).map_err(|_| WordError {
            expected: "a sequence of 8 bytes",
            found: format!("{} bytes", last.key.id.len()),
        })?;
        from = u64::from_be_bytes(last) + 1;
        for row in rows {
            put(out, &pb::SnapshotFrame { table: u32::from(OUTBOX_TABLE), id: row.key.id, row: row.bytes })?;
        }
    }
}

/// Writes header and rows. On a thread that may block.
pub(crate) fn write_rows(
    cluster: ClusterId,
    epoch: u64,
    sealer: &Sealer,
    meta: &SnapshotMeta,
    state: &State,
    out: &mut impl Write,
) -> Result<(), SnapshotError> {
    let header = pb::SnapshotHeader {
        format: FORMAT,
        cluster_id: cluster.0.to_vec(),
        epoch,
        snapshot_id: meta.snapshot_id.clone(),
        last_log_id: meta.last_log_id.as_ref().map(log_id_to_pb),
        membership: Some(stored_membership_to_pb(&meta.last_membership)),
    };
    put(out, &header)?;
    let runtime = Handle::current();
    // The keyring first: whoever reads needs it to open the rest.
    let rows = state.rows().filter(|row| row.id().table() == RING_TABLE);
    for row in rows.chain(state.rows().filter(|row| row.id().table() != RING_TABLE)) {
        let id: RowId = row.id();
        // Only sealing may wait for a key. `out` may block, where it is a stream, which no future is allowed to.
        let sealed = runtime.block_on(sealer.seal_row(state, &row, &mut OsEntropy));
        let sealed = sealed.map_err(UnsealError::Keyring)?;
        put_frame(out, Frame { table: id.table(), id: id.id_bytes().into(), row: sealed.into() })?;
    }
    Ok(())
}

/// Writes one frame.
pub(crate) fn put_frame(out: &mut impl Write, frame: Frame) -> Result<(), SnapshotError> {
    put(out, &pb::SnapshotFrame { table: u32::from(frame.table), id: frame.id, row: frame.row })
}

fn put(out: &mut impl Write, message: &impl Message) -> Result<(), SnapshotError> {
    out.write_all(&message.encode_length_delimited_to_vec())?;
    Ok(())
}

/// The frames of a file whose hash was checked.
pub(crate) struct Frames<R> {
    reader: io::BufReader<R>,
    header: pb::SnapshotHeader,
}

impl<R: Read> Frames<R> {
    pub(crate) fn open(reader: R) -> Result<Self, SnapshotError> {
        let mut reader = io::BufReader::with_capacity(256 << 10, reader);
        let bytes = take(&mut reader)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let header = decode::<pb::SnapshotHeader>("a snapshot header", &bytes)?;
        if header.format != FORMAT {
            return Err(SnapshotError::Format { found: header.format });
        }
        Ok(Self { reader, header })
    }

    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.header.last_log_id.as_ref().map(log_id_from_pb),
            last_membership: self.header.membership.clone().map(stored_membership_from_pb).unwrap_or_default(),
            snapshot_id: self.header.snapshot_id.clone(),
        }
    }

    /// Whether these are the rows of a cluster at a revision.
    pub(crate) fn is_at(&self, cluster: ClusterId, revision: Revision) -> bool {
        let index = self.header.last_log_id.as_ref().map_or(0, |last| last.index);
        self.header.cluster_id[..] == cluster.0 && Revision::new(self.header.epoch, index) == revision
    }

    pub(crate) fn is_of(&self, core: &Core) -> bool {
        self.header.cluster_id[..] == core.cluster().0 && self.header.epoch == core.epoch()
    }
}

impl<R: Read> Iterator for Frames<R> {
    type Item = Result<Frame, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = |bytes: Vec<u8>| {
            let frame = decode::<pb::SnapshotFrame>("a snapshot frame", &bytes)?;
            let table = u8::try_from(frame.table)
                .map_err(|_| WordError { expected: "a table below 256", found: frame.table.to_string() })?;
            Ok(Frame { table, id: frame.id, row: frame.row })
        };
        take(&mut self.reader).transpose().map(|bytes| bytes.and_then(frame))
    }
}

/// The next message with its length in front; `None` at the end.
pub(crate) fn take(reader: &mut impl Read) -> Result<Option<Vec<u8>>, SnapshotError> {
    let mut length = 0_usize;
    for shift in 0..5 {
        let mut byte = [0];
        if reader.read(&mut byte)? == 0 {
            return if shift == 0 { Ok(None) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) };
        }
        length |= usize::from(byte[0] & 0x7F) << (7 * shift);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if length > FRAME_BYTES_MAX {
        let found = format!("{length} bytes");
        return Err(WordError { expected: "a frame of at most 4 MiB", found }.into());
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// The state that a file holds. Adds its keys to the keyring, and needs the KEK.
pub(crate) async fn load<R: Read>(core: &Core, frames: Frames<R>) -> Result<State, SnapshotError> {
    if !frames.is_of(core) {
        return Err(SnapshotError::Foreign);
    }
    load_rows(&core.keyring, &core.sealer, frames).await
}

/// The state that frames hold, opened with the keys among them: these come first, and need the KEK.
pub(crate) async fn load_rows<R: Read>(
    keyring: &Keyring,
    sealer: &Sealer,
    frames: Frames<R>,
) -> Result<State, SnapshotError> {
    let mut loading = Loading::default();
    let (mut reader, mut unwrapped) = (RowReader::default(), false);
    for frame in frames {
        let frame = frame?;
        if frame.table == OUTBOX_TABLE {
            continue;
        }
        if frame.table != RING_TABLE && !unwrapped {
            keyring.unwrap_all().await.map_err(UnsealError::Keyring)?;
            unwrapped = true;
        }
        let row = sealer.open_row(&mut reader, frame.table, &frame.id, &frame.row).await?;
        if let Row::RingKey(key) = &row {
            keyring.add(key.clone());
        }
        loading.add(row);
    }
    loading.finish().map_err(SnapshotError::Load)
}
