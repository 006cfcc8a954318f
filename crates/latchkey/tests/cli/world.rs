//! `latchkey dev` as a process, and the command line as a person uses it: with the file that it left for shells.

use latchkey::Ports;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Bases are tried until one has room for all ports.
const TRIES: u32 = 20;

/// A cluster of one that was begun from the shipped seed.
pub(crate) struct World {
    /// Where everything lies that a test writes.
    pub(crate) folder: TempDir,
    dev: Child,
    variables: BTreeMap<String, String>,
    /// The commands that were carried out, as the words that lead to them.
    driven: RefCell<BTreeSet<String>>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Told {
    /// The exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl World {
    /// Starts it, with the seed that is shipped.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (dev, variables) = start_somewhere(folder.path());
        Self { folder, dev, variables, driven: RefCell::new(["dev".to_owned()].into()) }
    }

    /// Starts it again after its end, with what lies there and the same seed.
    pub(crate) fn start_again(&mut self) {
        (self.dev, self.variables) = start_somewhere(self.folder.path());
    }

    /// Carries out one command.
    pub(crate) fn run(&self, line: &str) -> Told {
        self.run_with(line, &[], "")
    }

    /// One command that must come to its end; its standard output.
    pub(crate) fn done(&self, line: &str) -> String {
        self.ended(line, 0).out
    }

    /// One command that must end with this code.
    pub(crate) fn ended(&self, line: &str, code: i32) -> Told {
        let told = self.run(line);
        assert_eq!(told.code, code, "latchkey {line}\n{}\n{}", told.out, told.err);
        told
    }

    /// Likewise with other variables and with something on standard input. Words are split at spaces; `'` holds them
    /// together. `FOLDER` stands for the folder of the test, `SEED` for that of the seed's key texts.
    pub(crate) fn run_with(&self, line: &str, variables: &[(&str, &str)], input: &str) -> Told {
        let words = self.words(line);
        self.driven.borrow_mut().insert(command_of(&words));
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.args(&words).env_clear().envs(&self.variables).env("HOME", self.folder.path());
        command.envs(variables.iter().filter(|(_, value)| !value.is_empty()).copied());
        for (gone, _) in variables.iter().filter(|(_, value)| value.is_empty()) {
            command.env_remove(gone);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command line starts");
        // Whoever reads no input has closed it by now.
        let _ = child.stdin.take().expect("it is a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
        Told { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What one command prints as JSON.
    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        let out = self.done(&format!("{line} --output json"));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("latchkey {line}: {error}\n{out}"))
    }

    /// Which commands of the command line were never carried out.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut all = Vec::new();
        leaves(&latchkey::cli::definition(), "", &mut all);
        all.retain(|command| !self.driven.borrow().contains(command));
        all
    }

    /// A file of the test.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends `latchkey dev` as Ctrl-C does, and gives its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let id = i32::try_from(self.dev.id()).expect("a process id is small");
        let id = rustix::process::Pid::from_raw(id).expect("a process id is not 0");
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
        self.dev.wait().expect("it ends").code()
    }

    fn words(&self, line: &str) -> Vec<String> {
        let seed = self.folder.path().join("dev/secrets/seed");
        let line = line.replace("FOLDER", &self.folder.path().display().to_string());
        let line = line.replace("SEED", &seed.display().to_string());
        let parts = line.split('\'').enumerate();
        let words = parts.flat_map(|(index, part)| {
            let whole = if index % 2 == 1 { vec![part.to_owned()] } else { Vec::new() };
            let split = if index % 2 == 0 { part.split_whitespace().map(str::to_owned).collect() } else { Vec::new() };
            [whole, split].concat()
        });
        words.collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; one that ended it has waited for it.
        let _ = self.dev.kill();
        let _ = self.dev.wait();
    }
}

/// The words that lead to a command: those before the first argument that is none.
fn command_of(words: &[String]) -> String {
    let mut command = latchkey::cli::definition();
    let mut path = Vec::new();
    for word in words {
        let Some(inner) = command.find_subcommand(word).cloned() else { break };
        path.push(word.clone());
        command = inner;
    }
    path.join(" ")
}

fn leaves(command: &clap::Command, path: &str, all: &mut Vec<String>) {
    let mut none = true;
    for inner in command.get_subcommands() {
        none = false;
        leaves(inner, format!("{path} {}", inner.get_name()).trim(), all);
    }
    if none {
        all.push(path.to_owned());
    }
}

fn start_somewhere(folder: &Path) -> (Child, BTreeMap<String, String>) {
    let mut failed = Vec::new();
    for draw in 0..TRIES {
        // Others look for ports too: then it is tried again.
        let Some(ports) = Ports::free(std::process::id() * 31 + draw) else { continue };
        match start_dev(folder, ports.issuance().port()) {
            Ok(dev) => return (dev, variables(&folder.join("dev/env"))),
            Err(told) => failed.push(told),
        }
    }
    panic!("no room for all ports in {TRIES} tries: {failed:?}");
}

fn start_dev(folder: &Path, base: u16) -> Result<Child, String> {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/local/seed.toml");
    let mut dev = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .args(["dev", "--seed-file", seed, "--listen-base", &base.to_string(), "--data"])
        .arg(folder.join("dev"))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = BufReader::new(dev.stdout.take().expect("it is a pipe"));
    let told: Vec<String> = out.lines().map_while(Result::ok).take_while(|line| !line.starts_with("Ctrl-C")).collect();
    if told.iter().any(|line| line.contains("latchkey doctor")) {
        // Whatever it says later it says to nobody: a pipe that is full would stop it.
        drop(dev.stderr.take());
        return Ok(dev);
    }
    let output = dev.wait_with_output().expect("it has ended");
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What the file for shells exports, but for the path.
fn variables(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).expect("dev wrote it");
    let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let mut all: BTreeMap<String, String> =
        lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
    all.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_default());
    all
}
