//! `latchkey owner`.

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
        Column::new("OWNER", "name", Shape::Name),
        Column::new("DISPLAY NAME", "displayName", Shape::Plain),
        Column::new("CONTACTS", "contacts", Shape::Plain),
        Column::new("CREATED", "createTime", Shape::Age),
    ],
    none: "The tenant has no owner.",
};

/// What to do with owners.
#[derive(Debug, Subcommand)]
pub(crate) enum OwnerTask {
    /// Makes an owner.
    Create(Create),
    /// Lists the owners of a tenant.
    #[command(alias = "ls")]
    List(List),
    /// Shows an owner.
    #[command(alias = "get")]
    Show(Show),
    /// Changes an owner: what is given, and nothing else.
    Update(Update),
    /// Deletes an owner that has no living key.
    #[command(alias = "rm")]
    Delete(Delete),
}

/// What to make.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey owner create acme/shop --display-name 'The shop' --contact ops@shop.example")]
pub(crate) struct Create {
    /// Its name.
    #[arg(value_name = "TENANT/OWNER")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    display_name: String,
    /// Where notices about its keys go: an e-mail address or a URL; again for more.
    #[arg(long = "contact", value_name = "ADDRESS")]
    contacts: Vec<String>,
    #[command(flatten)]
    tried: TryArguments,
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey owner list acme")]
pub(crate) struct List {
    /// The tenant; needed where --tenant names none.
    #[arg(value_name = "TENANT")]
    parent: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey owner show acme/shop")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT/OWNER")]
    name: String,
}

/// What to change.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey owner update acme/shop --contact ops@shop.example --contact https://shop.example/hook
  latchkey owner update acme/shop --clear contacts")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT/OWNER")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Where notices go; all of them, since the list is one field.
    #[arg(long = "contact", value_name = "ADDRESS")]
    contacts: Vec<String>,
    /// A field to empty; again for more.
    #[arg(long, value_name = "FIELD", value_parser = ["display_name", "contacts"])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Which to delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey owner delete acme/shop")]
pub(crate) struct Delete {
    /// Its name.
    #[arg(value_name = "TENANT/OWNER")]
    name: String,
    #[command(flatten)]
    sure: DeleteArguments,
}

impl OwnerTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Create(task) => create(task, context).await?,
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Owner, &task.name)?;
                context.show(&context.api.get_owner(pb::GetOwnerRequest { name }).await?)?;
            }
            Self::Update(task) => update(task, context).await?,
            Self::Delete(Delete { name, sure }) => {
                let name = context.name(Kind::Owner, &name)?;
                let look = context.api.get_owner(pb::GetOwnerRequest { name: name.clone() });
                sure.agreed(context, &name, look).await?;
                let ChangeArguments { etag, tried } = sure.change;
                let (request_id, validate_only) = (tried.request_id(), tried.dry_run);
                let request = pb::DeleteOwnerRequest { name: name.clone(), etag, request_id, validate_only };
                context.api.delete_owner(request).await?;
                context.deleted(&name, validate_only);
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(task: Create, context: &Context) -> Result<(), CliError> {
    let (parent, owner_id) = Kind::Owner.parent_and_id(&task.name, context.tenant.as_deref())?;
    let Create { display_name, contacts, tried, .. } = task;
    let dry_run = tried.dry_run;
    let request = pb::CreateOwnerRequest {
        parent,
        owner_id,
        owner: Some(pb::Owner { display_name, contacts, ..pb::Owner::default() }),
        request_id: tried.request_id(),
        validate_only: tried.dry_run,
    };
    context.show_change(&context.api.create_owner(request).await?, dry_run)
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    let parent = context.parent_tenant(task.parent.as_deref())?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListOwnersRequest { parent: parent.clone(), page_size, page_token };
        let answer = context.api.list_owners(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "owners", fetch).await
}

async fn update(task: Update, context: &Context) -> Result<(), CliError> {
    let Update { name, display_name, contacts, clear, change } = task;
    let given = [("display_name", display_name.is_some()), ("contacts", !contacts.is_empty())];
    let dry_run = change.tried.dry_run;
    let request = pb::UpdateOwnerRequest {
        update_mask: Some(mask(&given, &clear)?),
        owner: Some(pb::Owner {
            name: context.name(Kind::Owner, &name)?,
            display_name: display_name.unwrap_or_default(),
            contacts,
            etag: change.etag,
            ..pb::Owner::default()
        }),
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
    };
    context.show_change(&context.api.update_owner(request).await?, dry_run)
}
