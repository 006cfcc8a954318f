//! `latchkey tenant destroy-data`: the data of a tenant that was deleted before, and kept it then.

use super::destruction::newest_first;
use crate::cli::confirm::{YesArguments, question};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names::{self, Kind};
use crate::cli::output;
use crate::cli::shared::TryArguments;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::collections::BTreeSet;

/// Of which tenant.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey tenant destroy-data acme\n  latchkey tenant destroy-data acme --number 7\n\n\
    Its audit entries and its usage are unreadable then, for everybody and for good; proofs of them still verify.\n\
    What is left, and where, tells `latchkey tenant destruction`. Needs the duty root on the system."
)]
pub(crate) struct DestroyData {
    /// What it was called. It was deleted without --destroy-data.
    #[arg(value_name = "TENANT")]
    name: String,
    /// Its number, where several of that name were deleted: `latchkey audit list` shows it as tenantNumber.
    #[arg(long, value_name = "NUMBER")]
    number: Option<u32>,
    #[command(flatten)]
    sure: YesArguments,
    #[command(flatten)]
    tried: TryArguments,
}

impl DestroyData {
    /// # Errors
    /// A call failed, or it is not clear which tenant is meant.
    pub(crate) async fn run(self, context: &Context) -> Result<(), CliError> {
        let name = context.name(Kind::Tenant, &self.name)?;
        let number = match self.number {
            Some(number) => number,
            None => match deleted(&name, context).await? {
                Deleted::One(number) => number,
                Deleted::Destroyed(time) => {
                    output::print(&format!("The data of {name} was destroyed at {time} already.\n"))?;
                    return Ok(());
                }
                Deleted::Unclear(what, remedy) => return Err(CliError::usage(what).remedy(remedy)),
            },
        };
        let (request_id, validate_only) = (self.tried.request_id(), self.tried.dry_run);
        if !self.sure.yes && !validate_only {
            let short = names::short(&name);
            question(
                &format!("All data of {short}, which was tenant number {number}, would be destroyed, finally."),
                &short,
            )?;
        }
        let (number, etag) = (Some(number), String::new());
        let request =
            pb::DeleteTenantRequest { name: name.clone(), etag, request_id, validate_only, destroy: true, number };
        context.api.delete_tenant(request).await?;
        if validate_only {
            output::note("Nothing was changed: this was a dry run.");
        } else {
            output::note(&format!(
                "The data of {name} is destroyed. What is left, and where: latchkey tenant destruction {}",
                self.name
            ));
        }
        Ok(())
    }
}

/// What the audit log tells of the tenants of a name that were deleted.
#[derive(Debug, PartialEq, Eq)]
enum Deleted {
    /// The number of the one that has its data still.
    One(u32),
    /// When the data of the last one was destroyed.
    Destroyed(String),
    /// What was found instead, and what to do.
    Unclear(String, String),
}

async fn deleted(name: &str, context: &Context) -> Result<Deleted, CliError> {
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let filter = format!("action = tenant.* AND subject = \"{name}\"");
        let page = newest_first(&filter, page_token, context).await?;
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(judge(name, &entries));
        }
    }
}

/// The newest entry is the first.
fn judge(name: &str, entries: &[pb::Entry]) -> Deleted {
    let destroyed = |entry: &pb::Entry| entry.facts.get("destroyed").and_then(|number| number.parse::<u32>().ok());
    let gone: BTreeSet<u32> = entries.iter().filter_map(destroyed).collect();
    let left = entries.iter().filter(|entry| entry.action == "tenant.deleted").map(|entry| entry.tenant_number);
    let left: BTreeSet<u32> = left.filter(|number| *number != 0 && !gone.contains(number)).collect();
    match (left.len(), left.first(), entries.iter().find(|entry| destroyed(entry).is_some())) {
        (1, Some(number), _) => Deleted::One(*number),
        (0, _, Some(entry)) => Deleted::Destroyed(entry.time.map(|time| time.to_string()).unwrap_or_default()),
        (0, ..) => Deleted::Unclear(
            format!("no entry that can be read says that {name} was deleted"),
            format!(
                "a tenant that is there is deleted with `latchkey tenant delete {name} --destroy-data`; of one whose entries were \
                let go by retention give its number with --number"
            ),
        ),
        _ => Deleted::Unclear(
            format!("several tenants were called {name}: numbers {left:?}"),
            "say which one with --number".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, number: u32, destroyed: Option<u32>) -> pb::Entry {
        let facts = destroyed.map(|number| ("destroyed".to_owned(), number.to_string()));
        let facts = facts.into_iter().collect();
        pb::Entry { action: action.to_owned(), tenant_number: number, facts, ..pb::Entry::default() }
    }

    #[test]
    fn the_one_that_was_deleted_and_has_its_data_is_meant() {
        let (kept, gone) = (entry("tenant.deleted", 3, None), entry("tenant.deleted", 0, Some(5)));
        assert_eq!(judge("tenants/acme", std::slice::from_ref(&kept)), Deleted::One(3));
        assert_eq!(judge("tenants/acme", &[gone.clone(), kept.clone()]), Deleted::One(3));
        assert!(matches!(judge("tenants/acme", &[gone]), Deleted::Destroyed(_)));
        let later = entry("tenant.data_destroyed", 0, Some(3));
        assert!(matches!(judge("tenants/acme", &[later, kept.clone()]), Deleted::Destroyed(_)));
        let two = judge("tenants/acme", &[entry("tenant.deleted", 9, None), kept]);
        assert!(matches!(two, Deleted::Unclear(what, _) if what.contains("{3, 9}")));
        assert!(matches!(judge("tenants/acme", &[entry("tenant.created", 3, None)]), Deleted::Unclear(..)));
    }
}
