//! What an import came to.

use super::course::Rows;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::import::progress::thousands;
use crate::cli::{names, output, span};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Prints it. `settled` rows were settled by this run, the rest by earlier ones.
pub(super) fn show(
    context: &Context,
    keyspace: &str,
    rows: &Rows,
    settled: u64,
    elapsed: Duration,
    dry_run: bool,
) -> Result<(), CliError> {
    let (progress, tally) = (&rows.progress, &rows.tally);
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = settled.saturating_mul(1_000) / millis;
    let refused: u64 = progress.refused.values().sum();
    if context.printer.is_for_people() {
        let seconds = span::show(millis.max(1_000) / 1_000 * 1_000);
        let (imported, verb) = (thousands(progress.imported), if dry_run { "would come in" } else { "imported" });
        let mut lines = vec![format!(
            "{}: {imported} {verb}, {} there already, {} refused of {} rows; {} rows in {seconds}, {} a second",
            names::short(keyspace),
            thousands(progress.existing),
            thousands(refused),
            thousands(progress.rows),
            thousands(settled),
            thousands(rate),
        )];
        for (what, counts) in [
            ("refused, by reason", &progress.refused),
            ("fields that refused their rows", &tally.refused),
            ("fields kept as metadata", &tally.as_metadata),
            ("fields left behind", &tally.left_behind),
        ] {
            lines.extend(counted(counts).map(|counted| format!("{what}: {counted}")));
        }
        if dry_run {
            output::note("Nothing was changed: this is what would be.");
        }
        let keyspace = names::short(keyspace);
        output::note(&format!(
            "Who validates these texts has to name the keyspace: latchkey validate --keyspace {keyspace}"
        ));
        return output::print(&(lines.join("\n") + "\n"));
    }
    let value: Value = json!({
        "name": keyspace, "rows": progress.rows, "imported": progress.imported, "existing": progress.existing,
        "refused": refused, "refusedByReason": progress.refused, "fieldsRefused": tally.refused,
        "fieldsKeptAsMetadata": tally.as_metadata, "fieldsLeftBehind": tally.left_behind, "rowsSettledNow": settled,
        "milliseconds": millis, "rowsPerSecond": rate, "validateOnly": dry_run,
    });
    output::print(&context.printer.one(&value))
}

fn counted(counts: &BTreeMap<String, u64>) -> Option<String> {
    let all: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {}", thousands(*count))).collect();
    (!all.is_empty()).then(|| all.join(", "))
}
