//! `latchkey recipient`: the keys of those who are to read a new secret.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Existing, Reserved};
use crate::cli::output;
use clap::{Args, Subcommand};
use latchkey_delivery::{RecipientSecret, write_recipient};
use std::path::PathBuf;

/// What to do with the keys of recipients.
#[derive(Debug, Subcommand)]
pub(crate) enum RecipientTask {
    /// Makes a pair of keys: the private one goes into a file of yours, the public one is printed.
    New(New),
    /// Prints the public key of a private one.
    Public(Public),
}

/// Where the private key goes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey recipient new --private-key-file shop.key > shop.pem
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --recipient shop.pem -o json | latchkey open-sealed --private-key-file shop.key

The key is X25519, as openssl makes it by `genpkey -algorithm X25519`. RSA keys of 2,048 to 8,192 bits, for those who have
nothing else, are taken wherever a recipient's key is.")]
pub(crate) struct New {
    /// The file of the private key, PEM, mode 0600. Whoever has it reads what is sealed to it.
    #[arg(long, value_name = "FILE")]
    private_key_file: PathBuf,
    /// Replace that file where it is there already: what was sealed to that key is lost.
    #[arg(long)]
    force: bool,
}

/// Of which key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey recipient public --private-key-file shop.key > shop.pem")]
pub(crate) struct Public {
    /// The file of the private key, PEM, mode 0600.
    #[arg(long, value_name = "FILE")]
    private_key_file: PathBuf,
}

impl RecipientTask {
    pub(crate) fn run(self) -> Result<Exit, CliError> {
        let secret = match self {
            Self::New(New { private_key_file, force }) => {
                let existing = if force { Existing::Replaced } else { Existing::Kept };
                let place = Reserved::new(&private_key_file, existing)?;
                let secret = RecipientSecret::generate();
                place.fill(&secret.write())?;
                output::note(&format!("The private key is in {}, for you only.", private_key_file.display()));
                secret
            }
            Self::Public(Public { private_key_file }) => files::read_recipient_secret(&private_key_file)?,
        };
        let public = secret.public().map_err(|error| CliError::usage(error.to_string()))?;
        output::print(&write_recipient(&public))?;
        Ok(Exit::Done)
    }
}
