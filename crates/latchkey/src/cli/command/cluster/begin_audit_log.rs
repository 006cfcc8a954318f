//! `latchkey cluster begin-audit-log`.

use crate::cli::confirm::{YesArguments, question};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::shared::TryArguments;
use clap::Args;
use latchkey_wire::pb::v1 as pb;

/// How sure it is that the log is lost.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey cluster begin-audit-log --dry-run
  latchkey cluster begin-audit-log
  latchkey cluster begin-audit-log --force --yes

Only for when no copy of audit's data folder and none of its archive is left. Any copy of either is better: put it back and
start audit, and it goes on. The new log has another name and begins with nothing; its first entry, audit.log_began, names the
old one, how long that was, its root, and its newest checkpoint, so that auditors see where it was cut. What audit had not
taken is in neither. Start audit then with an empty data folder and an empty archive.")]
pub(crate) struct BeginAuditLog {
    /// Also where nothing has waited for audit for 10 minutes, or an audit service answers.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    sure: YesArguments,
    #[command(flatten)]
    tried: TryArguments,
}

impl BeginAuditLog {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Self { force, sure, tried } = self;
        let request = pb::BeginAuditLogRequest { force, validate_only: true, request_id: String::new() };
        let rehearsed = context.api.begin_audit_log(request.clone()).await?;
        if !force {
            nobody_has_it(context).await?;
        }
        if tried.dry_run {
            context.show_change(&rehearsed, true)?;
            return Ok(Exit::Done);
        }
        if !sure.yes {
            let cluster = context.api.get_cluster(pb::GetClusterRequest {}).await?.message.cluster_id;
            let what = format!(
                "The audit log of cluster {cluster} would end here, finally, and another begin. Entries that audit had not \
                 taken are in neither."
            );
            question(&what, &cluster)?;
        }
        let request = pb::BeginAuditLogRequest { validate_only: false, request_id: tried.request_id(), ..request };
        let answer = context.api.begin_audit_log(request).await?;
        if context.printer.is_for_people() {
            output::note(&format!(
                "The log {} has begun. Start audit with an empty data folder and an empty archive, and give auditors its name.",
                answer.message.log
            ));
        }
        context.show_change(&answer, false)?;
        Ok(Exit::Done)
    }
}

/// An audit service that answers has its log, though it may be stuck. One that cannot be asked proves nothing.
async fn nobody_has_it(context: &Context) -> Result<(), CliError> {
    match context.api.get_checkpoint(pb::GetCheckpointRequest {}).await {
        Ok(answer) => {
            let size = answer.message.note.lines().nth(1).unwrap_or("some").to_owned();
            Err(CliError::usage(format!("an audit service answers, and has a log of {size} entries: it is not lost"))
                .remedy("latchkey doctor tells what audit waits for; if that log is none of this cluster any more, say --force"))
        }
        Err(_) => Ok(()),
    }
}
