//! Where the files of a log come from: a folder, or a server that anybody may read.

use crate::cli::error::CliError;
use http::{Request, StatusCode};
use http_body_util::Full;
use latchkey_dial::{DialError, Reach, Server, Trust};
use latchkey_transparency::{Resource, TileId};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one file may take to come.
const FILE_MAX: Duration = Duration::from_secs(30);

/// No server answers there.
#[derive(Debug, thiserror::Error)]
#[error("no file of a log from {address}: expected where tiles are served, the `tiles_listen` of audit")]
struct Unreached {
    address: String,
    #[source]
    source: DialError,
}

impl From<Unreached> for CliError {
    fn from(error: Unreached) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Where files come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder with the layout of tiles.
    Folder(PathBuf),
    /// A server, and what stands before each path.
    Server(Box<Server>, String),
}

impl Source {
    /// A folder, or an address that begins with `http://` or `https://`; the latter needs roots to trust.
    ///
    /// # Errors
    /// [`CliError::Usage`].
    pub(crate) fn of(place: &str, roots: Option<&Path>) -> Result<Self, CliError> {
        let (rest, secured, port) = match (place.strip_prefix("http://"), place.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false, 80),
            (_, Some(rest)) => (rest, true, 443),
            (None, None) => {
                let folder = PathBuf::from(place);
                // What `--keep` and copies of whole archives look like: the log beside the keys.
                let inner = folder.join("log");
                return Ok(Self::Folder(if inner.join("checkpoint").is_file() { inner } else { folder }));
            }
        };
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path.trim_end_matches('/')));
        // What else there is in a URL belongs to no address of a log, or is carried by no HTTP.
        let plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%[]/".contains(&byte))
        };
        if host.is_empty() || !plain(host) || !plain(path) {
            return Err(CliError::usage("expected an address such as http://127.0.0.1:7741"));
        }
        let trust = match (secured, roots) {
            (false, _) => None,
            (true, Some(roots)) => Some(Trust::roots(roots)),
            (true, None) => {
                return Err(CliError::usage("an https address needs the roots to trust").remedy("give --trust FILE"));
            }
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let server = Server { address, trust, reach: Reach::Anywhere, limit: FILE_MAX };
        let before = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
        Ok(Self::Server(Box::new(server), before))
    }

    /// The bytes of a file; `None` where it is not there.
    ///
    /// # Errors
    /// [`CliError`] where that cannot be said.
    pub(crate) async fn read(&self, resource: Resource) -> Result<Option<Vec<u8>>, CliError> {
        let path = resource.path();
        match self {
            Self::Folder(folder) => {
                let path = folder.join(path);
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(CliError::File { verb: "read", path, source }),
                }
            }
            Self::Server(server, before) => {
                let target = format!("{before}{path}");
                let request =
                    Request::get(&target).body(Full::default()).expect("a path of visible letters is a target");
                let answer = server.call(request).await;
                let answer = answer.map_err(|source| Unreached { address: server.address.clone(), source })?;
                match answer.status {
                    StatusCode::OK => Ok(Some(answer.body.to_vec())),
                    StatusCode::NOT_FOUND => Ok(None),
                    status => Err(CliError::Other(format!("{} answers {status} to {target}", server.address).into())),
                }
            }
        }
    }

    /// The partial objects of the same tile or bundle that lie beside this one in a folder: narrower ones that it took the place
    /// of, and wider ones that no checkpoint covers yet. A server does not tell.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn beside(&self, resource: Resource) -> Result<Vec<TileId>, CliError> {
        let (Self::Folder(folder), Resource::Tile(id) | Resource::Entries(id)) = (self, resource) else {
            return Ok(Vec::new());
        };
        let full = if matches!(resource, Resource::Tile(_)) { Resource::Tile } else { Resource::Entries }(id.full());
        let path = folder.join(format!("{}.p", full.path()));
        let cannot = |source| CliError::File { verb: "list", path: path.clone(), source };
        let listed = match std::fs::read_dir(&path) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(cannot(source)),
        };
        let mut beside = Vec::new();
        for file in listed {
            // What has another name is no part of the log, such as an object that is being written.
            let width = file.map_err(cannot)?.file_name().to_str().and_then(|name| name.parse().ok());
            let other = width.and_then(|width| TileId::new(id.level(), id.index(), width));
            beside.extend(other.filter(|other| !other.is_full() && *other != id));
        }
        beside.sort();
        Ok(beside)
    }

    /// The bytes of a tile or a bundle; one that is not full is cut out of the full one that took its place.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) async fn read_part(&self, resource: Resource, bytes: usize) -> Result<Option<Vec<u8>>, CliError> {
        if let Some(found) = self.read(resource).await? {
            return Ok(Some(found));
        }
        let full = match resource {
            Resource::Tile(id) if !id.is_full() => Resource::Tile(id.full()),
            Resource::Entries(id) if !id.is_full() => Resource::Entries(id.full()),
            Resource::Checkpoint | Resource::Tile(_) | Resource::Entries(_) => return Ok(None),
        };
        let cut = |mut found: Vec<u8>| {
            found.truncate(bytes);
            found
        };
        Ok(self.read(full).await?.map(cut))
    }
}
