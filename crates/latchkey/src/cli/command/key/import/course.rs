//! The course of an import: batches read ahead, owners and roles made before their keys, and what was answered written down.

use super::prepare::Made;
use crate::cli::call_error::CallError;
use crate::cli::error::CliError;
use crate::cli::import::batch::Batch;
use crate::cli::import::fields::Tally;
use crate::cli::import::formats::Formats;
use crate::cli::import::journal::{Journal, Progress};
use crate::cli::import::naming::Naming;
use crate::cli::import::progress::{Bar, Stand};
use crate::cli::import::report::Report;
use crate::cli::import::row::Refused;
use crate::cli::import::send::Course;
use crate::cli::import::supply::Supply;
use crate::cli::span;
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Batches that are read before they can be sent.
const READ_AHEAD: usize = 2;

/// Refused rows that are told at once where no report is written.
const SHOWN_MAX: u64 = 10;

/// What one step of reading came to.
type Step = Result<(Batch, Tally), CliError>;

/// The rows of a file on their way.
pub(super) struct Rows {
    pub(super) batches: mpsc::Receiver<Step>,
    pub(super) made: Made,
    pub(super) journal: Option<Journal>,
    pub(super) report: Option<Report>,
    pub(super) progress: Progress,
    pub(super) tally: Tally,
    /// How many refused rows were told.
    pub(super) shown: u64,
    pub(super) stand: Stand,
    pub(super) bar: Bar,
}

/// Reads batches on a thread of its own. Without formats rows are read and go nowhere.
pub(super) fn read_ahead(mut supply: Supply, formats: Option<Formats>, naming: Naming) -> mpsc::Receiver<Step> {
    let (out, batches) = mpsc::channel(READ_AHEAD);
    spawn_blocking(move || {
        loop {
            let mut tally = Tally::default();
            let step = match supply.batch(formats.as_ref(), &naming, &mut tally) {
                Ok(None) => return,
                Ok(Some(batch)) => Ok((batch, tally)),
                Err(error) => Err(error),
            };
            let failed = step.is_err();
            // Nobody wants more where the import has ended.
            if out.blocking_send(step).is_err() || failed {
                return;
            }
        }
    });
    batches
}

impl Rows {
    /// Reads all, and asks nobody.
    pub(super) async fn look_only(&mut self) -> Result<(), CliError> {
        while let Some(batch) = self.next().await? {
            self.settle(batch, pb::ImportKeysResponse::default())?;
        }
        Ok(())
    }
}

impl Course for Rows {
    async fn next(&mut self) -> Result<Option<Batch>, CliError> {
        let Some(step) = self.batches.recv().await else { return Ok(None) };
        let (batch, tally) = step?;
        self.tally.add(&tally);
        self.made.make(&batch).await?;
        Ok(Some(batch))
    }

    fn settle(&mut self, mut batch: Batch, answer: pb::ImportKeysResponse) -> Result<(), CliError> {
        let rows = batch.rows();
        // The answer of an earlier try says what that try did: for this one the keys were there.
        let existing = answer.imported.iter().filter(|row| row.existing || answer.replayed).count();
        let mut refused = std::mem::take(&mut batch.refused);
        refused.extend(answer.refused.iter().map(|row| of_service(&batch, row)));
        refused.sort_by_key(|row| row.line);
        match &mut self.report {
            Some(report) => report.add(&refused)?,
            None => self.tell(&refused),
        }
        let progress = &mut self.progress;
        progress.rows += rows;
        progress.existing += existing as u64;
        progress.imported += (answer.imported.len() - existing) as u64;
        for row in &refused {
            *progress.refused.entry(row.reason.clone()).or_default() += 1;
        }
        progress.report_bytes = self.report.as_ref().map_or(0, Report::bytes);
        if let Some(journal) = &self.journal {
            journal.write(progress)?;
        }
        self.stand.rows += rows;
        self.stand.refused += refused.len() as u64;
        self.stand.bytes = batch.read_bytes;
        self.bar.show(&self.stand);
        Ok(())
    }

    fn pause(&mut self, error: &CallError, pause: Duration) {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.bar.say(&format!("{error}; trying again in {}", span::show(millis)));
    }
}

impl Rows {
    /// The first refused rows, where no report is written.
    fn tell(&mut self, refused: &[Refused]) {
        for row in refused {
            self.shown += 1;
            match self.shown {
                ..=SHOWN_MAX => self.bar.say(&sentence(row)),
                count if count == SHOWN_MAX + 1 => {
                    self.bar.say("More rows are refused: --refused FILE writes all of them down.");
                }
                _ => return,
            }
        }
    }
}

fn sentence(row: &Refused) -> String {
    let id = if row.source_id.is_empty() { String::new() } else { format!(" ({})", row.source_id) };
    let field = if row.field.is_empty() { String::new() } else { format!("{}: ", row.field) };
    format!("line {}{id}: {field}{} ({})", row.line, row.message, row.reason)
}

/// What the service refused, by where it stands in the file.
fn of_service(batch: &Batch, row: &pb::RefusedRow) -> Refused {
    let index = usize::try_from(row.index).unwrap_or(usize::MAX);
    let (line, source_id) = batch.places.get(index).cloned().unwrap_or_default();
    let reason = row.reason().as_str_name().trim_start_matches("IMPORT_REFUSAL_").to_owned();
    Refused { line, source_id, field: row.field.clone(), reason, message: row.message.clone() }
}
