//! `latchkey cluster transfer`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::shared::TryArguments;
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;

/// To whom.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey cluster transfer
  latchkey cluster transfer 2

Writes pause for as long as an election takes, 1 s to 4 s, and nothing that was acknowledged is lost; validations go on. A
replica that is stopped by SIGTERM hands over by itself.")]
pub(crate) struct Transfer {
    /// The voter that is to lead [default: the one that has the most of the log].
    #[arg(value_name = "ID", default_value_t = 0, hide_default_value = true)]
    id: u64,
    /// How long to wait until it leads.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "15s")]
    wait: Duration,
    #[command(flatten)]
    tried: TryArguments,
}

impl Transfer {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Self { id, wait, tried } = self;
        let (validate_only, request_id) = (tried.dry_run, tried.request_id());
        let request = pb::TransferLeadershipRequest { id, validate_only, request_id };
        let answer = context.api.waiting(Some(wait)).transfer_leadership(request).await?;
        context.show_change(&answer, tried.dry_run)?;
        let led = answer.message.leader;
        if tried.dry_run || led.is_some_and(|leader| id == 0 || leader == id) {
            return Ok(Exit::Done);
        }
        let leads = led.map_or("nobody is known to lead".to_owned(), |leader| format!("replica {leader} leads"));
        Err(CliError::usage(format!("{leads}, after {} s", wait.as_secs()))
            .remedy("latchkey cluster show tells how the replicas fare; try again"))
    }
}
