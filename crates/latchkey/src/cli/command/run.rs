//! `latchkey run`: a key into the environment of a child, and into nothing else.

use super::key::KeyFields;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::{self, Kind};
use crate::cli::output::{self, Printer};
use crate::cli::settings::{GlobalArguments, Settings};
use crate::cli::shared::new_request_id;
use crate::cli::{files, span};
use clap::{ArgGroup, Args};
use latchkey_wire::pb::v1 as pb;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// How long a key lives that is made for a command which says nothing: it is revoked at the end anyway.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// What to run, and with which key.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("source").required(true).args(["key_text_file", "keyspace"]), after_help = "Examples:
  latchkey run --key-text-file orders.key -- ./export.sh
  latchkey run --keyspace acme/orders --permission orders:read --lifetime 10m --env API_KEY -- curl-the-api
  pass show orders | latchkey run --key-text-file - -- ./export.sh

With --keyspace a key is made for the command, and revoked when it ends. The exit code is that of the command.")]
pub(crate) struct Run {
    /// The variable that holds the key text.
    #[arg(long, value_name = "NAME", default_value = "LATCHKEY_KEY", value_parser = variable)]
    env: String,
    /// The file with the key text; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keyspace", "KeyFields"])]
    key_text_file: Option<PathBuf>,
    /// Make a key here for the command, with what follows, and revoke it at the end.
    #[arg(long, value_name = "TENANT/KEYSPACE")]
    keyspace: Option<String>,
    #[command(flatten)]
    fields: KeyFields,
    /// The command and its arguments, after --.
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// A key that was made for the command.
struct Made {
    context: Context,
    name: String,
}

impl Run {
    pub(crate) async fn run(self, global: &GlobalArguments, printer: Printer) -> Result<Exit, CliError> {
        let Self { env, key_text_file, keyspace, fields, command } = self;
        let (text, made) = match (key_text_file, keyspace) {
            // No service is asked, so no setting is needed.
            (Some(file), _) => (files::read_key_text(&file, "a key text")?, None),
            (None, keyspace) => {
                // Before a key is made for a command that cannot be.
                find(&command)?;
                let context = Context::new(Settings::load(global)?, printer)?;
                let (text, name) = make(&context, &keyspace.unwrap_or_default(), fields).await?;
                (text, Some(Made { context, name }))
            }
        };
        let ended = spawn_and_wait(&command, &env, text).await;
        if let Some(made) = made {
            made.revoke().await;
        }
        ended.map(exit)
    }
}

async fn make(context: &Context, keyspace: &str, fields: KeyFields) -> Result<(Zeroizing<String>, String), CliError> {
    let keyspace = context.name(Kind::Keyspace, keyspace)?;
    let request = fields.request(context, keyspace)?;
    let lifetime = pb::create_key_request::Expiry::Lifetime(span::to_wire(LIFETIME));
    let request =
        pb::CreateKeyRequest { expiry: request.expiry.or(Some(lifetime)), request_id: new_request_id(), ..request };
    let answer = context.api.create_key(request).await?.message;
    Ok((Zeroizing::new(answer.key_text), answer.key.unwrap_or_default().name))
}

impl Made {
    /// A key that stays ends by its lifetime; whoever watches is told.
    async fn revoke(self) {
        let request = pb::RevokeKeyRequest {
            name: self.name.clone(),
            reason: pb::RevocationReason::Unused.into(),
            reason_text: "latchkey run has ended".to_owned(),
            request_id: new_request_id(),
            wait_for: pb::WaitFor::Committed.into(),
            ..pb::RevokeKeyRequest::default()
        };
        if let Err(error) = self.context.api.revoke_key(request).await {
            let name = names::short(&self.name);
            output::note(&format!("{}  so {name} lives until its lifetime is over", error.text()));
        }
    }
}

async fn spawn_and_wait(command: &[OsString], env: &str, text: Zeroizing<String>) -> Result<ExitStatus, CliError> {
    let (program, arguments) = command.split_first().expect("clap asks for a command");
    let failed = |source| CliError::Child { program: program.into(), source };
    // Before the child is there, so that no signal is missed.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut child = Command::new(program).args(arguments).env(env, text.as_str()).spawn().map_err(failed)?;
    drop(text);
    loop {
        tokio::select! {
            ended = child.wait() => return ended.map_err(failed),
            // A terminal sends Ctrl-C to the child as well: it decides, and we wait.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => pass_on(&child),
        }
    }
}

/// That the command is where the shell would look.
fn find(command: &[OsString]) -> Result<(), CliError> {
    let program = Path::new(command.first().expect("clap asks for a command"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = if program.components().count() > 1 {
        program.exists()
    } else {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    if found {
        return Ok(());
    }
    Err(CliError::Child { program: program.to_owned(), source: std::io::ErrorKind::NotFound.into() })
}

/// Whoever ends us wants the command to end.
fn pass_on(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // A child that has ended meanwhile needs no signal.
        let _ = kill_process(id, Signal::TERM);
    }
}

/// The exit code of the command; as shells do, 128 + N after signal N.
fn exit(status: ExitStatus) -> Exit {
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Exit::Child(number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX))
}

fn variable(text: &str) -> Result<String, String> {
    let fits =
        !text.is_empty() && !text.contains(['=', '\0']) && !text.starts_with(|first: char| first.is_ascii_digit());
    if fits { Ok(text.to_owned()) } else { Err("expected the name of a variable, such as API_KEY".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use clap::Parser as _;

    #[test]
    fn what_a_new_key_is_to_be_is_not_ignored_where_none_is_made() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(parse("latchkey run --keyspace a/b --permission x -- env"), Ok(()));
        assert_eq!(parse("latchkey run --key-text-file k -- env --permission x"), Ok(()));
        let conflict = Err(clap::error::ErrorKind::ArgumentConflict);
        assert_eq!(parse("latchkey run --key-text-file k --permission x -- env"), conflict);
        assert_eq!(parse("latchkey run --key-text-file k --keyspace a/b -- env"), conflict);
    }

    #[tokio::test]
    async fn the_key_text_is_in_the_environment_and_the_exit_code_comes_back() {
        let run = async |script: &str| {
            let command: Vec<OsString> = ["sh", "-c", script].map(OsString::from).into();
            exit(spawn_and_wait(&command, "KEY", Zeroizing::new("text".to_owned())).await.unwrap())
        };
        assert_eq!(run("test \"$KEY\" = text && exit 7").await, Exit::Child(7));
        assert_eq!(run("kill -9 $$").await, Exit::Child(137));
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_told_as_shells_do() {
        let command = [OsString::from("/nothing/there")];
        let error = spawn_and_wait(&command, "KEY", Zeroizing::new(String::new())).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Child(127));
        assert!(error.text().contains("/nothing/there"), "{}", error.text());
        assert_eq!(find(&command).unwrap_err().exit(), Exit::Child(127));
        assert!(find(&[OsString::from("sh")]).is_ok());
    }
}
