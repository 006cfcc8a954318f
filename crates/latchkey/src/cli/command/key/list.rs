//! `latchkey key list` and `latchkey key show`.

use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use clap::Args;
use latchkey_wire::pb::v1 as pb;

pub(in crate::cli::command) const VIEW: View = View {
    columns: &[
        Column::new("KEY", "name", Shape::Name),
        Column::new("DISPLAY NAME", "displayName", Shape::Plain),
        Column::new("STATE", "state", Shape::Word),
        Column::new("OWNER", "owner", Shape::Name),
        Column::new("PERMISSIONS", "permissions", Shape::Plain),
        Column::new("VERSIONS", "versions", Shape::Count),
        Column::new("CREATED", "createTime", Shape::Age),
        Column::new("ENDS", "expireTime", Shape::Age),
    ],
    none: "No key of the keyspace matches.",
};

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key list acme/orders
  latchkey key list acme/orders --filter 'state = ACTIVE AND age > 90d' --order-by 'expire_time'
  latchkey key list acme/orders --owner shop --limit 0 --output json

The fields of a filter: owner, role, parent_key, state, display_name, create_time, update_time, expire_time, age, unchanged.")]
pub(crate) struct List {
    /// The keyspace.
    #[arg(value_name = "TENANT/KEYSPACE")]
    keyspace: String,
    /// Which keys: comparisons joined by AND.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// Of this owner.
    #[arg(long, value_name = "[TENANT/]OWNER")]
    owner: Option<String>,
    /// In this state: active, suspended, revoked, expired.
    #[arg(long, value_name = "STATE", value_parser = ["active", "suspended", "revoked", "expired"])]
    state: Option<String>,
    /// name, create_time, update_time or expire_time, with ' desc' for the reverse.
    #[arg(long, value_name = "ORDER", default_value = "", hide_default_value = true)]
    order_by: String,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey key show acme/orders/0Jx5k3f9QmZ2aB7c")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let parent = context.name(Kind::Keyspace, &self.keyspace)?;
        let filter = self.whole_filter(&parent)?;
        let fetch = async |page_size, page_token| {
            let request = pb::ListKeysRequest {
                parent: parent.clone(),
                page_size,
                page_token,
                filter: filter.clone(),
                order_by: self.order_by.clone(),
            };
            let answer = context.api.list_keys(request).await?;
            Ok(Page::new(&answer, |page| &page.next_page_token))
        };
        context.list(&self.page, &VIEW, "keys", fetch).await
    }

    /// The filter, with what has a flag of its own.
    fn whole_filter(&self, keyspace: &str) -> Result<String, CliError> {
        let owner = self.owner.as_ref().map(|name| super::create::owner(keyspace, name)).transpose()?;
        let parts = [
            (!self.filter.is_empty()).then(|| self.filter.clone()),
            owner.map(|owner| format!("owner = \"{owner}\"")),
            self.state.as_ref().map(|state| format!("state = {}", state.to_uppercase())),
        ];
        Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" AND "))
    }
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let name = context.name(Kind::Key, &self.name)?;
        context.show(&context.api.get_key(pb::GetKeyRequest { name }).await?)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Arguments;
    use crate::cli::command::Task;
    use crate::cli::command::key::KeyTask;
    use clap::Parser as _;

    #[test]
    fn flags_are_parts_of_the_filter() {
        let given = ["latchkey", "key", "list", "a/b", "--filter", "age > 90d", "--owner", "shop", "--state", "active"];
        let Task::Key(KeyTask::List(list)) = Arguments::try_parse_from(given).unwrap().task else {
            panic!("these are the arguments of key list");
        };
        let filter = list.whole_filter("tenants/a/keyspaces/b").unwrap();
        assert_eq!(filter, "age > 90d AND owner = \"tenants/a/owners/shop\" AND state = ACTIVE");
    }
}
