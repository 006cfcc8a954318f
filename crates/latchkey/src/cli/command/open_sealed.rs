//! `latchkey open-sealed`: what was sealed to a recipient, for those who have no library for it.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Existing, Reserved};
use crate::cli::names::Kind;
use crate::cli::output;
use crate::cli::settings::GlobalArguments;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use latchkey_delivery::{SEALED_BYTES_MAX, open};
use latchkey_domain::VersionName;
use serde_json::Value;
use std::path::PathBuf;

/// What to open, and with what.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --recipient shop.pem -o json | latchkey open-sealed --private-key-file shop.key
  latchkey rotation show acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP -o json > rotation.json
  latchkey open-sealed rotation.json --private-key-file shop.key --key-text-file orders.key
  latchkey open-sealed sealed.base64 --private-key-file shop.key --version acme/orders/0Jx5k3f9QmZ2aB7c/2Wq8Zr4tYv6uN3mP

Nothing is called: this works where no service can be reached.")]
pub(crate) struct OpenSealed {
    /// An answer with sealedKeyText, as --output json prints it, or its base64 alone with --version; - is standard input.
    #[arg(value_name = "FILE", default_value = files::STANDARD_INPUT, hide_default_value = true)]
    sealed: PathBuf,
    /// The file of the recipient's private key, PEM, mode 0600.
    #[arg(long, value_name = "FILE")]
    private_key_file: PathBuf,
    /// Whose text it is, where the input does not say.
    #[arg(long, value_name = "TENANT/KEYSPACE/KEY/VERSION")]
    version: Option<String>,
    /// Write the key text into this file, mode 0600, instead of to standard output.
    #[arg(long, value_name = "FILE")]
    key_text_file: Option<PathBuf>,
    /// Replace that file where it is there already.
    #[arg(long, requires = "key_text_file")]
    force: bool,
}

impl OpenSealed {
    pub(crate) fn run(self, global: &GlobalArguments) -> Result<Exit, CliError> {
        let secret = files::read_recipient_secret(&self.private_key_file)?;
        let existing = if self.force { Existing::Replaced } else { Existing::Kept };
        let place = self.key_text_file.as_ref().map(|path| Reserved::new(path, existing)).transpose()?;
        let (digits, named) = parts(&files::read_text(&self.sealed)?)?;
        let given = self.version.as_ref().map(|name| Kind::Version.full(name, global.tenant.as_deref())).transpose()?;
        let version = given.or(named).ok_or_else(|| {
            CliError::usage("expected the version whose text this is").remedy("name it with --version")
        })?;
        let version = VersionName::parse(&version).map_err(|error| CliError::usage(error.to_string()))?;
        let sealed = BASE64_STANDARD.decode(digits.trim()).ok().filter(|sealed| sealed.len() <= SEALED_BYTES_MAX);
        let sealed = sealed
            .ok_or_else(|| CliError::usage("expected base64 of a sealed key text, or JSON with sealedKeyText"))?;
        let opened = open(&secret, &version, &sealed);
        let text = opened.map_err(|error| CliError::usage(error.to_string()).remedy(REMEDY))?;
        let line = zeroize::Zeroizing::new(format!("{}\n", text.as_str()));
        match (place, &self.key_text_file) {
            (Some(place), Some(path)) => {
                place.fill(&line)?;
                output::note(&format!("The key text is in {}, for you only.", path.display()));
            }
            _ => output::print(&line)?,
        }
        Ok(Exit::Done)
    }
}

const REMEDY: &str =
    "look whether the private key belongs to the public one that was given, and whether the version is right";

/// The base64 in an input, and the version that it names: of an answer of `key create`, `key rotate`, `rotation prepare` or
/// `rotation show`.
fn parts(text: &str) -> Result<(String, Option<String>), CliError> {
    if !text.trim_start().starts_with('{') {
        return Ok((text.to_owned(), None));
    }
    let answer: Value =
        serde_json::from_str(text).map_err(|error| CliError::usage(format!("expected JSON: {error}")))?;
    let digits = answer["sealedKeyText"].as_str().filter(|digits| !digits.is_empty()).ok_or_else(|| {
        CliError::usage("expected sealedKeyText in the answer").remedy(
            "rotate with --recipient; of a rotation it is there from VERIFIED on until it ends, in `rotation show`",
        )
    })?;
    let version = ["/version", "/newVersion", "/key/versions/0/name"].into_iter().find_map(|path| answer.pointer(path));
    Ok((digits.to_owned(), version.and_then(Value::as_str).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_an_answer_or_base64_alone() {
        let read = |text: &str| parts(text).map_err(|error| error.text());
        assert!(read("{").unwrap_err().contains("expected JSON"));
        assert!(read("{\"key\": {}}").unwrap_err().contains("rotate with --recipient"));
        let named = |text: &str| (String::from("QQ=="), Some(text.to_owned()));
        assert_eq!(read("{\"sealedKeyText\": \"QQ==\", \"version\": \"v\"}").unwrap(), named("v"));
        assert_eq!(read(" {\"sealedKeyText\": \"QQ==\", \"newVersion\": \"n\"}").unwrap(), named("n"));
        let created = "{\"sealedKeyText\": \"QQ==\", \"key\": {\"versions\": [{\"name\": \"c\"}]}}";
        assert_eq!(read(created).unwrap(), named("c"));
        assert_eq!(read("QQ==\n").unwrap(), ("QQ==\n".to_owned(), None));
    }
}
