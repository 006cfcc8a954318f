//! `ImportKeys`: batches of keys that another system made, one answer each, in order.
//!
//! A batch is read when there is room for it among those that are worked on, so what a stream holds is bounded, and a
//! client that does not read its answers is not read from either. The good rows of a batch are one command; which rows
//! of it apply refuses is part of that command's answer, and so of its repeat.

use crate::Handlers;
use latchkey_crypto::Inner;
use latchkey_domain::{Duty, ImportFormat, ImportRefusal, Scope, SourceId};
use latchkey_link::answers::{self, told, unexpected};
use latchkey_link::{Authorized, Call, Registry, Time};
use latchkey_state::{ImportOutcome, ImportRow, Imported, KeyToImport, Operation};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{ImportKeys, RowToImport, imported_row, read_import_keys, refused_row};
use prost::Message as _;
use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Status, Streaming};

/// Batches of one stream that are worked on at a time: while one is made durable, the next ones are sealed.
const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// How long one batch may take, an election included. Then its answer is an error, and the stream goes on.
const BATCH_TIME: Duration = Duration::from_secs(20);

/// The answers of one stream.
pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<v1::ImportKeysResponse, Status>> + Send>>;

impl<R: Registry> Handlers<R> {
    /// Answers batches until the client has no more, or is nobody who may any more.
    pub(crate) fn import_stream(&self, extensions: Extensions, batches: Streaming<v1::ImportKeysRequest>) -> Answers {
        let (work, ready) = mpsc::channel(BATCHES_IN_FLIGHT_MAX - 1);
        tokio::spawn(take_batches(self.clone(), extensions, batches, work));
        Box::pin(ReceiverStream::new(ready).then(|batch: JoinHandle<_>| async {
            batch
                .await
                .unwrap_or_else(|_| Err(latchkey_transport::status::bug("a batch of an import was not answered")))
        }))
    }

    /// # Errors
    /// What ends the stream: the caller is nobody, or may not.
    async fn import_batch(
        self,
        batch: u64,
        extensions: Extensions,
        request: v1::ImportKeysRequest,
    ) -> Result<v1::ImportKeysResponse, Status> {
        let request = Request::from_parts(MetadataMap::new(), extensions, request);
        // The rows are taken apart, and the request belongs to the entrance.
        let read = |request: &v1::ImportKeysRequest| read_import_keys(request.clone());
        let method = "IssuanceService/ImportKeys";
        match self.entrance.batch(method, request, read, |call| self.import_keys(call)).await {
            Ok(answer) => Ok(v1::ImportKeysResponse { batch, ..answer.into_inner() }),
            Err(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => Err(status),
            Err(status) => Ok(v1::ImportKeysResponse { batch, error: Some(error_of(&status)), ..Default::default() }),
        }
    }

    async fn import_keys(&self, call: Call<ImportKeys>) -> Result<v1::ImportKeysResponse, Status> {
        let by = Time::of(&call.extensions).max(Instant::now() + BATCH_TIME);
        let scope = Scope::Keyspace(call.asked.keyspace.clone());
        let authorized = Authorized::check(call.asked, call.identity, &[Duty::Issuer], &scope)?;
        let (asked, identity) = authorized.into_parts();
        let material = self.material.keyspace(&*self.registry, &asked.keyspace, by).await?;
        let formats = &material.keyspace.settings.import_formats;
        let mint_keys = self.material.mint_keys(&material, by).await?;
        let others = self.material.other_peppers(&material.tenant.cluster, by).await?;
        let ImportKeys { keyspace, rows, request, validate_only } = asked;
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);

        let (mut keys, mut refused, mut seen) = (Vec::with_capacity(rows.len()), BTreeMap::new(), Seen::default());
        let mint = mint_keys.mint(&material);
        for (index, row) in (0..).zip(rows) {
            let prepared = row.and_then(|row| seen.prove(row, formats).map_err(|word| refused_row(index, word)));
            match prepared {
                Ok((inner, row)) => {
                    let RowToImport { format, start, source_id, source_created_at, suspended, details, .. } = row;
                    let key = mint.imported(&inner, details, &mut OsEntropy);
                    let version = key.version;
                    let imported = Imported { format, start, source_id, source_created_at, version };
                    let also = others.iter().map(|pepper| (pepper.number, pepper.key.digest(&inner))).collect();
                    keys.push(KeyToImport { index, key, imported, suspended, also });
                }
                Err(row) => drop(refused.insert(index, row)),
            }
        }
        if keys.is_empty() {
            return Ok(v1::ImportKeysResponse { refused: refused.into_values().collect(), ..Default::default() });
        }
        let operation = latchkey_state::ImportKeys { keyspace: keyspace.clone(), formats: formats.to_vec(), keys };
        let (told, revision, replayed) = match validate_only {
            true => {
                let command = identity.command(None, Operation::ImportKeys(operation));
                let (told, revision) = answers::rehearse(&*self.registry, &command, by).await?;
                (told, revision, false)
            }
            false => {
                let command = identity.command(request, Operation::ImportKeys(operation));
                told(self.registry.propose(&command, by).await?)?
            }
        };
        let Told::Imported(rows) = told else { return Err(unexpected("imported keys")) };
        let mut rows: BTreeMap<_, _> = rows.into_iter().map(|ImportRow { index, outcome }| (index, outcome)).collect();
        let mut answer = v1::ImportKeysResponse { replayed, ..Default::default() };
        for index in 0..count {
            // What the first answer told of a row holds, also where the row reads otherwise by now.
            match rows.remove(&index) {
                Some(ImportOutcome::Made(..)) if validate_only => {
                    answer.imported.push(v1::ImportedRow { index, ..Default::default() });
                }
                Some(ImportOutcome::Made(key, version)) => {
                    answer.imported.push(imported_row(index, &keyspace, key, version, false));
                }
                Some(ImportOutcome::Existing(key, version)) => {
                    answer.imported.push(imported_row(index, &keyspace, key, version, true));
                }
                Some(ImportOutcome::Refused(word)) => answer.refused.push(refused_row(index, word)),
                None => {
                    let unknown = || refused_row(index, ImportRefusal::FormatUnknown);
                    answer.refused.push(refused.remove(&index).unwrap_or_else(unknown));
                }
            }
        }
        let is_in = !validate_only && !answer.imported.is_empty();
        Ok(v1::ImportKeysResponse { revision: is_in.then(|| revision.into()), ..answer })
    }
}

/// Takes batches while there is room, and hands on the work on each in their order.
async fn take_batches<R: Registry>(
    handlers: Handlers<R>,
    extensions: Extensions,
    mut batches: Streaming<v1::ImportKeysRequest>,
    work: mpsc::Sender<JoinHandle<Result<v1::ImportKeysResponse, Status>>>,
) {
    for batch in 0.. {
        // Where nobody waits for answers any more, no batch is begun; one that is goes on to its end.
        let Ok(room) = work.reserve().await else { return };
        let next = tokio::select! {
            next = batches.message() => next,
            () = work.closed() => return,
        };
        let request = match next {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(status) => return room.send(tokio::spawn(async { Err(status) })),
        };
        room.send(tokio::spawn(handlers.clone().import_batch(batch, extensions.clone(), request)));
    }
}

/// What the rows of a batch so far have said.
#[derive(Default)]
struct Seen {
    digests: HashSet<[u8; 32]>,
    source_ids: HashSet<SourceId>,
}

impl Seen {
    /// What is kept of the text of a row, where it fits its format and no row before it is the same.
    fn prove(&mut self, row: RowToImport, formats: &[ImportFormat]) -> Result<(Inner, RowToImport), ImportRefusal> {
        let format = formats.iter().find(|format| *format.id() == row.format).ok_or(ImportRefusal::FormatUnknown)?;
        let proof = row.material.proof(format, &row.start)?;
        let is_new_id = row.source_id.is_empty() || !self.source_ids.contains(&row.source_id);
        if !is_new_id || !self.digests.insert(*proof.inner.expose()) {
            return Err(ImportRefusal::DuplicateInBatch);
        }
        if !row.source_id.is_empty() {
            self.source_ids.insert(row.source_id.clone());
        }
        Ok((proof.inner, RowToImport { start: proof.start, ..row }))
    }
}

fn error_of(status: &Status) -> tonic_types::Status {
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}
