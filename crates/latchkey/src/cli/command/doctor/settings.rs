//! The profile file, the key file, and what follows from them.

use super::Finding;
use crate::cli::error::CliError;
use crate::cli::files;
use crate::cli::profile::Profiles;
use crate::cli::settings::{GlobalArguments, KeySource, Settings, profile_path};
use std::fs;

/// Looks at the settings; nothing where they cannot be used.
pub(super) fn look(global: &GlobalArguments, findings: &mut Vec<Finding>) -> Option<Settings> {
    let profiles = profiles(findings)?;
    match Settings::of(global, &profiles) {
        Ok(settings) => {
            findings.push(key(&settings.key));
            Some(settings)
        }
        Err(error) => {
            let remedy = remedy(&error, || "mend the flag, the variable or the profile".to_owned());
            findings.push(Finding::failed("settings", &error, remedy));
            None
        }
    }
}

fn profiles(findings: &mut Vec<Finding>) -> Option<Profiles> {
    const CHECK: &str = "profile file";
    let Some(path) = profile_path() else {
        findings.push(Finding::ok(CHECK, "there is no HOME, so no profile"));
        return Some(Profiles::default());
    };
    match Profiles::read(&path) {
        Ok(profiles) if profiles.profiles.is_empty() => {
            findings.push(Finding::ok(CHECK, format!("none at {}", path.display())));
            Some(profiles)
        }
        Ok(profiles) => {
            let names: Vec<&str> = profiles.profiles.keys().map(String::as_str).collect();
            findings.push(Finding::ok(CHECK, format!("{}: {}", path.display(), names.join(", "))));
            Some(profiles)
        }
        Err(error) => {
            let remedy = remedy(&error, || format!("see that you may read {}, or log in again", path.display()));
            findings.push(Finding::failed(CHECK, &error, remedy));
            None
        }
    }
}

/// What the error itself says is to be done: it knows the cause.
fn remedy(error: &CliError, other: impl FnOnce() -> String) -> String {
    match error {
        CliError::Usage { remedy: Some(remedy), .. } => remedy.clone(),
        _ => other(),
    }
}

/// Where the management key comes from, in words; never the key.
pub(super) fn source(source: &KeySource) -> String {
    match source {
        KeySource::None => "none".to_owned(),
        KeySource::Profile(_) => "that of the profile".to_owned(),
        KeySource::File(_) if source.takes_input() => "that of standard input".to_owned(),
        KeySource::File(path) => format!("that in {}", path.display()),
    }
}

fn key(source: &KeySource) -> Finding {
    const CHECK: &str = "management key";
    match source {
        KeySource::None => Finding::wrong(CHECK, "none", "latchkey login --key-file FILE, or LATCHKEY_KEY_FILE"),
        KeySource::Profile(_) => Finding::ok(CHECK, "in the profile"),
        KeySource::File(path) if source.takes_input() => Finding::ok(CHECK, format!("from {}", path.display())),
        KeySource::File(path) => match fs::metadata(path) {
            Err(error) => Finding::wrong(CHECK, format!("{}: {error}", path.display()), "give the file that holds it"),
            Ok(metadata) => match files::open_to_others(&metadata) {
                Some(mode) => Finding::wrong(
                    CHECK,
                    format!("{} has mode {mode:04o}: others can read it", path.display()),
                    format!("chmod 600 {}, and rotate the key if others were there", path.display()),
                ),
                None => Finding::ok(CHECK, format!("in {}", path.display())),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_file_that_others_can_read_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        assert_eq!(key(&KeySource::File(path.clone())).health, Health::Wrong);
        fs::write(&path, "text").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key(&KeySource::File(path.clone())).found.contains("0644"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&KeySource::File(path)).health, Health::Ok);
        assert_eq!(key(&KeySource::None).health, Health::Wrong);
    }
}
