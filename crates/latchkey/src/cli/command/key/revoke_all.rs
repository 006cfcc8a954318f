//! `latchkey key revoke-all`: first how many, then the question, then the deed.

use crate::cli::api::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::{self, Kind};
use crate::cli::output;
use crate::cli::shared::{TryArguments, WaitArguments, words};
use clap::{ArgGroup, Args};
use latchkey_wire::pb::v1 as pb;
use pb::revoke_keys_request::{Selection, Target};
use std::io::{self, IsTerminal as _};

/// Which, and why.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["scope", "filter"]), after_help = "Examples:
  latchkey key revoke-all --scope tenants/acme/owners/shop --reason owner-left
  latchkey key revoke-all --keyspace acme/orders --filter 'unchanged > 365d' --reason unused --dry-run
  latchkey key revoke-all --scope acme/orders --reason compromised --yes

A scope is a tenant (acme), a keyspace (acme/orders), or in full an owner or a role (tenants/acme/owners/shop). By scope all
keys die at one revision. By filter exactly those die that were counted: where others match by the time that you answer,
nothing happens.")]
pub(crate) struct RevokeAll {
    /// All keys of this.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// The keys of a keyspace that match this; see `latchkey key list`.
    #[arg(long, value_name = "FILTER", requires = "keyspace")]
    filter: Option<String>,
    /// The keyspace of the filter.
    #[arg(long, value_name = "TENANT/KEYSPACE", conflicts_with = "scope")]
    keyspace: Option<String>,
    /// Why.
    #[arg(long, value_name = "REASON", value_parser = words("RevocationReason"))]
    reason: i32,
    /// Why, in words, for the audit log.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason_text: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: WaitArguments,
    #[command(flatten)]
    tried: TryArguments,
}

impl RevokeAll {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let request = pb::RevokeKeysRequest {
            target: Some(self.target(context)?),
            reason: self.reason,
            reason_text: self.reason_text.clone(),
            wait_for: self.wait.wait_for(),
            wait_timeout: self.wait.wait_timeout(),
            ..pb::RevokeKeysRequest::default()
        };
        let rehearsal = pb::RevokeKeysRequest { validate_only: true, ..request.clone() };
        let found = context.api.waiting(self.wait.wait()).revoke_keys(rehearsal).await?;
        if self.tried.dry_run {
            context.show_change(&found, true)?;
            return Ok(Exit::Done);
        }
        if found.message.key_count == 0 {
            output::note("No key is reached that is not dead already; nothing was done.");
            return Ok(Exit::Done);
        }
        if !self.yes {
            ask(&found)?;
        }
        let request = pb::RevokeKeysRequest {
            target: request.target.map(|target| exactly(target, found.message.selection)),
            request_id: self.tried.request_id(),
            ..request
        };
        context.show(&context.api.waiting(self.wait.wait()).revoke_keys(request).await?)?;
        Ok(Exit::Done)
    }

    fn target(&self, context: &Context) -> Result<Target, CliError> {
        let Some(filter) = &self.filter else {
            return self
                .scope
                .as_deref()
                .map_or_else(|| Ok(Target::Scope(String::new())), |scope| scope_of(context, scope));
        };
        let parent = context.name(Kind::Keyspace, self.keyspace.as_deref().unwrap_or_default())?;
        Ok(Target::Selection(Selection { parent, filter: filter.clone(), selection: String::new() }))
    }
}

/// A short name of two segments is a keyspace; owners and roles are named in full.
fn scope_of(context: &Context, scope: &str) -> Result<Target, CliError> {
    let known =
        [Kind::Owner, Kind::Role].into_iter().find_map(|kind| kind.full(scope, None).ok().filter(|full| full == scope));
    let full = match known {
        Some(full) => full,
        None if scope.contains('/') && !Kind::Tenant.full(scope, None).is_ok_and(|full| full == scope) => {
            context.name(Kind::Keyspace, scope)?
        }
        None => Kind::Tenant.full(scope, None)?,
    };
    Ok(Target::Scope(full))
}

/// The keys of the rehearsal, and no others.
fn exactly(target: Target, selection: String) -> Target {
    match target {
        Target::Selection(asked) => Target::Selection(Selection { selection, ..asked }),
        scope @ Target::Scope(_) => scope,
    }
}

/// Asks whoever sits at the terminal; where nobody does, that is a no.
fn ask(found: &Answer<pb::RevokeKeysResponse>) -> Result<(), CliError> {
    let pb::RevokeKeysResponse { key_count, sample, .. } = &found.message;
    let some: Vec<String> = sample.iter().take(10).map(|name| format!("  {}", names::short(name))).collect();
    let more = key_count.saturating_sub(some.len() as u64);
    let tail = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let keys = if *key_count == 1 { "key" } else { "keys" };
    output::note(&format!("{key_count} {keys} would be revoked, finally:\n{}{tail}", some.join("\n")));
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("nobody is there to say yes").remedy("look at it with --dry-run, then say --yes"));
    }
    output::note(&format!("Type {key_count} to revoke them:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(CliError::Input)?;
    if answer.trim() == key_count.to_string() {
        return Ok(());
    }
    Err(CliError::usage("that was not the number; nothing was done"))
}
