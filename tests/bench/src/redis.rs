//! Debian's Redis, where it is installed: what people keep keys in today.

use crate::figures::validating::wait_for;
use crate::load::{Bodies, Commands};
use crate::process::{Part, version_of};
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// Bytes of a value: what a team keeps of a key, such as its owner and permissions.
pub(crate) const VALUE_BYTES: usize = 100;

/// Bytes of the answer to a GET: `$100`, the value, and two line ends.
const ANSWER_BYTES: usize = VALUE_BYTES + 8;

/// Values that are set at once.
const SET_AT_ONCE: usize = 1_000;

/// A server that runs.
pub(crate) struct Redis {
    part: Part,
    address: SocketAddr,
}

/// Its version, such as `7.0.15`; none where it is not installed.
pub(crate) fn version() -> Option<String> {
    let said = version_of("redis-server")?;
    Some(said.split_whitespace().find_map(|word| word.strip_prefix("v="))?.to_owned())
}

impl Redis {
    /// Starts one on `cpus` that keeps everything in memory and nothing on disk, with `count` values, those of
    /// `key_texts` among them.
    pub(crate) async fn start(
        folder: &Path,
        cpus: &[usize],
        key_texts: &[String],
        count: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let address = latchkey_testkit::free_address()?;
        let port = address.port().to_string();
        let folder_text = folder.display().to_string();
        let settings = [
            ("--port", port.as_str()),
            ("--bind", "127.0.0.1"),
            ("--save", ""),
            ("--appendonly", "no"),
            ("--dir", &folder_text),
        ];
        let arguments: Vec<_> = settings.into_iter().flat_map(|(name, value)| [name, value]).collect();
        let part = Part::start_foreign("redis-server", &arguments, cpus, &folder.join("redis.log"))?;
        wait_for(address).await?;
        let redis = Self { part, address };
        tokio::task::block_in_place(|| redis.fill(key_texts, count))?;
        Ok(redis)
    }

    fn fill(&self, key_texts: &[String], count: usize) -> std::io::Result<()> {
        let mut socket = TcpStream::connect(self.address)?;
        let others = (key_texts.len()..count).map(|number| format!("another-key-of-the-same-length-{number:030}"));
        let mut all = key_texts.iter().cloned().chain(others);
        let value = "v".repeat(VALUE_BYTES);
        loop {
            let some: Vec<_> = all.by_ref().take(SET_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            let commands: Vec<u8> = some.iter().flat_map(|key| command(&["SET", key, &value])).collect();
            socket.write_all(&commands)?;
            // `+OK` and a line end for each.
            socket.read_exact(&mut vec![0; 5 * some.len()])?;
        }
    }

    /// Its process and where it listens.
    pub(crate) const fn server(&self) -> (SocketAddr, &Part) {
        (self.address, &self.part)
    }

    /// Ends it.
    pub(crate) fn stop(self) -> std::io::Result<()> {
        self.part.stop().map(drop)
    }
}

/// Pipelines of `depth` GETs each, for all of `key_texts`.
pub(crate) fn pipelines(key_texts: &[String], depth: usize) -> Commands {
    let pipeline = |texts: &[String]| texts.iter().flat_map(|text| command(&["GET", text])).collect();
    Commands {
        pipelines: Bodies::plain(key_texts.chunks_exact(depth).map(pipeline)),
        answer_bytes: depth * ANSWER_BYTES,
        accept: |answers| answers.chunks_exact(ANSWER_BYTES).all(|answer| answer.starts_with(b"$100\r\n")),
    }
}

/// A command as clients send it.
fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_lengths() {
        assert_eq!(command(&["GET", "key"]), b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
    }
}
