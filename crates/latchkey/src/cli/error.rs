//! Whatever keeps a command from its end, and how it is told: what was expected, what was found, what to do.

use crate::cli::call_error::CallError;
use crate::cli::exit::Exit;
use serde_json::{Value, json};
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why a command did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was given is not what it must be. Never repeats what was given where that could be a key text.
    #[error("{what}")]
    Usage {
        /// What was expected, and what was found.
        what: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} {path}")]
    File {
        /// Read, write, make.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Input(#[source] io::Error),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] Box<CallError>),
    /// A child process cannot be started.
    #[error("cannot start the command {}", program.display())]
    Child {
        /// What was to be started; its arguments are not told.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Anything else that a part of this process says.
    #[error(transparent)]
    Other(#[from] Box<dyn Error + Send + Sync>),
}

impl CliError {
    /// What was given is not what it must be.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), remedy: None }
    }

    /// With what to do about it.
    pub(crate) fn remedy(self, to_do: impl Into<String>) -> Self {
        match self {
            Self::Usage { what, .. } => Self::Usage { what, remedy: Some(to_do.into()) },
            other => other,
        }
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::File { .. } | Self::Input(_) => Exit::Usage,
            // Whoever read our output has seen enough: `latchkey key list | head`.
            Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) | Self::Other(_) => Exit::Failed,
            Self::Call(call) => call.exit(),
            Self::Child { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Child(127),
            Self::Child { .. } => Exit::Child(126),
        }
    }

    /// For people, some lines; empty where there is nothing to say.
    #[must_use]
    pub fn text(&self) -> String {
        if self.exit() == Exit::Done {
            return String::new();
        }
        let mut lines = vec![format!("latchkey: {self}")];
        match self {
            Self::Usage { remedy, .. } => lines.extend(remedy.iter().map(|to_do| format!("  do: {to_do}"))),
            Self::Call(call) => lines.extend(call.lines()),
            _ => {
                let mut source = self.source();
                while let Some(error) = source {
                    lines.push(format!("  because: {error}"));
                    source = error.source();
                }
            }
        }
        lines.join("\n") + "\n"
    }

    /// For programs, one object.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Call(call) => call.json(),
            other => json!({"error": {"message": other.to_string(), "exit": other.exit().number()}}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do() {
        let error = CliError::usage("expected a name").remedy("give one");
        assert_eq!(error.text(), "latchkey: expected a name\n  do: give one\n");
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(error.json()["error"]["exit"], 2);
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error() {
        let error = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((error.exit(), error.text()), (Exit::Done, String::new()));
    }
}
