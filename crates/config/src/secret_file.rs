//! Who may touch a file that holds a secret.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// The mode bits that such a file must not have: all but read and write for its owner.
const REFUSED: u32 = 0o7177;

/// The same of a file that root owns and hands to us: Kubernetes and systemd let our group read what root keeps.
const REFUSED_OF_ROOT: u32 = 0o7137;

/// The mode of a file with a secret, where others than we may read or change it; else `None`.
///
/// 0600 and 0400 are accepted, and where root owns the file and we are not root, 0640 and 0440 as well. Ask it of the open
/// file, not of a path: what is checked is then what is read.
#[must_use]
pub fn refused_mode(file: &Metadata) -> Option<u32> {
    let mode = file.mode() & 0o7777;
    (mode & refused_bits(file.uid(), rustix::process::geteuid().as_raw()) != 0).then_some(mode)
}

const fn refused_bits(owner: u32, us: u32) -> u32 {
    if owner == 0 && us != 0 { REFUSED_OF_ROOT } else { REFUSED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_root_keeps_for_our_group_is_accepted_and_nothing_wider() {
        let (root, us, other) = (0, 65_532, 1_000);
        for mode in [0o440, 0o640, 0o400, 0o600] {
            assert_eq!(mode & refused_bits(root, us), 0, "{mode:o}");
        }
        for mode in [0o444, 0o660, 0o450, 0o641, 0o2440] {
            assert_ne!(mode & refused_bits(root, us), 0, "{mode:o}");
        }
        // Our own file, another's, and root's for root itself: its group is somebody else.
        for (owner, we) in [(us, us), (other, us), (root, root)] {
            assert_ne!(0o440 & refused_bits(owner, we), 0, "of {owner} for {we}");
        }
    }

    #[test]
    fn a_file_of_our_own_is_for_us_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, refused) in [(0o600, None), (0o400, None), (0o640, Some(0o640)), (0o604, Some(0o604))] {
            file.as_file().set_permissions(Permissions::from_mode(mode)).unwrap();
            assert_eq!(refused_mode(&fs::metadata(file.path()).unwrap()), refused, "{mode:o}");
        }
    }
}
