//! `latchkey key export`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::export::{self, Format, Sheet, Target, row};
use crate::cli::import::progress::thousands;
use crate::cli::names::Kind;
use crate::cli::output;
use clap::Args;
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1 as pb;
use std::path::PathBuf;

/// The most that a service gives at once.
const PAGE_ITEMS_MAX: i32 = 1_000;

/// What to export, and where to.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key export acme/orders keys.csv
  latchkey key export acme keys.jsonl --filter 'state = ACTIVE AND age > 90d'
  latchkey key export acme - --format csv | head

A row for each key, by keyspace and name, with its owner, permissions, versions, rotation, expiry, import, suspension and
revocation; never a secret or a digest. In CSV a cell that begins with =, +, - or @ has an apostrophe before it, so that no
program takes it for a formula. Dead keys are in it as long as their keyspace keeps them (dead_retention).")]
pub(crate) struct Export {
    /// A keyspace, or a tenant with all its keyspaces.
    #[arg(value_name = "TENANT[/KEYSPACE]")]
    place: String,
    /// The file to write; - is standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How [default: by the end of the name; else csv].
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Which keys: comparisons joined by AND, as in key list.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let keyspaces = self.keyspaces(context).await?;
        let format = self.format.unwrap_or_else(|| Format::of(&self.file));
        let mut sheet = export::begin(format, Target::open(&self.file)?)?;
        let mut count = 0;
        for keyspace in keyspaces {
            count += self.write(context, &mut *sheet, keyspace).await?;
        }
        sheet.finish().map_err(|error| self.failed(error))?.close()?;
        if self.file.as_os_str() != "-" && !context.printer.is_for_programs() {
            output::note(&format!("{} keys are in {}.", thousands(count), self.file.display()));
        }
        Ok(())
    }

    /// The keyspaces in full, by name.
    async fn keyspaces(&self, context: &Context) -> Result<Vec<String>, CliError> {
        // Without a slash it is a tenant, whatever --tenant says: what is exported should not depend on a variable.
        let Ok(parent) = Kind::Tenant.full(&self.place, None) else {
            return Ok(vec![context.name(Kind::Keyspace, &self.place)?]);
        };
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListKeyspacesRequest { parent: parent.clone(), page_size: PAGE_ITEMS_MAX, page_token };
            let page = context.api.list_keyspaces(request).await?.message;
            names.extend(page.keyspaces.into_iter().map(|keyspace| keyspace.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }

    /// Writes the keys of a keyspace, page by page; how many there were.
    async fn write(&self, context: &Context, sheet: &mut dyn Sheet, parent: String) -> Result<u64, CliError> {
        let (mut count, mut page_token) = (0, String::new());
        loop {
            let (page_size, order_by) = (PAGE_ITEMS_MAX, String::new());
            let (parent, filter) = (parent.clone(), self.filter.clone());
            let request = pb::ListKeysRequest { parent, page_size, page_token, filter, order_by };
            let page = context.api.list_keys(request).await?.message;
            let now = SystemClock.unix_millis();
            let rows: Vec<_> = page.keys.iter().map(|key| row(key, now)).collect();
            sheet.add(&rows).map_err(|error| self.failed(error))?;
            count += rows.len() as u64;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(count);
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> CliError {
        if self.file.as_os_str() == "-" {
            return CliError::Output(source);
        }
        CliError::File { verb: "write", path: self.file.clone(), source }
    }
}
