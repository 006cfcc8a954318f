//! `latchkey identity`.

use crate::cli::confirm::DeleteArguments;
use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use crate::cli::shared::{ChangeArguments, TryArguments, grant, mask};
use clap::{Args, Subcommand};
use latchkey_wire::pb::v1 as pb;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("IDENTITY", "name", Shape::Name),
        Column::new("DISPLAY NAME", "displayName", Shape::Plain),
        Column::new("GRANTS", "grants", Shape::Grants),
        Column::new("CREATED", "createTime", Shape::Age),
    ],
    none: "The tenant has no identity.",
};

/// What to do with identities.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityTask {
    /// Makes an identity. It proves itself by a management key, which `latchkey key create system/management` makes.
    Create(Create),
    /// Lists the identities of a tenant.
    #[command(alias = "ls")]
    List(List),
    /// Shows an identity.
    #[command(alias = "get")]
    Show(Show),
    /// Changes an identity: what is given, and nothing else.
    Update(Update),
    /// Deletes an identity that has no living key.
    #[command(alias = "rm")]
    Delete(Delete),
}

/// What to make.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey identity create acme/gateway --grant validator:acme
  latchkey key create system/management --owner acme/gateway --key-text-file gateway.key")]
pub(crate) struct Create {
    /// Its name.
    #[arg(value_name = "TENANT/IDENTITY")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    display_name: String,
    /// What it may do, on the system, a tenant or a keyspace: root, admin:acme, issuer:acme/orders; again for more.
    #[arg(long = "grant", value_name = "DUTY[:SCOPE]", value_parser = grant)]
    grants: Vec<pb::Grant>,
    #[command(flatten)]
    tried: TryArguments,
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey identity list system")]
pub(crate) struct List {
    /// The tenant; needed where --tenant names none.
    #[arg(value_name = "TENANT")]
    parent: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey identity show system/root")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT/IDENTITY")]
    name: String,
}

/// What to change.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey identity update acme/gateway --grant validator:acme/orders --grant auditor:acme
  latchkey identity update acme/gateway --clear grants")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT/IDENTITY")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it may do; all of it, since the list is one field.
    #[arg(long = "grant", value_name = "DUTY[:SCOPE]", value_parser = grant)]
    grants: Vec<pb::Grant>,
    /// A field to empty; again for more.
    #[arg(long, value_name = "FIELD", value_parser = ["display_name", "grants"])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Which to delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey identity delete acme/gateway")]
pub(crate) struct Delete {
    /// Its name.
    #[arg(value_name = "TENANT/IDENTITY")]
    name: String,
    #[command(flatten)]
    sure: DeleteArguments,
}

impl IdentityTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Create(task) => create(task, context).await?,
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Identity, &task.name)?;
                context.show(&context.api.get_identity(pb::GetIdentityRequest { name }).await?)?;
            }
            Self::Update(task) => update(task, context).await?,
            Self::Delete(Delete { name, sure }) => {
                let name = context.name(Kind::Identity, &name)?;
                let look = context.api.get_identity(pb::GetIdentityRequest { name: name.clone() });
                sure.agreed(context, &name, look).await?;
                let ChangeArguments { etag, tried } = sure.change;
                let (request_id, validate_only) = (tried.request_id(), tried.dry_run);
                let request = pb::DeleteIdentityRequest { name: name.clone(), etag, request_id, validate_only };
                context.api.delete_identity(request).await?;
                context.deleted(&name, validate_only);
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(task: Create, context: &Context) -> Result<(), CliError> {
    let (parent, identity_id) = Kind::Identity.parent_and_id(&task.name, context.tenant.as_deref())?;
    let Create { display_name, grants, tried, .. } = task;
    let dry_run = tried.dry_run;
    let request = pb::CreateIdentityRequest {
        parent,
        identity_id,
        identity: Some(pb::Identity { display_name, grants, ..pb::Identity::default() }),
        request_id: tried.request_id(),
        validate_only: tried.dry_run,
    };
    context.show_change(&context.api.create_identity(request).await?, dry_run)
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    let parent = context.parent_tenant(task.parent.as_deref())?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListIdentitiesRequest { parent: parent.clone(), page_size, page_token };
        let answer = context.api.list_identities(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "identities", fetch).await
}

async fn update(task: Update, context: &Context) -> Result<(), CliError> {
    let Update { name, display_name, grants, clear, change } = task;
    let given = [("display_name", display_name.is_some()), ("grants", !grants.is_empty())];
    let dry_run = change.tried.dry_run;
    let request = pb::UpdateIdentityRequest {
        update_mask: Some(mask(&given, &clear)?),
        identity: Some(pb::Identity {
            name: context.name(Kind::Identity, &name)?,
            display_name: display_name.unwrap_or_default(),
            grants,
            etag: change.etag,
            ..pb::Identity::default()
        }),
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
    };
    context.show_change(&context.api.update_identity(request).await?, dry_run)
}
