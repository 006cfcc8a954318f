//! `latchkey login` and `latchkey logout`.

use crate::cli::api::Api;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names;
use crate::cli::output::note;
use crate::cli::profile::{self, Profile, Profiles};
use crate::cli::service::Service;
use crate::cli::settings::{GlobalArguments, KeySource, Settings, profile_path};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nobody waits long for a courtesy.
const WHO_MAX: Duration = Duration::from_secs(2);

/// What goes into the profile are the flags --profile, --key-file, --tenant and the addresses, or their variables.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey login --key-file .latchkey-dev/secrets/root.key
  latchkey login --profile live --key-file - --issuance-address 127.0.0.1:7710 --tenant acme < me.key")]
pub(crate) struct Login {
    /// Write the profile without asking issuance whether it knows the key.
    #[arg(long)]
    unchecked: bool,
}

/// Which to take away.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey logout\n  latchkey logout --profile live\n  latchkey logout --all")]
pub(crate) struct Logout {
    /// Every profile, and the file.
    #[arg(long, conflicts_with = "profile")]
    all: bool,
}

impl Login {
    pub(crate) async fn run(self, global: &GlobalArguments) -> Result<Exit, CliError> {
        let path = path()?;
        let mut profiles = Profiles::read(&path)?;
        let name = name(global);
        // What the profile held before and nobody says anew stays.
        let before = profiles.profiles.get(&name).cloned().unwrap_or_default();
        let named = GlobalArguments { profile: None, ..global.clone() };
        let standing = Profiles { profiles: [(profile::DEFAULT.to_owned(), before.clone())].into() };
        let mut settings = Settings::of(&named, &standing)?;
        if settings.key == KeySource::None {
            settings.key = KeySource::File("-".into());
        }
        let text = settings.key.read()?.expect("a file or a profile gives a text or an error");
        if !self.unchecked {
            check(&settings, &text).await?;
        }
        let address = |service| global.address(service).map(str::to_owned).or_else(|| before.address(service).cloned());
        let profile = Profile {
            issuance_address: address(Service::Issuance),
            validation_address: address(Service::Validation),
            rotation_address: address(Service::Rotation),
            audit_address: address(Service::Audit),
            tenant: settings.tenant.clone(),
            tls_trust: kept(settings.tls.trust.as_deref())?,
            tls_certificate: kept(settings.tls.certificate.as_deref())?,
            tls_key: kept(settings.tls.key.as_deref())?,
            key_text: Some(text.to_string()),
        };
        profiles.profiles.insert(name.clone(), profile);
        profiles.write(&path)?;
        note(&format!("The profile {name} is in {}, for you only.", path.display()));
        if !self.unchecked
            && let Some(who) = who(&settings, &text).await
        {
            note(&format!("You are {who}."));
        }
        Ok(Exit::Done)
    }
}

/// Whose key it is, where validation may tell.
async fn who(settings: &Settings, text: &str) -> Option<String> {
    let request = pb::ValidateKeyRequest { key_text: text.to_owned(), ..pb::ValidateKeyRequest::default() };
    let answer = Api::new(settings, Some(text)).ok()?.within(WHO_MAX).validate_key(request).await.ok()?.message;
    let known = answer.outcome() == pb::Outcome::Valid && !answer.owner.is_empty();
    known.then(|| names::short(&answer.owner))
}

/// That issuance knows whose key this is. Whether it may do anything is another question.
async fn check(settings: &Settings, text: &str) -> Result<(), CliError> {
    let request = pb::ListTenantsRequest { page_size: 1, ..pb::ListTenantsRequest::default() };
    match Api::new(settings, Some(text))?.list_tenants(request).await {
        Err(CliError::Call(call)) if call.code() == tonic::Code::Unauthenticated => Err(CliError::Call(call)),
        Err(CliError::Call(call)) if call.exit() == Exit::Unavailable => {
            note(&format!("latchkey: {call}; so the key was not checked."));
            Ok(())
        }
        Ok(_) | Err(CliError::Call(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

impl Logout {
    pub(crate) fn run(&self, global: &GlobalArguments) -> Result<Exit, CliError> {
        let path = path()?;
        let mut profiles = Profiles::read(&path)?;
        let removed = if self.all {
            let removed = profiles.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
            profiles.profiles.clear();
            removed
        } else {
            let name = name(global);
            if profiles.profiles.remove(&name).is_none() {
                note(&format!("There is no profile {name}."));
                return Ok(Exit::NotFound);
            }
            name
        };
        if !profiles.profiles.is_empty() {
            profiles.write(&path)?;
        } else if path.exists() {
            let removed = fs::remove_file(&path);
            removed.map_err(|source| CliError::File { verb: "remove", path: path.clone(), source })?;
        }
        let told = if removed.is_empty() { "no profile, since there was none".to_owned() } else { removed };
        note(&format!("Removed from {}: {told}. The keys live on: latchkey key revoke ends one.", path.display()));
        Ok(Exit::Done)
    }
}

/// A path that means the same from every folder.
fn kept(path: Option<&Path>) -> Result<Option<String>, CliError> {
    let Some(path) = path else { return Ok(None) };
    let whole = std::path::absolute(path);
    let whole = whole.map_err(|source| CliError::File { verb: "find", path: path.to_owned(), source })?;
    Ok(Some(whole.display().to_string()))
}

fn name(global: &GlobalArguments) -> String {
    global.profile.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| profile::DEFAULT.to_owned())
}

fn path() -> Result<PathBuf, CliError> {
    profile_path().ok_or_else(|| CliError::usage("there is no place for a profile: HOME is not set"))
}
