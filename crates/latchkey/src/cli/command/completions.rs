//! `latchkey completions`.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::{definition, output};
use clap::Args;
use clap_complete::Shell;

/// Which shell.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey completions bash > ~/.local/share/bash-completion/completions/latchkey
  latchkey completions zsh > ~/.zfunc/_latchkey
  latchkey completions fish > ~/.config/fish/completions/latchkey.fish")]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        output::print(&text(self.shell))?;
        Ok(Exit::Done)
    }
}

/// The completions for a shell.
fn text(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut definition(), "latchkey", &mut bytes);
    String::from_utf8(bytes).expect("completions are made of our own help, which is text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_knows_every_command() {
        for shell in Shell::value_variants() {
            let text = text(*shell);
            for command in definition().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell} {}", command.get_name());
            }
        }
    }
}
