//! `latchkey tenant destruction`: what is still left of a tenant whose data was destroyed, and where.

use super::backups_left::{BackupsLeft, held_by};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::Kind;
use crate::cli::output::{self, Column, Shape, View};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use serde_json::{Value, json};

const VIEW: View = View {
    columns: &[
        Column::new("REPLICA", "id", Shape::Plain),
        Column::new("REGION", "region", Shape::Plain),
        Column::new("WRAPPED KEYS", "wrappedKeys", Shape::Word),
        Column::new("HOLDS FROM", "holdsFrom", Shape::Revision),
        Column::new("BACKUPS", "backupsHeld", Shape::Number),
    ],
    none: "The replica that answered knows of none.",
};

/// Of which tenant.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey tenant destruction acme\n  latchkey tenant destruction acme --output json\n\n\
    What replicas hold is known by the leader: where WRAPPED KEYS says UNKNOWN, ask it, or wait for a replica that is away.\n\
    BACKUPS counts those in the folder of a replica that hold them, as it told; files that people took are theirs."
)]
pub(crate) struct Destruction {
    /// Its name. Its data was destroyed when it was deleted, or later.
    #[arg(value_name = "TENANT")]
    name: String,
}

impl Destruction {
    /// # Errors
    /// A call failed, or no data of such a tenant was destroyed.
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let name = context.name(Kind::Tenant, &self.name)?;
        let entry = entry(&name, context).await?;
        let cluster = context.api.get_cluster(pb::GetClusterRequest {}).await?.message;
        let destroyed = entry.revision.unwrap_or_default();
        let replicas: Vec<_> = cluster.replicas.iter().filter(|replica| !is_gone(replica)).collect();
        let shown = cluster.replicas.iter().filter(|replica| !is_gone(replica) || held_by(replica, destroyed) > 0);
        let rows: Vec<_> = shown.map(|replica| row(replica, destroyed)).collect();
        let backups = BackupsLeft::read(&entry, context).await?;
        let held: u64 = cluster.replicas.iter().map(|replica| held_by(replica, destroyed)).sum();
        let everywhere =
            !replicas.is_empty() && replicas.iter().all(|replica| holds(replica, destroyed) == Some(false));
        let time = entry.time.map(|time| time.to_string()).unwrap_or_default();
        let answer = json!({
            "name": name,
            "destroyTime": time,
            "revision": revision(destroyed),
            "sequence": entry.sequence.to_string(),
            "number": entry.facts.get("destroyed"),
            "goneFromReplicas": everywhere,
            "backupsTakenUntil": time,
            "goneFromFolders": held == 0,
            "backups": backups.json(&cluster.replicas),
            "replicas": rows,
        });
        if context.printer.is_for_programs() {
            output::print(&context.printer.one(&answer))?;
            return Ok(Exit::Done);
        }
        output::print(&format!(
            "{name}: its keys left the keyring at {time}, revision {}:{}.\n",
            destroyed.epoch, destroyed.index
        ))?;
        output::print(if everywhere {
            "No log and no snapshot of a replica holds them any more, wrapped or not.\n\n"
        } else {
            "A log or a snapshot may still hold them, wrapped by the key-encryption key, until it is purged in the course of time:\n\n"
        })?;
        output::print(&context.printer.many(&VIEW, &answer, &rows))?;
        output::print(&format!("\n{}", backups.text(&cluster.replicas)))?;
        output::print(&format!(
            "Backups taken before {time} hold them, and so do copies of them. A file of yours goes when you remove it; all of them are of no \
             use when the key-encryption key of then is destroyed.\n"
        ))?;
        Ok(Exit::Done)
    }
}

/// The newest entry that tells that the data of a tenant of this name was destroyed.
async fn entry(name: &str, context: &Context) -> Result<pb::Entry, CliError> {
    let mut page_token = String::new();
    loop {
        let filter = format!("action = tenant.* AND subject = \"{name}\"");
        let page = newest_first(&filter, page_token, context).await?;
        if let Some(found) = page.entries.into_iter().find(|entry| entry.facts.contains_key("destroyed")) {
            return Ok(found);
        }
        if page.next_page_token.is_empty() {
            let what = format!("no entry says that the data of {name} was destroyed");
            let remedy = Some(format!(
                "latchkey tenant delete {name} --destroy-data; of one that was deleted before: latchkey tenant destroy-data {name}"
            ));
            return Err(CliError::Usage { what, remedy });
        }
        page_token = page.next_page_token;
    }
}

/// A page of entries of the whole system, the newest first.
pub(super) async fn newest_first(
    filter: &str,
    page_token: String,
    context: &Context,
) -> Result<pb::ListEntriesResponse, CliError> {
    let (parent, filter, order_by) = (String::new(), filter.to_owned(), "sequence desc".to_owned());
    let request = pb::ListEntriesRequest { parent, filter, order_by, page_size: 1_000, page_token };
    Ok(context.api.list_entries(request).await?.message)
}

/// Whether it was retired: it writes nothing any more, and its folder may be there still.
pub(super) fn is_gone(replica: &pb::Replica) -> bool {
    replica.role() == pb::replica::Role::Retired
}

/// Whether the folder of a replica may hold what was destroyed; `None`: it is not known.
fn holds(replica: &pb::Replica, destroyed: pb::Revision) -> Option<bool> {
    let from = replica.holds_from?;
    Some((from.epoch, from.index) < (destroyed.epoch, destroyed.index))
}

fn row(replica: &pb::Replica, destroyed: pb::Revision) -> Value {
    let wrapped = match holds(replica, destroyed) {
        _ if is_gone(replica) => "RETIRED",
        Some(true) => "HELD",
        Some(false) => "GONE",
        None => "UNKNOWN",
    };
    let from = replica.holds_from.map(revision);
    let (id, held) = (replica.id.to_string(), held_by(replica, destroyed));
    json!({ "id": id, "region": replica.region, "wrappedKeys": wrapped, "holdsFrom": from, "backupsHeld": held })
}

fn revision(revision: pb::Revision) -> Value {
    json!({ "epoch": revision.epoch.to_string(), "index": revision.index.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_holds_what_was_destroyed_until_its_log_begins_behind_it() {
        let of = |index| pb::Replica { holds_from: Some(pb::Revision { epoch: 1, index }), ..pb::Replica::default() };
        let destroyed = pb::Revision { epoch: 1, index: 42 };
        assert_eq!(holds(&of(41), destroyed), Some(true));
        assert_eq!(holds(&of(42), destroyed), Some(false));
        assert_eq!(holds(&pb::Replica::default(), destroyed), None);
        assert_eq!(row(&of(41), destroyed)["wrappedKeys"], "HELD");
    }
}
