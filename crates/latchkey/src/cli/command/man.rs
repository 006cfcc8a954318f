//! `latchkey man`.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::{definition, output};
use clap::{Args, Command};
use std::fs;
use std::path::PathBuf;

/// Where to.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey man ~/.local/share/man/man1
  latchkey man . && man ./latchkey-key-create.1")]
pub(crate) struct Man {
    /// The folder; it is made where it is not there. A page for each command.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let failed = |verb, path: &PathBuf, source| CliError::File { verb, path: path.clone(), source };
        fs::create_dir_all(&self.folder).map_err(|source| failed("make", &self.folder, source))?;
        let pages = pages();
        for (name, page) in &pages {
            let path = self.folder.join(name);
            fs::write(&path, page).map_err(|source| failed("write", &path, source))?;
        }
        output::note(&format!("{} pages are in {}.", pages.len(), self.folder.display()));
        Ok(Exit::Done)
    }
}

/// A page for each command: its file name, and its text.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut definition = definition().disable_help_subcommand(true);
    definition.build();
    let mut pages = Vec::new();
    add(&mut pages, &definition, "latchkey");
    pages
}

fn add(pages: &mut Vec<(String, Vec<u8>)>, command: &Command, name: &str) {
    let mut page = Vec::new();
    let named = command.clone().name(name.to_owned()).display_name(name.to_owned());
    clap_mangen::Man::new(named).render(&mut page).expect("a vector takes all that is written");
    pages.push((format!("{name}.1"), page));
    for inner in command.get_subcommands() {
        add(pages, inner, &format!("{name}-{}", inner.get_name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_page_with_its_example() {
        let pages = pages();
        for name in ["latchkey.1", "latchkey-key-create.1", "latchkey-run.1"] {
            let (_, page) = pages.iter().find(|(found, _)| found == name).unwrap();
            let page = String::from_utf8_lossy(page);
            assert!(page.contains(".SH NAME"), "{name}");
            assert!(name == "latchkey.1" || page.contains("Example"), "{name}");
        }
        assert!(pages.len() > 15, "{}", pages.len());
    }
}
