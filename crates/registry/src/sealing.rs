//! What this replica seals and opens: commands in the log, rows and entries at rest, frames of snapshots. One place
//! says what each is bound to.

use crate::keyring::{Keyring, KeyringError};
use latchkey_crypto::envelope::{self, Context, Field, OpenError, SALT_BYTES};
use latchkey_crypto::{DataKey, Entropy, draw};
use latchkey_domain::{ClusterId, KeyId, KeyspaceNumber, RingNumber, Sequence, TenantNumber};
use latchkey_state::{Command, RingPurpose, Row, RowId, State, bootstrap_ring};
use latchkey_wire::disk::{DecodeError, RowReader, decode_command, encode_command, encode_row};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The version of the plaintexts' encoding.
const SCHEMA: u16 = 1;

/// What belongs to the cluster as a whole.
const CLUSTER_WIDE: TenantNumber = TenantNumber(0);

/// Sealed bytes that are not what they must be: the replica stops rather than guess.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The key that they name is not to be had.
    #[error("a sealed record names a key that is not to be had")]
    Keyring(#[from] KeyringError),
    /// They do not open in this place.
    #[error("a sealed {what} does not open: {error:?}")]
    Open {
        /// What was opened.
        what: &'static str,
        /// Why not.
        error: OpenError,
    },
    /// They open, but hold something else.
    #[error("a sealed {what} holds something else")]
    Content {
        /// What was opened.
        what: &'static str,
        /// What was found.
        #[source]
        error: DecodeError,
    },
}

/// Seals and opens with the keys of one keyring.
#[derive(Clone)]
pub struct Sealer {
    cluster: ClusterId,
    keyring: Arc<Keyring>,
}

impl Sealer {
    /// For one cluster.
    #[must_use]
    pub const fn new(cluster: ClusterId, keyring: Arc<Keyring>) -> Self {
        Self { cluster, keyring }
    }

    const fn context<'a>(&self, record: &'a [u8], field: Field) -> Context<'a> {
        Context { cluster: self.cluster, tenant: CLUSTER_WIDE, record, field, schema: SCHEMA }
    }

    /// Seals a command under the log key. Its revision is not known yet, so it is bound to its opening.
    pub(crate) async fn seal_command(
        &self,
        log_key: RingNumber,
        command: &Command,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.keyring.key(log_key).await?;
        let plain = Zeroizing::new(encode_command(command));
        let salt = draw::<SALT_BYTES>(entropy);
        Ok(envelope::seal(&key, log_key, &self.context(b"", Field::COMMAND), salt, &plain))
    }

    /// Seals the first command, before there is a keyring.
    pub(crate) fn seal_founding(
        cluster: ClusterId,
        log_key: &DataKey,
        command: &Command,
        entropy: &mut (impl Entropy + Send),
    ) -> Vec<u8> {
        let plain = Zeroizing::new(encode_command(command));
        let context = Context { cluster, tenant: CLUSTER_WIDE, record: b"", field: Field::COMMAND, schema: SCHEMA };
        envelope::seal(log_key, bootstrap_ring::LOG, &context, draw(entropy), &plain)
    }

    /// Opens a command of the log.
    pub(crate) async fn open_command(&self, sealed: &[u8]) -> Result<Command, UnsealError> {
        let what = "command";
        let plain = self.open(what, &self.context(b"", Field::COMMAND), sealed).await?;
        decode_command(&plain).map_err(|error| UnsealError::Content { what, error })
    }

    /// The bytes of a row at rest. Ring keys are wrapped already and lie as they are, since without them nothing opens.
    pub(crate) async fn seal_row(
        &self,
        state: &State,
        row: &Row,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u8>, KeyringError> {
        let plain = encode_row(row);
        let Some(number) = row_key(state, row) else { return Ok(in_the_clear(&plain)) };
        let key = self.keyring.key(number).await?;
        let place = place(row.id().table(), &row.id().id_bytes());
        let sealed = envelope::seal(&key, number, &self.context(&place, Field::ROW), draw(entropy), &plain);
        drop(Zeroizing::new(plain));
        Ok(sealed)
    }

    /// A row from its bytes at rest. Fetches the key that it names.
    pub(crate) async fn open_row(
        &self,
        reader: &mut RowReader,
        table: u8,
        id: &[u8],
        bytes: &[u8],
    ) -> Result<Row, UnsealError> {
        if bytes.first() != Some(&CLEAR) {
            let number = envelope::ring_number(bytes).map_err(|error| UnsealError::Open { what: "row", error })?;
            self.keyring.key(number).await?;
        }
        self.open_row_at_hand(reader, table, id, bytes)
    }

    /// A row from its bytes at rest, where all keys are at hand: a load opens millions.
    pub(crate) fn open_row_at_hand(
        &self,
        reader: &mut RowReader,
        table: u8,
        id: &[u8],
        bytes: &[u8],
    ) -> Result<Row, UnsealError> {
        let what = "row";
        let refused = |error| UnsealError::Open { what, error };
        let decoded = match bytes.split_first() {
            // Wrapped keys, and what a replica knows before its cluster has any key.
            Some((&CLEAR, plain)) if table == RING_TABLE || self.keyring.is_empty() => reader.decode_row(table, plain),
            _ => {
                let number = envelope::ring_number(bytes).map_err(refused)?;
                let key = self.keyring.at_hand(number).ok_or(KeyringError::Unknown { number: number.0 })?;
                let place = place(table, id);
                let plain = envelope::open(&key, &self.context(&place, Field::ROW), bytes).map_err(refused)?;
                reader.decode_row(table, &plain)
            }
        };
        decoded.map_err(|error| UnsealError::Content { what, error })
    }

    /// A row or an entry at rest, sealed under another key than before. What it holds stays as it is.
    pub(crate) async fn move_row(
        &self,
        table: u8,
        id: &[u8],
        bytes: &[u8],
        to: RingNumber,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u8>, UnsealError> {
        let key = self.keyring.key(to).await?;
        let row_place = place(table, id);
        let context = match table {
            OUTBOX_TABLE => self.context(id, Field::ENTRY),
            _ => self.context(&row_place, Field::ROW),
        };
        let plain = self.open("row", &context, bytes).await?;
        Ok(envelope::seal(&key, to, &context, draw(entropy), &plain))
    }

    /// The bytes of an entry at rest.
    pub(crate) async fn seal_entry(
        &self,
        number: RingNumber,
        sequence: Sequence,
        plain: &[u8],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.keyring.key(number).await?;
        let record = sequence.0.to_be_bytes();
        Ok(envelope::seal(&key, number, &self.context(&record, Field::ENTRY), draw(entropy), plain))
    }

    /// An entry from its bytes at rest.
    pub(crate) async fn open_entry(
        &self,
        sequence: Sequence,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        self.open("entry", &self.context(&sequence.0.to_be_bytes(), Field::ENTRY), sealed).await
    }

    /// The bytes at rest of what operators denied here.
    pub(crate) async fn seal_denials(
        &self,
        log_key: RingNumber,
        plain: &[u8],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.keyring.key(log_key).await?;
        Ok(envelope::seal(&key, log_key, &self.context(DENIALS, Field::ROW), draw(entropy), plain))
    }

    /// What operators denied here, from its bytes at rest.
    pub(crate) async fn open_denials(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        self.open("list of denials", &self.context(DENIALS, Field::ROW), sealed).await
    }

    /// The bytes at rest of the key that this replica cosigns with.
    pub(crate) async fn seal_node_key(
        &self,
        log_key: RingNumber,
        plain: &[u8],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.keyring.key(log_key).await?;
        Ok(envelope::seal(&key, log_key, &self.context(NODE_KEY, Field::ROW), draw(entropy), plain))
    }

    /// The key that this replica cosigns with, from its bytes at rest.
    pub(crate) async fn open_node_key(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        self.open("node key", &self.context(NODE_KEY, Field::ROW), sealed).await
    }

    async fn open(
        &self,
        what: &'static str,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let refused = |error| UnsealError::Open { what, error };
        let number = envelope::ring_number(sealed).map_err(refused)?;
        let key = self.keyring.key(number).await?;
        envelope::open(&key, context, sealed).map_err(refused)
    }
}

/// Whether a record of the log is under a log key that was destroyed before it: it was sealed while that key was in use, and
/// appended only when all had done without it. Whoever applies it has the same keyring at the same place of the log, so
/// all pass over it, and nobody has to stop.
pub(crate) fn is_void(state: &State, sealed: &[u8]) -> Option<RingNumber> {
    let newest = state.newest_ring_key(RingPurpose::Log)?.number;
    let number = envelope::ring_number(sealed).ok()?;
    (number < newest && state.ring_key(number).is_none()).then_some(number)
}

/// The table of the keyring, which is loaded before all others.
pub(crate) const RING_TABLE: u8 = RowId::RingKey(RingNumber(0)).table();

/// Where an entry of the audit outbox lies. Not a table of the state: entries are not in memory and not hashed.
pub(crate) const OUTBOX_TABLE: u8 = 0x40;

/// The place of what operators denied here: of no table, since none has this number.
const DENIALS: &[u8] = b"\xFFdenials";

/// The place of the key that this replica cosigns with.
const NODE_KEY: &[u8] = b"\xFFnode key";

/// What stands in front of a row that is not sealed, where sealed ones have their suite, which is never 0.
const CLEAR: u8 = 0;

fn in_the_clear(plain: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + plain.len());
    bytes.push(CLEAR);
    bytes.extend_from_slice(plain);
    bytes
}

fn place(table: u8, id: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(1 + id.len());
    place.push(table);
    place.extend_from_slice(id);
    place
}

/// Which key seals a row: a key's row its keyspace's, everything else the log key; nothing seals the keyring.
fn row_key(state: &State, row: &Row) -> Option<RingNumber> {
    let keyspace = match row.id() {
        RowId::RingKey(_) => return None,
        RowId::Key(keyspace, KeyId { .. }) => Some(keyspace),
        _ => None::<KeyspaceNumber>,
    };
    crate::keyring::sealing_key(state, keyspace)
}
