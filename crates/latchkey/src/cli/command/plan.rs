//! `latchkey plan`: what a cluster takes, before there is one.

mod figures;
mod sizes;
#[cfg(test)]
mod tests;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Printer};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use sizes::{Sizes, Wanted, voters, warnings};

/// How many keys, and over what.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey plan --keys 1000000
  latchkey plan --keys 2000000 --replicas 5 --regions north,middle,south --profile wan --writes-per-second 50
  latchkey plan --keys 1000000 --output json\n\n\
It calls nobody: it multiplies figures that were measured, and names where each comes from.")]
pub(crate) struct Plan {
    /// Keys that are there at once; dead ones count until their keyspace's `dead_retention` is over.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    keys: u64,
    /// Replicas that vote.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=15))]
    replicas: u64,
    /// The regions that they are spread over, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "REGION,...")]
    regions: Vec<String>,
    /// How raft is timed; `wan` where there is more than one region.
    #[arg(long, value_enum)]
    profile: Option<Times>,
    /// Changes that are expected, all day: keys made, rotated, revoked.
    #[arg(long, default_value_t = 10, value_name = "N")]
    writes_per_second: u64,
    /// Backups that are kept.
    #[arg(long, default_value_t = 24, value_name = "N")]
    backups: u64,
}

/// Where the replicas stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Times {
    /// On one site.
    OneSite,
    /// In regions up to 100 ms apart.
    Wan,
}

impl Times {
    const fn word(self) -> &'static str {
        match self {
            Self::OneSite => "one-site",
            Self::Wan => "wan",
        }
    }

    /// How long a validation may go on without a leader, at least; and how long writes stop at a leader's death. Seconds.
    const fn bounds(self) -> (f64, &'static str) {
        match self {
            Self::OneSite => (5.0, "1.5 to 2.0"),
            Self::Wan => (10.0, "4.1 to 5.1"),
        }
    }
}

impl Plan {
    pub(crate) fn run(&self, printer: Printer) -> Result<Exit, CliError> {
        let (wanted, times) = self.wanted()?;
        let sizes = Sizes::of(&wanted);
        let text = if printer.is_for_people() {
            text(&wanted, times, &sizes)
        } else {
            printer.one(&value(&wanted, times, &sizes))
        };
        output::print(&text)?;
        Ok(Exit::Done)
    }

    #[expect(clippy::cast_precision_loss, reason = "bounded far below 2^53")]
    fn wanted(&self) -> Result<(Wanted, Times), CliError> {
        let regions: Vec<String> = if self.regions.is_empty() { vec!["one site".into()] } else { self.regions.clone() };
        if let Some((index, twice)) = regions.iter().enumerate().find(|(index, one)| regions[..*index].contains(one)) {
            return Err(CliError::usage(format!(
                "--regions: {twice:?} is given twice (number {}), expected once",
                index + 1
            )));
        }
        if regions.iter().any(String::is_empty) {
            return Err(CliError::usage("--regions: an empty name, expected words separated by commas"));
        }
        let usual = if regions.len() > 1 { Times::Wan } else { Times::OneSite };
        let replicas = usize::try_from(self.replicas).expect("at most 15");
        let wanted = Wanted {
            keys: self.keys as f64,
            replicas,
            regions,
            writes_per_second: self.writes_per_second as f64,
            backups: self.backups as f64,
        };
        Ok((wanted, self.profile.unwrap_or(usual)))
    }
}

/// Bytes as people read them.
fn bytes(count: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let found = units.iter().find(|(size, _)| count >= *size);
    found.map_or_else(|| format!("{count:.0} B"), |(size, unit)| format!("{:.1} {unit}", count / size))
}

/// With a comma for each thousand.
fn grouped(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn text(wanted: &Wanted, times: Times, sizes: &Sizes) -> String {
    let (bound, gap) = times.bounds();
    let spread: Vec<String> = voters(wanted).iter().map(|(region, count)| format!("{region} {count}")).collect();
    let lost = (wanted.replicas - 1) / 2;
    let mut lines = vec![
        format!(
            "{} keys, {} voting replicas ({}), profile {}, {} writes a second",
            grouped(wanted.keys),
            wanted.replicas,
            spread.join(", "),
            times.word(),
            wanted.writes_per_second
        ),
        String::new(),
        "Each replica".to_owned(),
    ];
    let mut line = |what: &str, much: String| lines.push(format!("  {what:<46} {much}"));
    line("memory after a start", bytes(sizes.memory_after_start));
    line("memory to reserve, and to limit it to", bytes(sizes.memory_to_reserve));
    line("disk in use", bytes(sizes.disk_used));
    line("disk to provide", bytes(sizes.disk_to_provide));
    line("  of it an outbox that audit has left alone", bytes(sizes.outbox));
    line("  of it snapshots that are sent or come", bytes(2.0 * sizes.snapshot));
    line("from a start to the first VALID", format!("{:.1} s", sizes.start_seconds));
    line("validations a second on one processor", grouped(sizes.validations));
    lines.push("All together".to_owned());
    let mut line = |what: &str, much: String| lines.push(format!("  {what:<46} {much}"));
    line("replicas that may be lost", lost.to_string());
    line("writes a second", grouped(sizes.writes));
    line("writes stop at a leader's death for", format!("{gap} s"));
    line("validations go on without a leader for", format!("{bound} s at least"));
    line(&format!("{} backups", wanted.backups), bytes(sizes.backups));
    line("audit, once the keys are there", bytes(sizes.audit_now));
    line("audit, more each year", bytes(sizes.audit_a_year));
    for warning in warnings(wanted, sizes) {
        lines.push(format!("\n! {warning}"));
    }
    lines.push("\nMeasured".to_owned());
    for figure in figures::ALL {
        lines.push(format!(
            "  {:<18} {:>13} {:<20} {}",
            figure.name,
            grouped_or_exact(figure.value),
            figure.unit,
            figure.source
        ));
    }
    lines.join("\n") + "\n"
}

/// A measured value as it is.
fn grouped_or_exact(value: f64) -> String {
    if value.fract() == 0.0 { grouped(value) } else { value.to_string() }
}

fn value(wanted: &Wanted, times: Times, sizes: &Sizes) -> Value {
    let (bound, _) = times.bounds();
    let figures: Vec<Value> = figures::ALL
        .iter()
        .map(|figure| json!({ "name": figure.name, "value": figure.value, "unit": figure.unit, "source": figure.source }))
        .collect();
    let regions: Vec<Value> =
        voters(wanted).iter().map(|(region, count)| json!({ "region": region, "voters": count })).collect();
    json!({
        "keys": wanted.keys,
        "replicas": wanted.replicas,
        "regions": regions,
        "profile": times.word(),
        "replica": {
            "memoryAfterStartBytes": sizes.memory_after_start,
            "memoryToReserveBytes": sizes.memory_to_reserve,
            "diskUsedBytes": sizes.disk_used,
            "diskToProvideBytes": sizes.disk_to_provide,
            "snapshotBytes": sizes.snapshot,
            "outboxBytes": sizes.outbox,
            "startSeconds": sizes.start_seconds,
            "validationsPerSecond": sizes.validations,
        },
        "cluster": {
            "replicasThatMayBeLost": (wanted.replicas - 1) / 2,
            "writesPerSecond": sizes.writes,
            "stalenessMaxSeconds": bound,
            "backupBytes": sizes.backups,
            "auditBytes": sizes.audit_now,
            "auditBytesPerYear": sizes.audit_a_year,
        },
        "warnings": warnings(wanted, sizes),
        "figures": figures,
    })
}
