//! The key-encryption keys of the processes, which change one restart after another.

use super::founding::write;
use super::{Cluster, Node};
use crate::report::Trouble;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

impl Node {
    /// Its next key-encryption key.
    fn next_kek(&self) -> PathBuf {
        self.kek().with_extension("next")
    }
}

impl Cluster {
    /// Names a new key-encryption key first in all settings, and the one of now behind it. Whoever starts anew takes it up.
    pub(crate) fn name_next_kek(&self, kek: [u8; 32]) -> Result<(), Trouble> {
        let digits: String = kek.iter().map(|byte| format!("{byte:02x}")).collect();
        for node in &self.nodes {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(node.next_kek());
            let written = file.and_then(|mut file| file.write_all(format!("latchkey-kek-1:{digits}\n").as_bytes()));
            written.map_err(Trouble::not_run)?;
            replace(&node.settings(), &first(&node.kek()), &both(node))?;
        }
        replace(&self.issuance_settings(), &first(&self.nodes[0].kek()), &both(&self.nodes[0]))
    }

    /// Takes the old key-encryption key out of all settings, and destroys it.
    pub(crate) fn destroy_old_kek(&self) -> Result<(), Trouble> {
        for node in &self.nodes {
            replace(&node.settings(), &both(node), &first(&node.next_kek()))?;
        }
        let beside = &self.nodes[0];
        replace(&self.issuance_settings(), &both(beside), &first(&beside.next_kek()))?;
        self.nodes.iter().try_for_each(|node| fs::remove_file(node.kek()).map_err(Trouble::not_run))
    }

    fn issuance_settings(&self) -> PathBuf {
        self.folder.path().join("issuance.toml")
    }
}

fn first(kek: &Path) -> String {
    format!("kek_file = {kek:?}\n")
}

fn both(node: &Node) -> String {
    format!("{}kek_files_previous = [{:?}]\n", first(&node.next_kek()), node.kek())
}

fn replace(settings: &Path, old: &str, new: &str) -> Result<(), Trouble> {
    let text = fs::read_to_string(settings).map_err(Trouble::not_run)?;
    if !text.contains(old) {
        return Err(Trouble::not_run(format!("{} does not say {old}", settings.display())));
    }
    write(settings, &text.replacen(old, new, 1))
}
