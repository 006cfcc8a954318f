//! `latchkey tenant`.

use crate::cli::confirm::DeleteArguments;
use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use crate::cli::shared::{ChangeArguments, TryArguments, mask};
use clap::{Args, Subcommand};
use latchkey_wire::pb::v1 as pb;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("TENANT", "name", Shape::Name),
        Column::new("DISPLAY NAME", "displayName", Shape::Plain),
        Column::new("CREATED", "createTime", Shape::Age),
    ],
    none: "There is no tenant that you may know of.",
};

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantTask {
    /// Makes a tenant.
    Create(Create),
    /// Lists tenants.
    #[command(alias = "ls")]
    List(List),
    /// Shows a tenant.
    #[command(alias = "get")]
    Show(Show),
    /// Changes a tenant: what is given, and nothing else.
    Update(Update),
    /// Deletes a tenant that holds nothing any more.
    #[command(alias = "rm")]
    Delete(Delete),
}

/// What to make.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey tenant create acme --display-name 'Acme Ltd'")]
pub(crate) struct Create {
    /// Its name.
    #[arg(value_name = "TENANT")]
    name: String,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    tried: TryArguments,
}

/// What a tenant says of itself.
#[derive(Args, Clone, Debug)]
struct Fields {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// How many keyspaces it may have.
    #[arg(long, value_name = "N")]
    keyspaces_max: Option<u32>,
    /// How many owners it may have.
    #[arg(long, value_name = "N")]
    owners_max: Option<u32>,
    /// How many roles it may have, the built-in ones not counted.
    #[arg(long, value_name = "N")]
    roles_max: Option<u32>,
    /// How many identities it may have.
    #[arg(long, value_name = "N")]
    identities_max: Option<u32>,
    /// How many writes a second it may make; emergencies are never refused for it.
    #[arg(long, value_name = "N")]
    writes_per_second_max: Option<u32>,
}

impl Fields {
    fn quotas(&self) -> Option<pb::TenantQuotas> {
        let quotas = pb::TenantQuotas {
            keyspaces: self.keyspaces_max,
            owners: self.owners_max,
            roles: self.roles_max,
            identities: self.identities_max,
            writes_per_second: self.writes_per_second_max,
        };
        (quotas != pb::TenantQuotas::default()).then_some(quotas)
    }
}

/// How many to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey tenant list\n  latchkey tenant list --output json")]
pub(crate) struct List {
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey tenant show acme")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT")]
    name: String,
}

/// What to change. The quotas are one field: those that are not given are taken away.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey tenant update acme --display-name 'Acme Ltd' --keyspaces-max 10
  latchkey tenant update acme --clear quotas")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT")]
    name: String,
    #[command(flatten)]
    fields: Fields,
    /// A field to empty; again for more.
    #[arg(long, value_name = "FIELD", value_parser = ["display_name", "quotas"])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Which to delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey tenant delete acme")]
pub(crate) struct Delete {
    /// Its name.
    #[arg(value_name = "TENANT")]
    name: String,
    #[command(flatten)]
    sure: DeleteArguments,
}

impl TenantTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Create(task) => create(task, context).await?,
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Tenant, &task.name)?;
                context.show(&context.api.get_tenant(pb::GetTenantRequest { name }).await?)?;
            }
            Self::Update(task) => update(task, context).await?,
            Self::Delete(Delete { name, sure }) => {
                let name = context.name(Kind::Tenant, &name)?;
                let look = context.api.get_tenant(pb::GetTenantRequest { name: name.clone() });
                sure.agreed(context, &name, look).await?;
                let ChangeArguments { etag, tried } = sure.change;
                let (request_id, validate_only) = (tried.request_id(), tried.dry_run);
                let request = pb::DeleteTenantRequest { name: name.clone(), etag, request_id, validate_only };
                context.api.delete_tenant(request).await?;
                context.deleted(&name, validate_only);
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(task: Create, context: &Context) -> Result<(), CliError> {
    let (_, tenant_id) = Kind::Tenant.parent_and_id(&task.name, None)?;
    let dry_run = task.tried.dry_run;
    let request = pb::CreateTenantRequest {
        tenant_id,
        tenant: Some(pb::Tenant {
            quotas: task.fields.quotas(),
            display_name: task.fields.display_name.unwrap_or_default(),
            ..pb::Tenant::default()
        }),
        request_id: task.tried.request_id(),
        validate_only: task.tried.dry_run,
    };
    context.show_change(&context.api.create_tenant(request).await?, dry_run)
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    let fetch = async |page_size, page_token| {
        let request = pb::ListTenantsRequest { page_size, page_token };
        let answer = context.api.list_tenants(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "tenants", fetch).await
}

async fn update(task: Update, context: &Context) -> Result<(), CliError> {
    let Update { name, fields, clear, change } = task;
    let quotas = fields.quotas();
    let given = [("display_name", fields.display_name.is_some()), ("quotas", quotas.is_some())];
    let dry_run = change.tried.dry_run;
    let request = pb::UpdateTenantRequest {
        update_mask: Some(mask(&given, &clear)?),
        tenant: Some(pb::Tenant {
            name: context.name(Kind::Tenant, &name)?,
            display_name: fields.display_name.unwrap_or_default(),
            quotas,
            etag: change.etag,
            ..pb::Tenant::default()
        }),
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
    };
    context.show_change(&context.api.update_tenant(request).await?, dry_run)
}
