//! `latchkey audit checkpoint`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use clap::Args;
use latchkey_transparency::Handover;
use latchkey_transparency::note::VerifierKey;
use latchkey_wire::pb::v1 as pb;

/// What to print.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey audit checkpoint
  latchkey audit checkpoint --keys > keys           # once, and kept where nobody else writes
  latchkey audit checkpoint --note > monday.note    # to be shown later with: audit verify --earlier monday.note
  latchkey audit checkpoint --handovers > handovers # after a new key: audit verify --key keys --handover handovers

The note is as c2sp.org/tlog-checkpoint says, so the tools of others read it.")]
pub(crate) struct Checkpoint {
    /// Only the keys that verify it, one a line: audit's own first, then the replicas', then those that signed before, each until
    /// how many entries.
    #[arg(long, conflicts_with_all = ["note", "handovers"])]
    keys: bool,
    /// Only the notes by which older keys handed the log over: whoever has an older key verifies by it with these.
    #[arg(long, conflicts_with = "note")]
    handovers: bool,
    /// Only the signed note, byte for byte.
    #[arg(long)]
    note: bool,
}

impl Checkpoint {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CliError> {
        let answer = context.api.get_checkpoint(pb::GetCheckpointRequest {}).await?;
        let keys = keys_text(&answer.message)?;
        if self.keys {
            return output::print(&keys);
        }
        if self.handovers {
            return output::print(&answer.message.handovers.concat());
        }
        if self.note {
            return output::print(&answer.message.note);
        }
        if let Some(text) = context.printer.program(&answer.json()) {
            return output::print(&text);
        }
        output::print(&format!("{}\nVerified by these keys:\n\n{keys}", answer.message.note))
    }
}

/// The keys that verify a checkpoint, and those before the log's, one a line, as `audit verify` reads them. Those of a tree that an
/// epoch ended are of another log.
///
/// # Errors
/// [`CliError::Other`]: a handover is none.
pub(super) fn keys_text(checkpoint: &pb::Checkpoint) -> Result<String, CliError> {
    let mut text: String = checkpoint.verifier_keys.iter().map(|key| format!("{key}\n")).collect();
    let log = checkpoint.verifier_keys.first().and_then(|key| VerifierKey::parse(key).ok());
    let handovers = Handover::open_all(&checkpoint.handovers.concat());
    for (_, handover) in handovers.map_err(|error| CliError::Other(Box::new(error)))? {
        if log.as_ref().is_some_and(|log| log.name() == handover.last.origin) {
            text.push_str(&format!("{} until {}\n", handover.old, handover.last.size));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_transparency::note::{Algorithm, SignerKey};
    use latchkey_transparency::{Checkpoint as Tree, Hash};

    #[test]
    fn the_keys_of_a_tree_that_an_epoch_ended_are_none_of_this_log() {
        let key = |origin: &str, seed| SignerKey::new(origin, Algorithm::Ed25519, &[seed; 32]).expect("a key");
        let handover = |origin: &str, [old, new]: [u8; 2]| {
            let last = Tree { origin: origin.to_owned(), size: 5, root: Hash::new([7; 32]) };
            Handover::sign(&last, &key(origin, old), &key(origin, new)).to_string()
        };
        let (ended, log) = ("latchkey/c1", "latchkey/c1/e2");
        let (old, new) = (key(log, 2).verifier().to_string(), key(log, 3).verifier().to_string());
        let told = pb::Checkpoint {
            verifier_keys: vec![new.clone()],
            handovers: vec![handover(ended, [1, 2]), handover(log, [2, 3])],
            ..pb::Checkpoint::default()
        };
        assert_eq!(keys_text(&told).expect("handovers"), format!("{new}\n{old} until 5\n"));
    }
}
