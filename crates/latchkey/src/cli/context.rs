//! What every command works with: the services, the printer, and the tenant of names that leave it out.

use crate::cli::api::{Answer, Api};
use crate::cli::error::CliError;
use crate::cli::files;
use crate::cli::names::{self, Kind};
use crate::cli::output::{self, Printer, View};
use crate::cli::settings::Settings;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use prost::Message;
use serde_json::Value;
use std::path::Path;
use zeroize::Zeroizing;

/// Items in a page of ours at most: the most that a service gives.
const PAGE_ITEMS_MAX: u32 = 1_000;

/// What every command works with.
pub(crate) struct Context {
    pub(crate) api: Api,
    pub(crate) printer: Printer,
    pub(crate) tenant: Option<String>,
    /// The management key; who asks whose it is has to show it.
    pub(crate) key: Option<Zeroizing<String>>,
    input_taken: bool,
}

/// How much of a list is wanted.
#[derive(Args, Debug)]
pub(crate) struct PageArguments {
    /// How many at most; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Go on where an earlier list ended: its `nextPageToken`.
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page_token: String,
}

/// One page, as JSON, and where the next begins.
pub(crate) struct Page {
    answer: Value,
    next: String,
}

impl Page {
    /// Of the answer of a `List` method.
    pub(crate) fn new<T: Message>(answer: &Answer<T>, next: impl FnOnce(&T) -> &str) -> Self {
        Self { answer: answer.json(), next: next(&answer.message).to_owned() }
    }
}

impl Context {
    pub(crate) fn new(settings: Settings, printer: Printer) -> Result<Self, CliError> {
        let key = settings.key.read()?;
        let api = Api::new(&settings, key.as_deref().map(String::as_str))?;
        Ok(Self { api, printer, input_taken: settings.key.takes_input(), tenant: settings.tenant, key })
    }

    /// The full form of a name.
    pub(crate) fn name(&self, kind: Kind, name: &str) -> Result<String, CliError> {
        kind.full(name, self.tenant.as_deref())
    }

    /// The full name of the tenant asked for, or of the one that stands in.
    pub(crate) fn parent_tenant(&self, given: Option<&str>) -> Result<String, CliError> {
        match given.or(self.tenant.as_deref()) {
            Some(tenant) => Kind::Tenant.full(tenant, None),
            None => Err(CliError::usage("expected a tenant")
                .remedy("name it, or once for all with --tenant or LATCHKEY_TENANT")),
        }
    }

    /// Reads a key text from a file, or from standard input where that is free.
    pub(crate) fn key_text(&self, source: &Path, what: &str) -> Result<Zeroizing<String>, CliError> {
        if self.input_taken && source.as_os_str() == files::STANDARD_INPUT {
            return Err(CliError::usage(format!("standard input cannot give both the management key and {what}"))
                .remedy("give one of them in a file"));
        }
        files::read_key_text(source, what)
    }

    /// Prints one answer whole.
    pub(crate) fn show<T: Message>(&self, answer: &Answer<T>) -> Result<(), CliError> {
        output::print(&self.printer.one(&answer.json()))
    }

    /// Prints what a change came to, or would: then it says so first, since the rest looks like what is.
    pub(crate) fn show_change<T: Message>(&self, answer: &Answer<T>, dry_run: bool) -> Result<(), CliError> {
        if dry_run {
            output::note("Nothing was changed: this is what would be.");
        }
        self.show(answer)
    }

    /// Likewise for what replicas have to know: for people the one sentence that matters comes first.
    pub(crate) fn show_spread<T: Message>(
        &self,
        answer: &Answer<T>,
        regions: &[pb::RegionStatus],
        what: &str,
        dry_run: bool,
    ) -> Result<(), CliError> {
        if !dry_run && self.printer.is_for_people() {
            output::note(&format!("{what}{}.", spread(regions)));
        }
        self.show_change(answer, dry_run)
    }

    /// Says that something is gone, to whoever watches: a program has the exit code.
    pub(crate) fn deleted(&self, name: &str, dry_run: bool) {
        if !self.printer.is_for_programs() {
            let told = if dry_run { "would be deleted; nothing was changed" } else { "is deleted" };
            output::note(&format!("{} {told}.", names::short(name)));
        }
    }

    /// Prints a list: page after page, until there is no more, or as much as was wanted. `field` is where the items are.
    pub(crate) async fn list(
        &self,
        page: &PageArguments,
        view: &View,
        field: &str,
        fetch: impl AsyncFn(i32, String) -> Result<Page, CliError>,
    ) -> Result<(), CliError> {
        let wanted = if page.limit == 0 { u32::MAX } else { page.limit };
        let (mut items, mut token): (Vec<Value>, _) = (Vec::new(), page.page_token.clone());
        let mut whole = loop {
            let left = wanted.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
            let size = i32::try_from(left.min(PAGE_ITEMS_MAX)).expect("a page is small");
            let Page { mut answer, next } = fetch(size, token).await?;
            if let Some(Value::Array(found)) = answer.get_mut(field) {
                items.append(found);
            }
            token = next;
            if token.is_empty() || items.len() >= usize::try_from(wanted).unwrap_or(usize::MAX) {
                break answer;
            }
        };
        let rows = items.clone();
        whole[field] = Value::Array(items);
        output::print(&self.printer.many(view, &whole, &rows))?;
        if !token.is_empty() && !self.printer.is_for_programs() {
            output::note("There are more: --limit 0 shows all.");
        }
        Ok(())
    }
}

/// How many replicas decide by it, or cannot decide at all any more; nothing where nobody waited for them.
fn spread(regions: &[pb::RegionStatus]) -> String {
    use pb::replica_status::State;
    let replicas: Vec<State> =
        regions.iter().flat_map(|region| &region.replicas).map(pb::ReplicaStatus::state).collect();
    let known = replicas.iter().filter(|state| matches!(state, State::Applied | State::LeaseEnded)).count();
    if replicas.is_empty() { String::new() } else { format!("; {known} of {} replicas act by it", replicas.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_act_by_a_change_are_counted() {
        use pb::replica_status::State;
        let replica = |state: State| pb::ReplicaStatus { state: state.into(), ..pb::ReplicaStatus::default() };
        let replicas = [State::Applied, State::LeaseEnded, State::Waiting].map(replica).to_vec();
        let region = pb::RegionStatus { replicas, ..pb::RegionStatus::default() };
        assert_eq!(spread(&[region]), "; 2 of 3 replicas act by it");
        assert_eq!(spread(&[]), "");
    }
}
