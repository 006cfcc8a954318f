//! Where `latchkey dev` keeps things, and where it listens.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The folders and files below one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Below `folder`, which need not exist yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What the replica writes: its log and state, sealed.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The data of a first start, until it is whole.
    #[must_use]
    pub fn unfinished(&self) -> PathBuf {
        self.folder.join("data.unfinished")
    }

    /// What must not lie with the data. Mode 0700.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.folder.join("secrets")
    }

    /// The key-encryption key. Mode 0600.
    #[must_use]
    pub fn kek(&self) -> PathBuf {
        self.secrets().join("kek")
    }

    /// The key-encryption key that this one takes the place of, where there is such a file. Mode 0600.
    #[must_use]
    pub fn keks_previous(&self) -> Vec<PathBuf> {
        let file = self.secrets().join("kek.previous");
        if file.exists() { vec![file] } else { Vec::new() }
    }

    /// What the services of the cluster share. Mode 0600.
    #[must_use]
    pub fn cluster_secret(&self) -> PathBuf {
        self.secrets().join("cluster.secret")
    }

    /// The key that signs checkpoints of the audit log; audit makes it.
    #[must_use]
    pub fn checkpoint_key(&self) -> PathBuf {
        self.secrets().join("checkpoint.key")
    }

    /// The text of the first key of `root`. Mode 0600.
    #[must_use]
    pub fn root_key(&self) -> PathBuf {
        self.secrets().join("root.key")
    }

    /// What the audit service writes, sealed.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.folder.join("audit")
    }

    /// Where the store `files` of the rotation service delivers new secrets.
    #[must_use]
    pub fn delivered(&self) -> PathBuf {
        self.folder.join("delivered")
    }

    /// What a shell takes to use it; it names the file of root's key and does not hold it.
    #[must_use]
    pub fn env(&self) -> PathBuf {
        self.folder.join("env")
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The ports of all services, on loopback: those of the manuals, or as far from another base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// Bases that [`Self::free`] looks at: so many, and so far apart. All end below 32,768, from where systems hand ports out: one
    /// of those may become the end of any connection at any time.
    const BLOCKS: u16 = 500;
    const BLOCK_PORTS: u16 = 40;
    const BLOCKS_FROM: u16 = 10_000;

    /// The first port where nothing else is asked for: issuance is then where the manuals say.
    pub const BASE: u16 = 7_710;

    /// The highest base that leaves room for the others. The lowest is 1: these ports are told before they are bound.
    pub const BASE_MAX: u16 = u16::MAX - 39;

    /// From `base`, 1 to [`Self::BASE_MAX`].
    #[must_use]
    pub fn from_base(base: u16) -> Option<Self> {
        (1..=Self::BASE_MAX).contains(&base).then_some(Self { base })
    }

    /// Ports of which all are free now. Whoever looks at the same time takes another `draw`, and so finds others.
    #[must_use]
    pub fn free(draw: u32) -> Option<Self> {
        let first = u16::try_from(draw % u32::from(Self::BLOCKS)).expect("a remainder is less than its divisor");
        let blocks = (first..Self::BLOCKS).chain(0..first);
        let bases = blocks.map(|block| Self::BLOCKS_FROM + block * Self::BLOCK_PORTS);
        bases.filter_map(Self::from_base).find(|ports| ports.all().iter().all(|(_, at)| TcpListener::bind(at).is_ok()))
    }

    /// Issuance.
    #[must_use]
    pub const fn issuance(self) -> SocketAddr {
        self.at(0)
    }

    /// Metrics of issuance.
    #[must_use]
    pub const fn issuance_metrics(self) -> SocketAddr {
        self.at(9)
    }

    /// Validation.
    #[must_use]
    pub const fn validation(self) -> SocketAddr {
        self.at(10)
    }

    /// Raft, which other replicas would use.
    #[must_use]
    pub const fn raft(self) -> SocketAddr {
        self.at(11)
    }

    /// Metrics of validation.
    #[must_use]
    pub const fn validation_metrics(self) -> SocketAddr {
        self.at(19)
    }

    /// Rotation.
    #[must_use]
    pub const fn rotation(self) -> SocketAddr {
        self.at(20)
    }

    /// Metrics of rotation.
    #[must_use]
    pub const fn rotation_metrics(self) -> SocketAddr {
        self.at(29)
    }

    /// Audit.
    #[must_use]
    pub const fn audit(self) -> SocketAddr {
        self.at(30)
    }

    /// The tiles of the audit log, over plain HTTP.
    #[must_use]
    pub const fn tiles(self) -> SocketAddr {
        self.at(31)
    }

    /// Metrics of audit.
    #[must_use]
    pub const fn audit_metrics(self) -> SocketAddr {
        self.at(39)
    }

    /// Every one, with what listens there.
    #[must_use]
    pub const fn all(self) -> [(&'static str, SocketAddr); 10] {
        [
            ("issuance", self.issuance()),
            ("issuance's metrics", self.issuance_metrics()),
            ("validation", self.validation()),
            ("raft", self.raft()),
            ("validation's metrics", self.validation_metrics()),
            ("rotation", self.rotation()),
            ("rotation's metrics", self.rotation_metrics()),
            ("audit", self.audit()),
            ("audit's tiles", self.tiles()),
            ("audit's metrics", self.audit_metrics()),
        ]
    }

    const fn at(self, offset: u16) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.base + offset)
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self { base: Self::BASE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_not_those_that_another_has_nor_any_that_the_system_hands_out() {
        for draw in [0, 499, 500, u32::MAX] {
            let first = Ports::free(draw).expect("five hundred blocks are not all taken");
            let _taken = TcpListener::bind(first.audit_metrics()).expect("it was free");
            let second = Ports::free(draw).expect("there are others");
            assert_ne!(second, first);
            assert!(second.all().iter().all(|(_, at)| (10_000..32_768).contains(&at.port())), "{second:?}");
        }
    }

    #[test]
    fn a_base_without_room_for_the_others_is_refused() {
        assert_eq!(Ports::from_base(0), None);
        assert_eq!(Ports::from_base(Ports::BASE_MAX + 1), None);
        let last = Ports::from_base(Ports::BASE_MAX).expect("it leaves just enough room");
        assert_eq!(last.audit_metrics().port(), u16::MAX);
    }

    #[test]
    fn the_default_ports_are_those_of_the_manuals() {
        let all = Ports::default().all().map(|(_, address)| address);
        assert_eq!(all.map(|address| address.port()), [7710, 7719, 7720, 7721, 7729, 7730, 7739, 7740, 7741, 7749]);
        assert!(all.iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn no_secret_lies_with_the_data() {
        let layout = Layout::new("somewhere".into());
        for secret in [layout.kek(), layout.cluster_secret(), layout.root_key()] {
            for data in [layout.data(), layout.unfinished(), layout.audit()] {
                assert!(!secret.starts_with(data), "{secret:?}");
            }
        }
    }
}
