//! `latchkey key import`.

mod course;
mod prepare;
mod summary;

use crate::cli::api::Api;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::import::fields::{Keep, Tally};
use crate::cli::import::from::{Mapping, Reader, Source};
use crate::cli::import::journal::{Journal, Progress, Subject};
use crate::cli::import::naming::Naming;
use crate::cli::import::progress::{Bar, Stand, thousands};
use crate::cli::import::report::Report;
use crate::cli::import::send::Sending;
use crate::cli::import::shape::Shape;
use crate::cli::import::supply::{Supply, measure};
use crate::cli::names::{Kind, tenant_of};
use crate::cli::shared::{pair, words};
use crate::cli::{output, span};
use clap::Args;
use course::Rows;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// What to import, and how to read it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  latchkey key import acme/orders unkey.json --from unkey --create-format --dry-run
  latchkey key import acme/orders unkey.json --from unkey --create-format --create-owners --refused refused.csv
  latchkey key import acme/orders seam.csv --from prefixed --create-format --shape 'mycompany_{base58:8}_{base58:24}'
  latchkey key import acme/orders keys.csv --from csv --map digest=sha256 --map source_id=id --map owner=team --format old

The holders keep their texts: each validates as before, in this keyspace alone. A second run goes on where the first ended, by
the journal beside the file, FILE.latchkey-import; what is in already is not imported twice. Exit code 3: some rows were
refused, and all others are in. What Latchkey cannot keep, a budget of uses or a limit of the rate, refuses its row unless
--keep-unsupported-as-metadata is given, and so does a field that nobody knows.

Fields of --map: key_text or digest, start, source_id, display_name, owner, purpose, permissions, roles, networks, methods,
resources, not_before, expire_time, source_create_time, suspended, enabled, metadata.NAME. A file of many lines of the same:
--map-file.")]
pub(crate) struct Import {
    /// The keyspace.
    #[arg(value_name = "TENANT/KEYSPACE")]
    keyspace: String,
    /// The file with the keys.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the keys come from.
    #[arg(long, value_enum, value_name = "SOURCE")]
    from: Source,
    /// With --from csv: which column is what; again for more.
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = pair)]
    map: Vec<(String, String)>,
    /// A file with such pairs, a line each.
    #[arg(long, value_name = "FILE")]
    map_file: Option<PathBuf>,
    /// Which of the keyspace's import formats the keys have [default: by how they begin].
    #[arg(long, value_name = "ID")]
    format: Option<String>,
    /// Declare in the keyspace what the key texts look like, unless it says so already.
    #[arg(long)]
    create_format: bool,
    /// What they look like [default: as the rows show].
    #[arg(long, value_name = "SHAPE", value_parser = Shape::parse, requires = "create_format")]
    shape: Option<Shape>,
    /// Of what the digests are [default: as the source makes them].
    #[arg(long, value_name = "WHAT", value_parser = words("ImportDigest"), requires = "create_format")]
    digest: Option<i32>,
    /// Make the owners that are not there yet; their display name is the name that they had.
    #[arg(long, conflicts_with = "owners_as_metadata")]
    create_owners: bool,
    /// Keep owners as metadata, source.owner, and give the keys none.
    #[arg(long)]
    owners_as_metadata: bool,
    /// Make the roles that are not there yet. They permit nothing until somebody says what.
    #[arg(long)]
    create_roles: bool,
    /// Keep as metadata, source.NAME, what Latchkey cannot keep and what nobody knows.
    #[arg(long)]
    keep_unsupported_as_metadata: bool,
    /// A field to leave behind; again for more.
    #[arg(long = "ignore-field", value_name = "NAME")]
    ignored: Vec<String>,
    /// Where each row that is refused is written to, with its reason: CSV.
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Where the journal lies [default: FILE.latchkey-import].
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// How long nothing may go forward before it gives up; it can be resumed then.
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = span::parse)]
    patience: Duration,
    /// Check every row and change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let keyspace = context.name(Kind::Keyspace, &self.keyspace)?;
        let reader = self.reader()?;
        // Held until the end: nobody else imports this file meanwhile.
        let (_locked, file_bytes, file_sha256) = measure(&self.file)?;
        let (source, subject_keyspace) = (self.from.word().to_owned(), keyspace.clone());
        let subject = Subject { keyspace: subject_keyspace, source, file_bytes, file_sha256 };
        let (journal, before) = self.journal(subject)?;
        let formats = prepare::formats(&self, context, &keyspace, &reader).await?;
        let before = before.unwrap_or_default();
        let report = self.refused.as_ref().map(|path| Report::begin(path, before.report_bytes)).transpose()?;

        let mut supply = Supply::open(&self.file, reader)?;
        let skipped = supply.skip(before.rows)?;
        if skipped < before.rows {
            let what = format!("the journal tells of {} rows, and the file has {skipped}", before.rows);
            return Err(CliError::usage(what));
        }
        let quiet = context.printer.is_for_programs();
        if before.rows > 0 && !quiet {
            output::note(&format!("Going on after row {}, where an earlier run ended.", thousands(before.rows)));
        }
        let tenant = tenant_of(&keyspace).expect("a full name has a tenant").to_owned();
        let naming = Naming { tenant, owners_as_metadata: self.owners_as_metadata };
        let bytes_before = supply.read_bytes();
        let stand = Stand { bytes_all: file_bytes, bytes: bytes_before, bytes_before, ..Stand::default() };
        let mut rows = Rows {
            batches: course::read_ahead(supply, formats.clone(), naming),
            made: prepare::Made::new(context.api.clone(), self.create_owners, self.create_roles, self.dry_run),
            journal: (!self.dry_run).then_some(journal),
            report,
            progress: before.clone(),
            tally: Tally::default(),
            shown: 0,
            stand,
            bar: Bar::new(quiet),
        };
        let patience = self.patience;
        let ended = match formats.is_some() {
            true => {
                let sending = Sending { way: &context.api, keyspace: &keyspace, validate_only: self.dry_run, patience };
                sending.run(&mut rows).await
            }
            false => rows.look_only().await,
        };
        rows.bar.clear();
        if let Err(error) = ended {
            if !self.dry_run && !quiet {
                let settled = thousands(rows.progress.rows);
                output::note(&format!("{settled} rows are settled. The same command goes on after them."));
            }
            return Err(error);
        }
        let elapsed = rows.bar.elapsed();
        let settled = rows.progress.rows - before.rows;
        summary::show(context, &keyspace, &rows, settled, elapsed, self.dry_run)?;
        if let Some(journal) = &rows.journal {
            journal.remove()?;
        }
        Ok(if rows.progress.refused.is_empty() { Exit::Done } else { Exit::No })
    }

    fn reader(&self) -> Result<Reader, CliError> {
        let mut pairs = self.map.clone();
        if let Some(path) = &self.map_file {
            let text = fs::read_to_string(path);
            let text = text.map_err(|source| CliError::File { verb: "read", path: path.clone(), source })?;
            pairs.extend(Mapping::pairs(&text).map_err(CliError::usage)?);
        }
        if !pairs.is_empty() && self.from != Source::Csv {
            return Err(CliError::usage("a mapping of columns goes with --from csv"));
        }
        let ignored = self.ignored.iter().cloned().collect();
        let keep = Keep { as_metadata: self.keep_unsupported_as_metadata, ignored };
        Ok(Reader { source: self.from, mapping: Mapping::of(pairs).map_err(CliError::usage)?, keep })
    }

    /// The journal with what it tells. Whoever changes nothing writes none, and begins at the beginning.
    fn journal(&self, subject: Subject) -> Result<(Journal, Option<Progress>), CliError> {
        let path = self.journal.clone().unwrap_or_else(|| Journal::path_of(&self.file));
        if self.dry_run {
            return Ok((Journal::unread(path, subject), None));
        }
        Journal::open(path, subject)
    }
}

/// What the parts of this command work with.
type Services = Api;

#[cfg(test)]
mod tests {
    use crate::cli::Arguments;
    use clap::Parser as _;

    #[test]
    fn arguments_that_say_two_things_are_refused() {
        let parse = |more: &[&str]| {
            let begin = ["latchkey", "key", "import", "a/b", "f", "--from", "unkey"];
            Arguments::try_parse_from(begin.iter().chain(more)).map(|_| ())
        };
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--create-owners", "--owners-as-metadata"]).is_err());
        assert!(parse(&["--shape", "a_{hex:64}"]).is_err(), "it would be of no use");
        assert!(parse(&["--create-format", "--shape", "a_{hex:64}", "--digest", "sha256-of-last-part"]).is_ok());
    }
}
