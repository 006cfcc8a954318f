//! Where the services are, and who calls: flags, then the environment, then the profile, then loopback.

use crate::cli::dial::TlsFiles;
use crate::cli::error::CliError;
use crate::cli::files::{self, STANDARD_INPUT};
use crate::cli::profile::{self, Profile, Profiles};
use crate::cli::service::Service;
use crate::cli::{output::Format, span};
use clap::Args;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// What every command that calls a service takes. The variables are read by [`Self::or_environment`] and not by clap, which
/// would show them in the usage of every mistake.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct GlobalArguments {
    /// Which profile of the profile file to use, and not the variables beside it; `latchkey login` writes it [env:
    /// LATCHKEY_PROFILE, which leaves the variables in force].
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The file with your management key; - reads it from standard input [env: LATCHKEY_KEY_FILE].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<String>,
    /// The tenant of names that leave it out [env: LATCHKEY_TENANT].
    #[arg(long, global = true, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// Where issuance is reached: keys and the directory [env: LATCHKEY_ISSUANCE_ADDRESS] [default: 127.0.0.1:7710].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) issuance_address: Option<String>,
    /// Where a replica of validation is reached [env: LATCHKEY_VALIDATION_ADDRESS] [default: 127.0.0.1:7720].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) validation_address: Option<String>,
    /// Where rotation is reached [env: LATCHKEY_ROTATION_ADDRESS] [default: 127.0.0.1:7730].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) rotation_address: Option<String>,
    /// Where audit is reached [env: LATCHKEY_AUDIT_ADDRESS] [default: 127.0.0.1:7740].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) audit_address: Option<String>,
    /// The roots that are trusted, PEM: with it, calls are over TLS. Off loopback there is no other way [env:
    /// LATCHKEY_TLS_TRUST].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_trust: Option<String>,
    /// Your certificate, PEM, where the services ask for one [env: LATCHKEY_TLS_CERTIFICATE].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_certificate: Option<String>,
    /// Its key, PEM, mode 0600 [env: LATCHKEY_TLS_KEY].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
    /// How long a call may take, with all its tries.
    #[arg(long, global = true, value_name = "SPAN", default_value = "15s", value_parser = span::parse)]
    pub(crate) timeout: Duration,
    /// How answers are printed.
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

impl GlobalArguments {
    /// With the variables of the environment for what no flag says. A profile that a flag names stands alone: a shell that
    /// was set up for one cluster must not turn what was meant for another.
    pub(crate) fn or_environment(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if said(&self.profile).is_some() { self } else { self.and_environment(variable) }
    }

    /// With the variables, whatever the flags say.
    pub(crate) fn and_environment(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let or = |given: Option<String>, name: &str| given.or_else(|| variable(name));
        Self {
            profile: or(self.profile, "LATCHKEY_PROFILE"),
            key_file: or(self.key_file, "LATCHKEY_KEY_FILE"),
            tenant: or(self.tenant, "LATCHKEY_TENANT"),
            issuance_address: or(self.issuance_address, Service::Issuance.variable()),
            validation_address: or(self.validation_address, Service::Validation.variable()),
            rotation_address: or(self.rotation_address, Service::Rotation.variable()),
            audit_address: or(self.audit_address, Service::Audit.variable()),
            tls_trust: or(self.tls_trust, "LATCHKEY_TLS_TRUST"),
            tls_certificate: or(self.tls_certificate, "LATCHKEY_TLS_CERTIFICATE"),
            tls_key: or(self.tls_key, "LATCHKEY_TLS_KEY"),
            timeout: self.timeout,
            output: self.output,
        }
    }

    pub(crate) fn address(&self, service: Service) -> Option<&str> {
        let given = match service {
            Service::Issuance => &self.issuance_address,
            Service::Validation => &self.validation_address,
            Service::Rotation => &self.rotation_address,
            Service::Audit => &self.audit_address,
        };
        said(given)
    }
}

/// A variable that is set to nothing says nothing.
fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// What a call needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    addresses: [String; 4],
    pub(crate) key: KeySource,
    pub(crate) tenant: Option<String>,
    pub(crate) tls: TlsFiles,
    pub(crate) timeout: Duration,
}

/// Where the management key comes from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A file, or standard input.
    File(PathBuf),
    /// The profile holds it.
    Profile(Zeroizing<String>),
    /// Nobody said; some calls need none.
    None,
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Profile(_) => f.write_str("Profile(hidden)"),
            Self::None => f.write_str("None"),
        }
    }
}

impl Settings {
    /// Of the arguments, with what the environment added to them, and the profile file.
    ///
    /// # Errors
    /// [`CliError`].
    pub(crate) fn load(arguments: &GlobalArguments) -> Result<Self, CliError> {
        let profiles = profile_path().map_or_else(|| Ok(Profiles::default()), |path| Profiles::read(&path))?;
        Self::of(arguments, &profiles)
    }

    /// Likewise, without the file.
    ///
    /// # Errors
    /// [`CliError`]: a profile that is not there, an address that is none.
    pub(crate) fn of(arguments: &GlobalArguments, profiles: &Profiles) -> Result<Self, CliError> {
        let named = said(&arguments.profile);
        let found = profiles.profiles.get(named.unwrap_or(profile::DEFAULT));
        if let (Some(name), None) = (named, found) {
            let known: Vec<&str> = profiles.profiles.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(CliError::usage(format!("there is no profile {name}; there are: {known}"))
                .remedy(format!("latchkey login --profile {name} --key-file FILE")));
        }
        let none = Profile::default();
        let profile = found.unwrap_or(&none);
        let mut addresses = [const { String::new() }; 4];
        for (service, place) in Service::ALL.into_iter().zip(&mut addresses) {
            let given = arguments.address(service).map(str::to_owned);
            let given = given.or_else(|| profile.address(service).cloned());
            *place = given.unwrap_or_else(|| format!("127.0.0.1:{}", service.port()));
            check_address(service, place)?;
        }
        let key = match (said(&arguments.key_file), &profile.key_text) {
            (Some(file), _) => KeySource::File(file.into()),
            (None, Some(text)) => KeySource::Profile(Zeroizing::new(text.clone())),
            (None, None) => KeySource::None,
        };
        let tenant = said(&arguments.tenant).map(str::to_owned).or_else(|| profile.tenant.clone());
        let file = |given: &Option<String>, kept: &Option<String>| {
            said(given).map(str::to_owned).or_else(|| kept.clone()).map(PathBuf::from)
        };
        let tls = TlsFiles {
            trust: file(&arguments.tls_trust, &profile.tls_trust),
            certificate: file(&arguments.tls_certificate, &profile.tls_certificate),
            key: file(&arguments.tls_key, &profile.tls_key),
        };
        Ok(Self { addresses, key, tenant, tls, timeout: arguments.timeout })
    }

    pub(crate) fn address(&self, service: Service) -> &str {
        let index = Service::ALL.iter().position(|other| *other == service);
        &self.addresses[index.expect("every service is among all")]
    }
}

impl KeySource {
    /// The management key.
    ///
    /// # Errors
    /// [`CliError`]: its file cannot be read.
    pub(crate) fn read(&self) -> Result<Option<Zeroizing<String>>, CliError> {
        match self {
            Self::File(path) => {
                files::warn_of_others(path, "your management key");
                files::read_key_text(path, "a management key").map(Some)
            }
            Self::Profile(text) => Ok(Some(text.clone())),
            Self::None => Ok(None),
        }
    }

    /// Where it lies, for whoever has to look there.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::File(_) if self.takes_input() => Some("from standard input".to_owned()),
            Self::File(path) => Some(format!("in {}", path.display())),
            Self::Profile(_) => Some("in the profile".to_owned()),
            Self::None => None,
        }
    }

    /// Whether it takes standard input, so that nothing else can be read there.
    pub(crate) fn takes_input(&self) -> bool {
        matches!(self, Self::File(path) if path == Path::new(STANDARD_INPUT))
    }
}

/// Where the profile file of this person lies.
pub(crate) fn profile_path() -> Option<PathBuf> {
    profile::path(env::var("XDG_CONFIG_HOME").ok().as_deref(), env::var("HOME").ok().as_deref())
}

fn check_address(service: Service, text: &str) -> Result<(), CliError> {
    let form = format!("the address of {service} must be HOST:PORT, such as 127.0.0.1:{}", service.port());
    let shaped =
        |(host, port): (&str, &str)| !host.is_empty() && !host.contains(['/', ',']) && port.parse::<u16>().is_ok();
    if text.rsplit_once(':').is_some_and(shaped) {
        return Ok(());
    }
    let error = CliError::usage(format!("{form}, found {text:?}"));
    if text.contains(',') {
        return Err(error.remedy("name one: latchkey cluster show tells where the others are"));
    }
    Err(if text.contains("://") { error.remedy("leave the scheme out") } else { error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(change: impl FnOnce(&mut GlobalArguments)) -> GlobalArguments {
        let mut arguments = GlobalArguments::default();
        change(&mut arguments);
        arguments
    }

    fn profiles() -> Profiles {
        let profile = Profile {
            validation_address: Some("127.0.0.1:2".to_owned()),
            issuance_address: Some("127.0.0.1:1".to_owned()),
            key_text: Some("lkm_text".to_owned()),
            tenant: Some("acme".to_owned()),
            ..Profile::default()
        };
        Profiles { profiles: [("default".to_owned(), profile)].into() }
    }

    #[test]
    fn an_argument_goes_before_the_profile_and_that_before_loopback() {
        let given = arguments(|given| given.issuance_address = Some("example.org:9".to_owned()));
        let settings = Settings::of(&given, &profiles()).unwrap();
        let told = Service::ALL.map(|service| settings.address(service).to_owned());
        assert_eq!(told, ["example.org:9", "127.0.0.1:2", "127.0.0.1:7730", "127.0.0.1:7740"]);
        assert_eq!(settings.tenant.as_deref(), Some("acme"));
        assert_eq!(settings.key, KeySource::Profile(Zeroizing::new("lkm_text".to_owned())));
        assert!(!format!("{settings:?}").contains("lkm_text"));
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_profile() {
        let given = arguments(|given| given.issuance_address = Some("flag:1".to_owned()));
        let given = given.or_environment(|name| name.ends_with("_ADDRESS").then(|| "variable:2".to_owned()));
        let settings = Settings::of(&given, &profiles()).unwrap();
        let told = Service::ALL.map(|service| settings.address(service).to_owned());
        assert_eq!(told, ["flag:1", "variable:2", "variable:2", "variable:2"]);
        let all = GlobalArguments::default().or_environment(|name| Some(name.to_owned()));
        let named = [all.profile, all.key_file, all.tenant, all.audit_address].map(Option::unwrap);
        assert_eq!(named, ["LATCHKEY_PROFILE", "LATCHKEY_KEY_FILE", "LATCHKEY_TENANT", "LATCHKEY_AUDIT_ADDRESS"]);
    }

    #[test]
    fn a_profile_that_a_flag_names_goes_before_the_environment() {
        let variable = |name: &str| match name {
            "LATCHKEY_PROFILE" => None,
            name if name.ends_with("_ADDRESS") => Some("elsewhere:7".to_owned()),
            name => Some(name.to_owned()),
        };
        let given = arguments(|given| given.profile = Some("default".to_owned())).or_environment(variable);
        let settings = Settings::of(&given, &profiles()).unwrap();
        let told = Service::ALL.map(|service| settings.address(service).to_owned());
        assert_eq!(told, ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:7730", "127.0.0.1:7740"]);
        assert_eq!(settings.key, KeySource::Profile(Zeroizing::new("lkm_text".to_owned())));
        assert_eq!(settings.tenant.as_deref(), Some("acme"));
        // One that a variable names does not, and neither does login, which writes what the variables say.
        let named = |name: &str| if name == "LATCHKEY_PROFILE" { Some("default".to_owned()) } else { variable(name) };
        let given = GlobalArguments::default().or_environment(named);
        assert_eq!(Settings::of(&given, &profiles()).unwrap().address(Service::Issuance), "elsewhere:7");
        let given = arguments(|given| given.profile = Some("default".to_owned())).and_environment(variable);
        assert_eq!(given.tenant.as_deref(), Some("LATCHKEY_TENANT"));
    }

    #[test]
    fn a_file_goes_before_the_key_of_the_profile_and_nothing_said_is_nothing() {
        let given = arguments(|given| given.key_file = Some("-".to_owned()));
        let settings = Settings::of(&given, &profiles()).unwrap();
        assert!(settings.key.takes_input());
        let given = arguments(|given| given.key_file = Some(String::new()));
        assert_eq!(Settings::of(&given, &Profiles::default()).unwrap().key, KeySource::None);
    }

    #[test]
    fn a_profile_that_was_named_must_be_there() {
        let given = arguments(|given| given.profile = Some("live".to_owned()));
        let error = Settings::of(&given, &profiles()).unwrap_err();
        assert!(error.text().contains("there are: default") && error.text().contains("login --profile live"));
        assert!(Settings::of(&GlobalArguments::default(), &Profiles::default()).is_ok());
    }

    #[test]
    fn an_address_that_is_none_is_told_with_the_one_that_was_meant() {
        for wrong in ["http://127.0.0.1:1", "127.0.0.1", ":1", "host:99999", "host:", "a:1,b:2"] {
            let given = arguments(|given| given.audit_address = Some(wrong.to_owned()));
            let error = Settings::of(&given, &Profiles::default()).unwrap_err().text();
            assert!(error.contains("127.0.0.1:7740") && error.contains(wrong), "{error}");
        }
    }
}
