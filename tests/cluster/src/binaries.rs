//! The programs under test, as they were built beside this one.

use crate::report::Trouble;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// The replica.
    pub(crate) validation: PathBuf,
    /// Issuance.
    pub(crate) issuance: PathBuf,
    /// Rotation.
    pub(crate) rotation: PathBuf,
    /// Audit.
    pub(crate) audit: PathBuf,
    /// The command line.
    pub(crate) command_line: PathBuf,
    /// This program, which can be a replica with a clock that is wrong.
    pub(crate) own: PathBuf,
}

impl Binaries {
    /// Beside this program; what is missing is built.
    pub(crate) fn find() -> Result<Self, Trouble> {
        let own = std::env::current_exe().map_err(Trouble::not_run)?;
        let folder = own.parent().ok_or_else(|| Trouble::not_run("a program without a folder"))?;
        let found = Self {
            validation: folder.join("latchkey-validation"),
            issuance: folder.join("latchkey-issuance"),
            rotation: folder.join("latchkey-rotation"),
            audit: folder.join("latchkey-audit"),
            command_line: folder.join("latchkey"),
            own: own.clone(),
        };
        let programs = [&found.validation, &found.issuance, &found.rotation, &found.audit, &found.command_line];
        if !programs.iter().all(|program| program.is_file()) {
            build()?;
        }
        for program in programs {
            warn_of_age(program, &own);
        }
        Ok(found)
    }
}

fn build() -> Result<(), Trouble> {
    println!("building the services and the command line");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--manifest-path", manifest, "--bins"])
        .args(["--package", "latchkey-validation", "--package", "latchkey-issuance"])
        .args(["--package", "latchkey-rotation", "--package", "latchkey-audit", "--package", "latchkey"])
        .status();
    match built {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Trouble::not_run(format!("cargo build ended with {status}"))),
        Err(error) => Err(Trouble::not_run(format!("cargo cannot be run: {error}"))),
    }
}

/// A program that is older than this one may be of an older source: a result would be about that.
fn warn_of_age(program: &Path, own: &Path) {
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let (Some(program_at), Some(own_at)) = (changed(program), changed(own)) else { return };
    let Ok(age) = own_at.duration_since(program_at) else { return };
    if age.as_secs() >= 60 {
        let minutes = age.as_secs() / 60;
        println!(
            "note: {} was built {minutes} min before this program; build it anew after a change",
            program.display()
        );
    }
}
