//! What has to be there before keys come in: the import formats of the keyspace, owners, roles.

use super::{Import, Services};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::import::batch::Batch;
use crate::cli::import::fields::Tally;
use crate::cli::import::formats::{Formats, Survey, digest_of};
use crate::cli::import::from::Reader;
use crate::cli::import::shape::Shape;
use crate::cli::import::supply::Supply;
use crate::cli::output;
use crate::cli::shared::new_request_id;
use latchkey_wire::pb::v1 as pb;
use prost_types::FieldMask;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;
use tonic::Code;

/// Owners or roles that are made at the same time.
const MADE_AT_ONCE: usize = 16;

/// The formats that rows may have, once those that were asked for are declared. `None` where a rehearsal would have to see
/// what it does not declare: then rows are read, and the service is not asked.
///
/// # Errors
/// [`CliError`].
pub(super) async fn formats(
    task: &Import,
    context: &Context,
    keyspace: &str,
    reader: &Reader,
) -> Result<Option<Formats>, CliError> {
    let request = pb::GetKeyspaceRequest { name: keyspace.to_owned() };
    let mut found = context.api.get_keyspace(request).await?.message;
    let missing = if task.create_format { missing(task, reader, &found)? } else { Vec::new() };
    if !missing.is_empty() {
        for format in &missing {
            let verb = if task.dry_run { "would be declared" } else { "is declared" };
            let (id, shape) = (&format.id, Shape::of_format(format));
            let digest = format.digest().as_str_name().trim_start_matches("IMPORT_DIGEST_").to_owned();
            output::note(&format!("import format {id} {verb}: {shape}, {digest}"));
        }
        found.import_formats.extend(missing);
        let update = pb::UpdateKeyspaceRequest {
            update_mask: Some(FieldMask { paths: vec!["import_formats".to_owned()] }),
            keyspace: Some(pb::Keyspace {
                name: keyspace.to_owned(),
                etag: found.etag.clone(),
                import_formats: found.import_formats.clone(),
                ..pb::Keyspace::default()
            }),
            request_id: new_request_id(),
            validate_only: task.dry_run,
        };
        context.api.update_keyspace(update).await?;
        if task.dry_run {
            output::note("The rows are only read: the service cannot check them before their format is declared.");
            return Ok(None);
        }
    }
    let formats = Formats::of(&found, task.from, task.format.as_deref());
    formats.map(Some).map_err(|what| {
        CliError::usage(what).remedy("declare one: --create-format, or latchkey keyspace update --import-format")
    })
}

/// What the rows need and the keyspace does not declare.
fn missing(task: &Import, reader: &Reader, found: &pb::Keyspace) -> Result<Vec<pb::ImportFormat>, CliError> {
    let id = task.format.as_deref().unwrap_or(task.from.word());
    let digest = task.digest.and_then(|digest| pb::ImportDigest::try_from(digest).ok()).or(digest_of(task.from));
    let mut wanted = match &task.shape {
        Some(shape) => vec![shape.format(id, digest.unwrap_or(pb::ImportDigest::Sha256OfText))],
        None => shown_by_rows(task, reader, id)?,
    };
    if let Some(digest) = digest {
        wanted.iter_mut().for_each(|format| format.set_digest(digest));
    }
    let declared = |wanted: &pb::ImportFormat| {
        found
            .import_formats
            .iter()
            .any(|format| pb::ImportFormat { id: format.id.clone(), ..wanted.clone() } == *format)
    };
    wanted.retain(|format| !declared(format));
    if let Some(taken) = wanted.iter().find(|format| found.import_formats.iter().any(|other| other.id == format.id)) {
        let what = format!("the keyspace declares the import format {} already, and otherwise", taken.id);
        return Err(CliError::usage(what).remedy("choose another id: --format ID"));
    }
    Ok(wanted)
}

fn shown_by_rows(task: &Import, reader: &Reader, id: &str) -> Result<Vec<pb::ImportFormat>, CliError> {
    let mut supply = Supply::open(&task.file, reader.clone())?;
    let (mut survey, mut tally) = (Survey::default(), Tally::default());
    while let Some(row) = supply.row(&mut tally)? {
        if let Ok(row) = row {
            survey.look(&row);
        }
    }
    let remedy = "say it: --shape 'sk_live_{base58:17-24}', or declare the formats with latchkey keyspace update";
    survey.formats(task.from, id).map_err(|what| CliError::usage(what).remedy(remedy))
}

/// Owners and roles that were seen to.
pub(super) struct Made {
    api: Services,
    owners: bool,
    roles: bool,
    seen: BTreeSet<String>,
}

impl Made {
    pub(super) const fn new(api: Services, owners: bool, roles: bool, dry_run: bool) -> Self {
        Self { api, owners: owners && !dry_run, roles: roles && !dry_run, seen: BTreeSet::new() }
    }

    /// Sees to it that the owners and the roles of a batch are there.
    ///
    /// # Errors
    /// [`CliError::Call`].
    pub(super) async fn make(&mut self, batch: &Batch) -> Result<(), CliError> {
        let none = BTreeMap::new();
        let owners = if self.owners { &batch.owners } else { &none };
        let roles = if self.roles { &batch.roles } else { &none };
        let mut calls = JoinSet::new();
        for (full, name) in owners.iter().chain(roles) {
            if !self.seen.insert(full.clone()) {
                continue;
            }
            if calls.len() >= MADE_AT_ONCE {
                finished(calls.join_next().await)?;
            }
            calls.spawn(one(self.api.clone(), full.clone(), name.clone()));
        }
        while let Some(call) = calls.join_next().await {
            finished(Some(call))?;
        }
        Ok(())
    }
}

fn finished(call: Option<Result<Result<(), CliError>, tokio::task::JoinError>>) -> Result<(), CliError> {
    call.map_or(Ok(()), |call| call.unwrap_or_else(|error| Err(CliError::Other(error.into()))))
}

/// Makes the owner or the role of this name; that it is there already is as good.
async fn one(api: Services, full: String, name: String) -> Result<(), CliError> {
    let mut segments = full.splitn(4, '/').skip(1);
    let (tenant, collection, id) = (segments.next(), segments.next(), segments.next());
    let parent = format!("tenants/{}", tenant.unwrap_or_default());
    let (id, request_id) = (id.unwrap_or_default().to_owned(), new_request_id());
    // Longer names than a display name may be are cut; the id has digits of the whole.
    let display_name: String = name
        .chars()
        .scan(0, |bytes, sign| {
            *bytes += sign.len_utf8();
            (*bytes <= 128).then_some(sign)
        })
        .collect();
    let made = match collection {
        Some("owners") => {
            let owner = Some(pb::Owner { display_name, ..pb::Owner::default() });
            let request = pb::CreateOwnerRequest { parent, owner_id: id, owner, request_id, validate_only: false };
            api.create_owner(request).await.map(|_| ())
        }
        _ => {
            let role = Some(pb::Role { display_name, ..pb::Role::default() });
            let request = pb::CreateRoleRequest { parent, role_id: id, role, request_id, validate_only: false };
            api.create_role(request).await.map(|_| ())
        }
    };
    match made {
        Err(CliError::Call(error)) if error.code() == Code::AlreadyExists => Ok(()),
        made => made,
    }
}
