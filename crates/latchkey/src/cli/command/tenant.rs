//! `latchkey tenant`.

use super::destroy_data::DestroyData;
use super::destruction::Destruction;
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
    /// Destroys the data of a tenant that was deleted before, and kept it then.
    DestroyData(DestroyData),
    /// Tells what is still left of a tenant whose data was destroyed: in which logs and snapshots, and in backups of when.
    Destruction(Destruction),
}

/// What to make.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey tenant create acme --display-name 'Acme Ltd' --contact security@acme.example"
)]
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
    /// Where notices about it go: an e-mail address or a URL; again for more, all of them, since the list is one field.
    #[arg(long = "contact", value_name = "ADDRESS")]
    contacts: Vec<String>,
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
  latchkey tenant update acme --contact security@acme.example --contact https://acme.example/hook
  latchkey tenant update acme --clear quotas")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT")]
    name: String,
    #[command(flatten)]
    fields: Fields,
    /// A field to empty; again for more.
    #[arg(long, value_name = "FIELD", value_parser = ["display_name", "quotas", "contacts"])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Which to delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey tenant delete acme\n  latchkey tenant delete acme --destroy-data")]
pub(crate) struct Delete {
    /// Its name.
    #[arg(value_name = "TENANT")]
    name: String,
    /// Destroy its keys too: its audit entries and its usage are unreadable then, for everybody and for good.
    #[arg(long)]
    destroy_data: bool,
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
            Self::DestroyData(task) => task.run(context).await?,
            Self::Destruction(task) => return task.run(context).await,
            Self::Delete(Delete { name, destroy_data, sure }) => {
                let name = context.name(Kind::Tenant, &name)?;
                let look = context.api.get_tenant(pb::GetTenantRequest { name: name.clone() });
                sure.agreed(context, &name, look).await?;
                let ChangeArguments { etag, tried } = sure.change;
                let (request_id, validate_only) = (tried.request_id(), tried.dry_run);
                let request = pb::DeleteTenantRequest {
                    name: name.clone(),
                    etag,
                    request_id,
                    validate_only,
                    destroy: destroy_data,
                    number: None,
                };
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
            contacts: task.fields.contacts,
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
    let given = [
        ("display_name", fields.display_name.is_some()),
        ("quotas", quotas.is_some()),
        ("contacts", !fields.contacts.is_empty()),
    ];
    let dry_run = change.tried.dry_run;
    let request = pb::UpdateTenantRequest {
        update_mask: Some(mask(&given, &clear)?),
        tenant: Some(pb::Tenant {
            name: context.name(Kind::Tenant, &name)?,
            display_name: fields.display_name.unwrap_or_default(),
            quotas,
            contacts: fields.contacts,
            etag: change.etag,
            ..pb::Tenant::default()
        }),
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
    };
    context.show_change(&context.api.update_tenant(request).await?, dry_run)
}
