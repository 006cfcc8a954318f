//! How a new key text is shown: once, in a way that can be piped, or into a file for its owner only.

use crate::cli::api::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::files::{Existing, Reserved};
use crate::cli::output;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use prost::Message;
use serde_json::Value;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where a new key text goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyTextArguments {
    /// Write the key text into this file, mode 0600, instead of to standard output.
    #[arg(long, value_name = "FILE")]
    key_text_file: Option<PathBuf>,
    /// Replace that file where it is there already.
    #[arg(long, requires = "key_text_file")]
    force: bool,
}

/// An answer that shows a key text once.
pub(crate) trait ShowsKeyText: Message {
    /// The text; empty where there is none to show.
    fn key_text(&self) -> &str;
    /// The text sealed to a recipient; empty where there is none.
    fn sealed(&self) -> &[u8];
    /// Whether this is the answer of an earlier call.
    fn replayed(&self) -> bool;
}

macro_rules! shows_key_text {
    ($($answer:ty),+) => {
        $(impl ShowsKeyText for $answer {
            fn key_text(&self) -> &str {
                &self.key_text
            }

            fn sealed(&self) -> &[u8] {
                &self.sealed_key_text
            }

            fn replayed(&self) -> bool {
                self.replayed
            }
        })+
    };
}

shows_key_text!(pb::CreateKeyResponse, pb::RotateKeyResponse, pb::PrepareStandbyResponse);

/// Where the text goes, held ready before there is one: a text that cannot be written would be lost.
#[derive(Debug)]
pub(crate) struct KeyTextPlace {
    file: Option<(Reserved, PathBuf)>,
}

impl KeyTextArguments {
    /// Makes ready.
    ///
    /// # Errors
    /// [`CliError`]: nothing can be written there.
    pub(crate) fn reserve(&self) -> Result<KeyTextPlace, CliError> {
        let existing = if self.force { Existing::Replaced } else { Existing::Kept };
        let reserve = |path: &PathBuf| Ok::<_, CliError>((Reserved::new(path, existing)?, path.clone()));
        Ok(KeyTextPlace { file: self.key_text_file.as_ref().map(reserve).transpose()? })
    }
}

impl KeyTextPlace {
    /// Prints the answer. For people the key text stands alone on standard output, and all the rest on standard error, so
    /// that `latchkey key create ... | vault kv put ... -` gets the text and nothing else.
    pub(crate) fn show<T: ShowsKeyText>(
        self,
        context: &Context,
        answer: &Answer<T>,
        dry_run: bool,
    ) -> Result<(), CliError> {
        if dry_run {
            return context.show_change(answer, dry_run);
        }
        let text = Zeroizing::new(answer.message.key_text().to_owned());
        let mut value = answer.json();
        let written = match self.file {
            Some((file, path)) if !text.is_empty() => {
                // A disk that is full by now is no reason to lose it: then it is printed.
                let filled = file.fill(&format!("{}\n", text.as_str()));
                filled.inspect_err(|error| output::note(error.text().trim_end())).is_ok().then_some(path)
            }
            _ => None,
        };
        if written.is_some() {
            hide(&mut value);
        }
        if context.printer.is_for_programs() || text.is_empty() || written.is_some() {
            output::print(&context.printer.one(&value))?;
        } else {
            hide(&mut value);
            // A person at a terminal sees both streams; a pipe takes the text alone.
            output::note(context.printer.one(&value).trim_end());
        }
        match (text.is_empty(), written) {
            (false, Some(path)) => output::note(&format!("The key text is in {}, for you only.", path.display())),
            (false, None) if context.printer.is_for_programs() => {
                output::note("The key text is in keyText. It is not shown again.");
            }
            (false, None) if io::stdout().is_terminal() => {
                output::note("This is the key text. It is not shown again:");
                output::print(&format!("{}\n", text.as_str()))?;
            }
            (false, None) => {
                output::print(&format!("{}\n", text.as_str()))?;
                output::note("The key text went to standard output. It is not shown again.");
            }
            (true, _) if answer.message.replayed() => {
                output::note("This is the answer of an earlier call; its key text is not shown any more.");
            }
            (true, _) if !answer.message.sealed().is_empty() => {
                output::note(
                    "The key text is sealed: `latchkey open-sealed` opens it with the recipient's private key.",
                );
            }
            (true, _) => {
                output::note("There is no key text to show: its version was prepared before, or is delivered.");
            }
        }
        Ok(())
    }
}

/// Takes the key text out of an answer.
fn hide(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.remove("keyText");
    }
}
