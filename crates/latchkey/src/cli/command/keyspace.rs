//! `latchkey keyspace`.

use crate::cli::confirm::DeleteArguments;
use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::import::shape::Shape as TextShape;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use crate::cli::rotation_policy::PolicyArguments;
use crate::cli::shared::{ChangeArguments, TryArguments, mask, words};
use crate::cli::span;
use clap::{Args, Subcommand};
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("KEYSPACE", "name", Shape::Name),
        Column::new("PREFIX", "prefix", Shape::Plain),
        Column::new("ENVIRONMENT", "environment", Shape::Plain),
        Column::new("PERMISSIONS", "allowedPermissions", Shape::Plain),
        Column::new("LIFETIME", "defaultLifetime", Shape::Span),
        Column::new("AT MOST", "maximumLifetime", Shape::Span),
        Column::new("CREATED", "createTime", Shape::Age),
    ],
    none: "The tenant has no keyspace.",
};

/// What to do with keyspaces.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyspaceTask {
    /// Makes a keyspace.
    Create(Create),
    /// Lists the keyspaces of a tenant.
    #[command(alias = "ls")]
    List(List),
    /// Shows a keyspace.
    #[command(alias = "get")]
    Show(Show),
    /// Changes a keyspace: what is given, and nothing else.
    Update(Update),
    /// Deletes a keyspace that has no living key.
    #[command(alias = "rm")]
    Delete(Delete),
}

/// What to make.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey keyspace create acme/orders --prefix acme_live --environment production
  latchkey keyspace create acme/orders-test --prefix acme_test --environment development \\
      --allowed-permission 'orders:*' --default-lifetime 24h --maximum-lifetime 30d")]
pub(crate) struct Create {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE")]
    name: String,
    /// What every key text of it begins with, such as acme_live; unique in the cluster, and never changed.
    #[arg(long)]
    prefix: String,
    /// development, staging, production, or a word of your own.
    #[arg(long, value_name = "WORD")]
    environment: String,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    tried: TryArguments,
    #[command(flatten)]
    rotation: PolicyArguments,
}

/// What a keyspace says about its keys.
#[derive(Args, Clone, Debug)]
pub(super) struct Policy {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What its keys may be permitted at most, such as orders:*; again for more; none: anything.
    #[arg(long = "allowed-permission", value_name = "PATTERN")]
    allowed_permissions: Vec<String>,
    /// Which roles its keys may have, by id, such as read-only; again for more; none: any.
    #[arg(long = "allowed-role", value_name = "ROLE")]
    allowed_roles: Vec<String>,
    /// How long a key lives that says nothing; none: for ever.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    default_lifetime: Option<Duration>,
    /// How long a key may live at most.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    maximum_lifetime: Option<Duration>,
    /// Where its keys may be used from, CIDR; again for more; none: anywhere.
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// How old the state of a replica may be that validates its keys: within that a revocation holds everywhere.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    staleness_max: Option<Duration>,
    /// What a replica does that is older than that and hears of no leader: refuse, or answer from what it knew last
    /// [default: refuse].
    #[arg(long, value_name = "WHAT", value_parser = words("StalenessPolicy"))]
    staleness_policy: Option<i32>,
    /// With last-known: for how much longer it answers, 1s to 15m. A revocation holds everywhere within both.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, requires = "staleness_policy")]
    last_known_max: Option<Duration>,
    /// How long a dead key stays listed [default: 90d].
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    dead_retention: Option<Duration>,
    /// Whether whoever holds a key may revoke it by its text [default: allowed].
    #[arg(long, value_name = "WHAT", value_parser = words("SelfRevocation"))]
    self_revocation: Option<i32>,
    /// The form of key texts of another system whose keys may be imported, and which SHA-256 of them it keeps where that is
    /// not of the whole text; again for more.
    #[arg(long = "import-format", value_name = "ID=[last-part:]SHAPE", value_parser = import_format)]
    import_formats: Vec<pb::ImportFormat>,
    /// How many keys it may hold.
    #[arg(long, value_name = "N")]
    keys_max: Option<u64>,
    /// How many versions its keys may have together.
    #[arg(long, value_name = "N")]
    versions_max: Option<u64>,
    /// How many bytes of metadata its keys may have together.
    #[arg(long, value_name = "N")]
    metadata_bytes_max: Option<u64>,
    /// How many of a million accepted validations the access log shows singly, up to 1000000 for all; denials always are.
    #[arg(long, value_name = "N")]
    access_sample_ppm: Option<u32>,
    /// How long before a key expires the contacts of its owner and its tenant are told, such as 30d,7d,1d; none: never
    /// [default: 30d,7d,1d].
    #[arg(long, value_name = "SPAN,..", value_parser = expiry_notices)]
    expiry_notices: Option<pb::ExpiryNotices>,
}

impl Policy {
    fn keyspace(&self) -> pb::Keyspace {
        pb::Keyspace {
            display_name: self.display_name.clone().unwrap_or_default(),
            allowed_permissions: self.allowed_permissions.clone(),
            default_lifetime: self.default_lifetime.map(span::to_wire),
            maximum_lifetime: self.maximum_lifetime.map(span::to_wire),
            networks: self.networks.clone(),
            staleness_max: self.staleness_max.map(span::to_wire),
            staleness_policy: self.staleness_policy.unwrap_or_default(),
            last_known_max: self.last_known_max.map(span::to_wire),
            dead_retention: self.dead_retention.map(span::to_wire),
            quotas: self.quotas(),
            allowed_roles: self.allowed_roles.clone(),
            self_revocation: self.self_revocation.unwrap_or_default(),
            import_formats: self.import_formats.clone(),
            access_sample_ppm: self.access_sample_ppm.unwrap_or_default(),
            expiry_notices: self.expiry_notices.clone(),
            ..pb::Keyspace::default()
        }
    }

    fn quotas(&self) -> Option<pb::KeyspaceQuotas> {
        let quotas = pb::KeyspaceQuotas {
            keys: self.keys_max,
            versions: self.versions_max,
            metadata_bytes: self.metadata_bytes_max,
        };
        (quotas != pb::KeyspaceQuotas::default()).then_some(quotas)
    }

    /// Which fields are given.
    fn given(&self) -> [(&'static str, bool); 15] {
        [
            ("display_name", self.display_name.is_some()),
            ("allowed_permissions", !self.allowed_permissions.is_empty()),
            ("allowed_roles", !self.allowed_roles.is_empty()),
            ("default_lifetime", self.default_lifetime.is_some()),
            ("maximum_lifetime", self.maximum_lifetime.is_some()),
            ("networks", !self.networks.is_empty()),
            ("staleness_max", self.staleness_max.is_some()),
            ("staleness_policy", self.staleness_policy.is_some()),
            ("last_known_max", self.last_known_max.is_some()),
            ("dead_retention", self.dead_retention.is_some()),
            ("quotas", self.quotas().is_some()),
            ("self_revocation", self.self_revocation.is_some()),
            ("import_formats", !self.import_formats.is_empty()),
            ("access_sample_ppm", self.access_sample_ppm.is_some()),
            ("expiry_notices", self.expiry_notices.is_some()),
        ]
    }
}

/// `30d,7d,1d` in any order, or `none`.
fn expiry_notices(text: &str) -> Result<pb::ExpiryNotices, String> {
    let spans = text.split(',').filter(|_| text != "none").map(str::trim).map(span::parse);
    let mut spans = spans.collect::<Result<Vec<_>, _>>()?;
    spans.sort_unstable_by(|a, b| b.cmp(a));
    Ok(pb::ExpiryNotices { before: spans.into_iter().map(span::to_wire).collect() })
}

/// `old=sk_live_{base58:17-24}`, `seam=last-part:my_{base58:8}_{base58:24}`.
fn import_format(text: &str) -> Result<pb::ImportFormat, String> {
    let (id, shape) = text.split_once('=').ok_or("expected ID=SHAPE, such as old=sk_live_{base58:17-24}")?;
    let (digest, shape) = match shape.strip_prefix("last-part:") {
        Some(shape) => (pb::ImportDigest::Sha256OfLastPart, shape),
        None => (pb::ImportDigest::Sha256OfText, shape),
    };
    Ok(TextShape::parse(shape)?.format(id, digest))
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey keyspace list acme")]
pub(crate) struct List {
    /// The tenant; needed where --tenant names none.
    #[arg(value_name = "TENANT")]
    parent: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey keyspace show acme/orders")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE")]
    name: String,
}

/// What to change. Lists and the quotas are one field each: what is not given of them is taken away.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey keyspace update acme/orders --maximum-lifetime 90d --self-revocation off
  latchkey keyspace update acme/orders --rotation-class moderate --rotation-mode automatic \\
      --rotation-deliver orders-files --rotation-jitter 7d
  latchkey keyspace update acme/orders --rotation-policy orders-policy.json
  latchkey keyspace update acme/orders --import-format 'old=sk_live_{base58:17-24}'
  latchkey keyspace update acme/orders --staleness-policy last-known --last-known-max 5m
  latchkey keyspace update acme/orders --access-sample-ppm 1000
  latchkey keyspace update acme/orders --expiry-notices 14d,2d
  latchkey keyspace update acme/orders --clear networks --clear quotas")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE")]
    name: String,
    #[command(flatten)]
    policy: Policy,
    /// A field to empty; again for more.
    #[arg(long, value_name = "FIELD", value_parser = [
        "display_name", "allowed_permissions", "allowed_roles", "default_lifetime", "maximum_lifetime", "networks",
        "staleness_max", "staleness_policy", "last_known_max", "dead_retention", "quotas", "self_revocation", "import_formats",
        "rotation_policy", "access_sample_ppm", "expiry_notices",
    ])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    rotation: PolicyArguments,
}

/// Which to delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey keyspace delete acme/orders")]
pub(crate) struct Delete {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE")]
    name: String,
    #[command(flatten)]
    sure: DeleteArguments,
}

impl KeyspaceTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Create(task) => create(task, context).await?,
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Keyspace, &task.name)?;
                context.show(&context.api.get_keyspace(pb::GetKeyspaceRequest { name }).await?)?;
            }
            Self::Update(task) => update(task, context).await?,
            Self::Delete(Delete { name, sure }) => {
                let name = context.name(Kind::Keyspace, &name)?;
                let look = context.api.get_keyspace(pb::GetKeyspaceRequest { name: name.clone() });
                sure.agreed(context, &name, look).await?;
                let ChangeArguments { etag, tried } = sure.change;
                let (request_id, validate_only) = (tried.request_id(), tried.dry_run);
                let request = pb::DeleteKeyspaceRequest { name: name.clone(), etag, request_id, validate_only };
                context.api.delete_keyspace(request).await?;
                context.deleted(&name, validate_only);
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(task: Create, context: &Context) -> Result<(), CliError> {
    let (parent, keyspace_id) = Kind::Keyspace.parent_and_id(&task.name, context.tenant.as_deref())?;
    let dry_run = task.tried.dry_run;
    let request = pb::CreateKeyspaceRequest {
        parent,
        keyspace_id,
        keyspace: Some(pb::Keyspace {
            prefix: task.prefix,
            environment: task.environment,
            rotation_policy: task.rotation.policy()?,
            ..task.policy.keyspace()
        }),
        request_id: task.tried.request_id(),
        validate_only: task.tried.dry_run,
    };
    context.show_change(&context.api.create_keyspace(request).await?, dry_run)
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    let parent = context.parent_tenant(task.parent.as_deref())?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListKeyspacesRequest { parent: parent.clone(), page_size, page_token };
        let answer = context.api.list_keyspaces(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "keyspaces", fetch).await
}

async fn update(task: Update, context: &Context) -> Result<(), CliError> {
    let Update { name, policy, clear, change, rotation } = task;
    let dry_run = change.tried.dry_run;
    let rotation_policy = rotation.policy()?;
    let given = [&policy.given()[..], &[("rotation_policy", rotation_policy.is_some())]].concat();
    let request = pb::UpdateKeyspaceRequest {
        update_mask: Some(mask(&given, &clear)?),
        keyspace: Some(pb::Keyspace {
            name: context.name(Kind::Keyspace, &name)?,
            etag: change.etag,
            rotation_policy,
            ..policy.keyspace()
        }),
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
    };
    context.show_change(&context.api.update_keyspace(request).await?, dry_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_of_expiry_are_spans_the_longest_first_or_none() {
        let seconds = |text| {
            let notices = expiry_notices(text)?;
            Ok::<_, String>(notices.before.iter().map(|span| span.seconds).collect::<Vec<_>>())
        };
        assert_eq!(seconds("1d,30d, 7d"), Ok(vec![2_592_000, 604_800, 86_400]));
        assert_eq!(seconds("none"), Ok(vec![]));
        for wrong in ["", "never", "1d,", "30"] {
            assert!(seconds(wrong).unwrap_err().starts_with("expected a span"), "{wrong}");
        }
    }
}
