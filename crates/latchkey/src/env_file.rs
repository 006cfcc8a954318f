//! The file that `latchkey dev` leaves for shells: after `. .latchkey-dev/env` the command line speaks to it, as root.

use crate::cli::Service;
use crate::{Layout, Ports};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// What it says. `program` is this executable: its folder goes onto the path, so that `latchkey` is this very one.
#[must_use]
pub fn text(layout: &Layout, ports: Ports, program: Option<&Path>) -> String {
    let mut text = "# Written at each start of `latchkey dev`. For a shell: . THIS FILE\n".to_owned();
    for service in [Service::Issuance, Service::Validation, Service::Rotation, Service::Audit] {
        let _ = writeln!(text, "export {}={}", service.variable(), address(ports, service));
    }
    let _ = writeln!(text, "export LATCHKEY_KEY_FILE={}", quoted(&layout.root_key()));
    if let Some(folder) = program.and_then(Path::parent) {
        let folder = quoted(folder);
        // Once, however often a shell takes it.
        let _ = writeln!(text, "case \":$PATH:\" in *:{folder}:*) ;; *) export PATH={folder}:\"$PATH\" ;; esac");
    }
    text
}

/// Where a service listens.
#[must_use]
pub const fn address(ports: Ports, service: Service) -> SocketAddr {
    match service {
        Service::Issuance => ports.issuance(),
        Service::Validation => ports.validation(),
        Service::Rotation => ports.rotation(),
        Service::Audit => ports.audit(),
    }
}

/// For a shell, whatever the path holds.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn a_shell_takes_what_it_says_whatever_the_path_holds() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("it's a $HOME"));
        let file = folder.path().join("env");
        fs::write(&file, text(&layout, Ports::default(), Some(Path::new("/some where/latchkey")))).unwrap();
        let script = ". \"$1\"; once=$PATH; . \"$1\"; [ \"$once\" = \"$PATH\" ] || exit 1
            printf '%s\\n' \"$LATCHKEY_KEY_FILE\" \"$LATCHKEY_AUDIT_ADDRESS\" \"${PATH%%:*}\"";
        let told = Command::new("sh").args(["-c", script, "sh"]).arg(&file).output().unwrap();
        let expected = format!("{}\n127.0.0.1:7740\n/some where\n", layout.root_key().display());
        assert_eq!(String::from_utf8(told.stdout).unwrap(), expected);
    }
}
