//! Questions before what cannot be undone. Where nobody sits at a terminal, no answer is a no.

use crate::cli::api::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names;
use crate::cli::output;
use crate::cli::shared::ChangeArguments;
use clap::Args;
use prost::Message;
use std::io::{self, IsTerminal as _};

/// The answer to a question that would be asked.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct YesArguments {
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// How sure a deletion is.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    sure: YesArguments,
    #[command(flatten)]
    pub(crate) change: ChangeArguments,
}

impl DeleteArguments {
    /// Shows what is to be deleted and asks, unless nothing is to be deleted or the answer was given. `look` is not called
    /// then: whoever may delete need not be one who may read.
    ///
    /// # Errors
    /// [`CliError`]: it is not there, or the answer is a no.
    pub(crate) async fn agreed<T: Message>(
        &self,
        context: &Context,
        name: &str,
        look: impl Future<Output = Result<Answer<T>, CliError>>,
    ) -> Result<(), CliError> {
        if self.sure.yes || self.change.tried.dry_run {
            return Ok(());
        }
        let found = look.await?;
        output::note(context.printer.for_people().one(&found.json()).trim_end());
        let name = names::short(name);
        question(&format!("{name} would be deleted, finally."), &name)
    }
}

/// Tells what would happen, and wants `word` typed.
///
/// # Errors
/// [`CliError::Usage`]: nobody is there, or the word is another.
pub(crate) fn question(what: &str, word: &str) -> Result<(), CliError> {
    output::note(what);
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("nobody is there to say yes").remedy("look at it with --dry-run, then say --yes"));
    }
    output::note(&format!("Type {word} to do it:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(CliError::Input)?;
    if answer.trim() == word {
        return Ok(());
    }
    Err(CliError::usage(format!("that was not {word}; nothing was done")))
}
