//! The profile file, the key file, and what follows from them.

use super::Finding;
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
            findings.push(Finding::failed("settings", &error, "mend the flag, the variable or the profile"));
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
            findings.push(Finding::failed(
                CHECK,
                &error,
                format!("chmod 600 {0}, or remove it and log in again", path.display()),
            ));
            None
        }
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
