//! `latchkey doctor`: what is wrong with this installation, and what to do.

mod checks;
mod cluster;
mod settings;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Column, Printer, Shape, View};
use crate::cli::settings::GlobalArguments;
use clap::Args;
use serde_json::{Value, json};

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("CHECK", "check", Shape::Plain),
        Column::new("RESULT", "result", Shape::Word),
        Column::new("FOUND", "found", Shape::Plain),
        Column::new("DO", "do", Shape::Plain),
    ],
    none: "Nothing was checked.",
};

/// Nothing to say: the connection is that of every command.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey doctor
  latchkey doctor --profile live --output json

Exit code 0 only where all is well, 3 otherwise.")]
pub(crate) struct Doctor {}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Ok,
    Wrong,
    /// It needs what another check found wrong.
    Skipped,
}

/// One line of the diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    check: String,
    health: Health,
    found: String,
    remedy: String,
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), health: Health::Ok, found: found.into(), remedy: String::new() }
    }

    fn wrong(check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check: check.into(), health: Health::Wrong, found: found.into(), remedy: remedy.into() }
    }

    fn skipped(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), health: Health::Skipped, found: found.into(), remedy: String::new() }
    }

    /// A call that failed, in one line.
    fn failed(check: impl Into<String>, error: &CliError, remedy: impl Into<String>) -> Self {
        Self::wrong(check, error.to_string(), remedy)
    }

    fn json(&self) -> Value {
        let result = match self.health {
            Health::Ok => "ok",
            Health::Wrong => "wrong",
            Health::Skipped => "skipped",
        };
        json!({"check": self.check, "result": result, "found": self.found, "do": self.remedy})
    }
}

impl Doctor {
    pub(crate) async fn run(self, global: &GlobalArguments, printer: Printer) -> Result<Exit, CliError> {
        let mut findings = Vec::new();
        if let Some(settings) = settings::look(global, &mut findings) {
            let key = settings::source(&settings.key);
            match Context::new(settings, printer) {
                Ok(context) => checks::look(&context, &key, &mut findings).await,
                Err(error) => {
                    findings.push(Finding::failed("management key", &error, "give another one with --key-file"));
                }
            }
        }
        let well = findings.iter().all(|finding| finding.health != Health::Wrong);
        let rows: Vec<Value> = findings.iter().map(Finding::json).collect();
        let whole = json!({"well": well, "checks": rows});
        output::print(&printer.many(&VIEW, &whole, &rows))?;
        if !printer.is_for_programs() {
            let wrong = findings.iter().filter(|finding| finding.health == Health::Wrong).count();
            output::note(&if well {
                "All is well.".to_owned()
            } else {
                format!("{wrong} wrong: see the last column.")
            });
        }
        Ok(if well { Exit::Done } else { Exit::No })
    }
}
