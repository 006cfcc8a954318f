//! The command line: nouns and verbs over the public API, and nothing that the API cannot.
//!
//! ```text
//! arguments -> settings (flags, environment, profile, loopback) -> context -> one command -> printed -> exit code
//! ```
//! Tables are for people; `--output json|yaml` is canonical proto JSON, which programs may rely on. Both are made from one
//! JSON value, by the descriptors, so that a field of a later release is shown without anybody thinking of it.
//!
//! # Decisions
//! **No secret is ever an argument.** Arguments are in the list of processes and in the shell's history: key texts come from
//! files and standard input, and go to standard output or a file of mode 0600.
//! **Short names.** `acme/orders` is read and shown for `tenants/acme/keyspaces/orders`; programs get the full ones.
//! **Tries are ours.** What is `UNAVAILABLE` was not done, so it is tried again until `--timeout`, with one `request_id`.

mod api;
mod call_error;
mod command;
mod confirm;
mod context;
mod csv_text;
mod dial;
mod error;
mod exit;
mod export;
mod files;
mod import;
mod key_texts;
mod moment;
mod names;
mod output;
mod profile;
mod recipient;
mod rotation_policy;
mod service;
mod settings;
mod shared;
mod span;
mod verify;
mod wording;

pub(crate) use api::Api;
pub use call_error::CallError;
pub use error::CliError;
pub use exit::Exit;
pub(crate) use files::{read_key_text, write_private};
pub(crate) use names::Kind;
pub(crate) use profile::Profiles;
pub use service::Service;
pub(crate) use settings::{GlobalArguments, Settings};
pub(crate) use shared::grant;

use clap::{CommandFactory as _, Parser};
use command::Task;
use context::Context;
use output::Printer;
use std::env;

/// Latchkey: API keys that are issued, validated, rotated, audited and revoked.
///
/// Names are short, TENANT/KEYSPACE/KEY, or in full, tenants/TENANT/keyspaces/KEYSPACE/keys/KEY. Key texts are never
/// arguments: they come from files or standard input.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, max_term_width = 110, after_help = exit::HELP, after_long_help = long_help())]
pub struct Arguments {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    task: Task,
}

/// What follows the long help.
fn long_help() -> String {
    format!("{BEGIN}\n\n{}", exit::HELP)
}

const BEGIN: &str = "\
Begin:
  latchkey dev                               run every service here, and print what to try
  . .latchkey-dev/env                        in another terminal: use it
  latchkey tenant create acme
  latchkey keyspace create acme/orders --prefix acme_live --environment production
  latchkey key create acme/orders --permission orders:read --key-text-file orders.key
  latchkey validate orders.key --permission-query orders:read

Settings, the first that is there: flags, the environment (LATCHKEY_ISSUANCE_ADDRESS, LATCHKEY_VALIDATION_ADDRESS,
LATCHKEY_ROTATION_ADDRESS, LATCHKEY_AUDIT_ADDRESS, LATCHKEY_KEY_FILE, LATCHKEY_TENANT, LATCHKEY_PROFILE), the profile
(latchkey login writes $XDG_CONFIG_HOME/latchkey/config.toml), loopback. With the flag --profile the environment gives neither
addresses nor key nor tenant.
NO_COLOR, set to anything, takes the colours away; they are on terminals only.";

/// Carries out what the arguments of this process ask for, and tells how it is to end.
pub async fn main() -> Exit {
    // clap prints help and its own mistakes, and ends the process with 0 or 2.
    let arguments = Arguments::parse();
    let (format, programs) = (arguments.global.output, arguments.global.output.is_for_programs());
    match arguments.run(format).await {
        Ok(exit) => exit,
        Err(error) => {
            let text = if programs { format!("{:#}\n", error.json()) } else { error.text() };
            if error.exit() != Exit::Done {
                output::note(text.trim_end());
            }
            error.exit()
        }
    }
}

/// The whole command line as clap knows it: for completions, manual pages, and tests over every command.
#[must_use]
pub fn definition() -> clap::Command {
    Arguments::command()
}

impl Arguments {
    async fn run(self, format: output::Format) -> Result<Exit, CliError> {
        let Self { global, task } = self;
        let variable = |name: &str| env::var(name).ok();
        // What is written into a profile may come from the environment; what is read beside a named one may not.
        let writes_profile = matches!(task, Task::Login(_));
        let global = if writes_profile { global.and_environment(variable) } else { global.or_environment(variable) };
        let colour = output::wants_colour(env::var("NO_COLOR").ok().as_deref());
        let printer = Printer::new(format, colour, output::terminal_width());
        let connect = || Context::new(Settings::load(&global)?, printer);
        task.run(&global, printer, connect).await
    }
}

#[cfg(test)]
mod tests;
