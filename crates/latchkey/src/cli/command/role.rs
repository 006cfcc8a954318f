//! `latchkey role`.

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
        Column::new("ROLE", "name", Shape::Name),
        Column::new("DISPLAY NAME", "displayName", Shape::Plain),
        Column::new("PERMISSIONS", "permissions", Shape::Plain),
        Column::new("METHODS", "methods", Shape::Plain),
        Column::new("BUILT IN", "builtIn", Shape::Plain),
        Column::new("CREATED", "createTime", Shape::Age),
    ],
    none: "The tenant has no role.",
};

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleTask {
    /// Makes a role.
    Create(Create),
    /// Lists the roles of a tenant, the built-in ones among them.
    #[command(alias = "ls")]
    List(List),
    /// Shows a role.
    #[command(alias = "get")]
    Show(Show),
    /// Changes a role: what is given, and nothing else.
    Update(Update),
    /// Deletes a role that no key has.
    #[command(alias = "rm")]
    Delete(Delete),
}

/// What to make.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey role create acme/clerk --permission 'orders:*' --method GET --method POST
  latchkey key create acme/orders --role clerk")]
pub(crate) struct Create {
    /// Its name.
    #[arg(value_name = "TENANT/ROLE")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    display_name: String,
    /// What it permits, such as orders:*; again for more.
    #[arg(long = "permission", value_name = "PATTERN")]
    permissions: Vec<String>,
    /// With which methods its keys may be used; again for more; none: with any.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    #[command(flatten)]
    tried: TryArguments,
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey role list acme")]
pub(crate) struct List {
    /// The tenant; needed where --tenant names none.
    #[arg(value_name = "TENANT")]
    parent: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey role show acme/clerk")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT/ROLE")]
    name: String,
}

/// What to change.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey role update acme/clerk --permission 'orders:*' --permission refunds:write
  latchkey role update acme/clerk --clear methods")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT/ROLE")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it permits; all of it, since the list is one field.
    #[arg(long = "permission", value_name = "PATTERN")]
    permissions: Vec<String>,
    /// With which methods; all of them.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// A field to empty; again for more.
    #[arg(long, value_name = "FIELD", value_parser = ["display_name", "permissions", "methods"])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Which to delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey role delete acme/clerk")]
pub(crate) struct Delete {
    /// Its name.
    #[arg(value_name = "TENANT/ROLE")]
    name: String,
    #[command(flatten)]
    sure: DeleteArguments,
}

impl RoleTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Create(task) => create(task, context).await?,
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Role, &task.name)?;
                context.show(&context.api.get_role(pb::GetRoleRequest { name }).await?)?;
            }
            Self::Update(task) => update(task, context).await?,
            Self::Delete(Delete { name, sure }) => {
                let name = context.name(Kind::Role, &name)?;
                let look = context.api.get_role(pb::GetRoleRequest { name: name.clone() });
                sure.agreed(context, &name, look).await?;
                let ChangeArguments { etag, tried } = sure.change;
                let (request_id, validate_only) = (tried.request_id(), tried.dry_run);
                let request = pb::DeleteRoleRequest { name: name.clone(), etag, request_id, validate_only };
                context.api.delete_role(request).await?;
                context.deleted(&name, validate_only);
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(task: Create, context: &Context) -> Result<(), CliError> {
    let (parent, role_id) = Kind::Role.parent_and_id(&task.name, context.tenant.as_deref())?;
    let Create { display_name, permissions, methods, tried, .. } = task;
    let dry_run = tried.dry_run;
    let request = pb::CreateRoleRequest {
        parent,
        role_id,
        role: Some(pb::Role { display_name, permissions, methods, ..pb::Role::default() }),
        request_id: tried.request_id(),
        validate_only: tried.dry_run,
    };
    context.show_change(&context.api.create_role(request).await?, dry_run)
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    let parent = context.parent_tenant(task.parent.as_deref())?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListRolesRequest { parent: parent.clone(), page_size, page_token };
        let answer = context.api.list_roles(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "roles", fetch).await
}

async fn update(task: Update, context: &Context) -> Result<(), CliError> {
    let Update { name, display_name, permissions, methods, clear, change } = task;
    let given = [
        ("display_name", display_name.is_some()),
        ("permissions", !permissions.is_empty()),
        ("methods", !methods.is_empty()),
    ];
    let dry_run = change.tried.dry_run;
    let request = pb::UpdateRoleRequest {
        update_mask: Some(mask(&given, &clear)?),
        role: Some(pb::Role {
            name: context.name(Kind::Role, &name)?,
            display_name: display_name.unwrap_or_default(),
            permissions,
            methods,
            etag: change.etag,
            ..pb::Role::default()
        }),
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
    };
    context.show_change(&context.api.update_role(request).await?, dry_run)
}
