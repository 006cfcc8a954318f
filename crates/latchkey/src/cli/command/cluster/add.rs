//! `latchkey cluster add`.

use super::watch::{Watch, is_caught_up};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::shared::TryArguments;
use clap::Args;
use latchkey_wire::pb::v1 as pb;

/// Who, and where.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey-validation init --config replica-4.toml --cluster 0123456789abcdef0123456789abcdef
  latchkey cluster add 4 --region eu-west --address replica-4.example:7720 --raft-address replica-4.example:7721
  latchkey cluster promote 4

The id is new: never that of a replica that is gone. The replica follows as soon as it is started, and answers validations
once it has caught up. It votes only after `latchkey cluster promote`.")]
pub(crate) struct Add {
    /// Its id, at least 1.
    #[arg(value_name = "ID")]
    id: u64,
    /// Its region, a word such as eu-west.
    #[arg(long, value_name = "REGION")]
    region: String,
    /// Where its services are reached.
    #[arg(long, value_name = "HOST:PORT")]
    address: String,
    /// Where the other replicas reach it.
    #[arg(long, value_name = "HOST:PORT")]
    raft_address: String,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    tried: TryArguments,
}

impl Add {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Self { id, region, address, raft_address, watch, tried } = self;
        let (validate_only, request_id) = (tried.dry_run, tried.request_id());
        let request = pb::AddReplicaRequest { id, region, address, raft_address, validate_only, request_id };
        let answer = context.api.add_replica(request).await?;
        if !tried.dry_run {
            let hint = format!("start replica {id} if it is not; latchkey cluster show tells how far it is");
            watch.until(context, id, is_caught_up, &hint).await?;
            if context.printer.is_for_people() {
                output::note(&format!("Replica {id} follows. It votes after: latchkey cluster promote {id}"));
            }
        }
        context.show_change(&answer, tried.dry_run)?;
        Ok(Exit::Done)
    }
}
