//! `latchkey dev --observe`: a Prometheus that watches it, where one is installed.
//!
//! What it needs lies in a folder of its own: the configuration, the rules of `deploy/observability`, and what Prometheus
//! writes. All of it is made at each start except the data, so that yesterday can still be looked at.

use crate::{Layout, Ports};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{env, fs, io};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The program that is looked for on the path.
const PROGRAM: &str = "prometheus";

/// The first port that is tried; others may watch something here already.
const PORT_FIRST: u16 = 9_090;

/// How many ports are tried.
const PORTS_TRIED: u16 = 100;

/// How long it may take until it answers. It reads back what it wrote before.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often it is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// How long it may take to end: it writes down what it has in memory.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The rules, as they are deployed: file names and contents.
const RULES: [(&str, &str); 6] = [
    ("slo.yml", include_str!("../../../deploy/observability/rules/slo.yml")),
    ("symptoms.yml", include_str!("../../../deploy/observability/rules/symptoms.yml")),
    ("certificates.yml", include_str!("../../../deploy/observability/rules/certificates.yml")),
    ("regions.yml", include_str!("../../../deploy/observability/rules/regions.yml")),
    ("rotation.yml", include_str!("../../../deploy/observability/rules/rotation.yml")),
    ("checkpoints.yml", include_str!("../../../deploy/observability/rules/checkpoints.yml")),
];

/// What watches, as long as it is there.
#[derive(Debug)]
#[must_use = "dropping it kills what watches"]
pub struct Observer {
    files: Files,
    ports: Ports,
    watching: Watching,
}

/// Whether somebody watches.
#[derive(Debug)]
enum Watching {
    Yes { child: Child, address: SocketAddr },
    NotInstalled,
    Failed { why: String },
}

impl Observer {
    /// Writes what Prometheus needs, and starts it on loopback where it is installed. That it cannot be started is told by
    /// [`Self::text`] and stops nothing: the services are what matters.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub async fn start(layout: &Layout, ports: Ports) -> io::Result<Self> {
        Self::start_with(find(PROGRAM).as_deref(), layout, ports).await
    }

    async fn start_with(program: Option<&Path>, layout: &Layout, ports: Ports) -> io::Result<Self> {
        let files = Files { folder: layout.folder().join("observe") };
        files.write(ports)?;
        let watching = match program {
            None => Watching::NotInstalled,
            Some(program) => watch(program, &files).await.unwrap_or_else(|why| Watching::Failed { why }),
        };
        Ok(Self { files, ports, watching })
    }

    /// What to tell: where to look, or why there is nothing to look at, and the configuration in any case.
    #[must_use]
    pub fn text(&self) -> String {
        let path = self.files.configuration();
        let path = path.display();
        let told = match &self.watching {
            Watching::Yes { address, .. } => {
                format!(
                    "Prometheus watches, with the rules in effect: http://{address}/alerts\nIts configuration, {path}:"
                )
            }
            Watching::NotInstalled => format!(
                "Nobody watches: there is no {PROGRAM} on the path (apt-get install {PROGRAM}, or \
                 https://prometheus.io/download).\nWith one: {PROGRAM} --config.file={path}, which says:"
            ),
            Watching::Failed { why } => {
                let log = self.files.log();
                format!(
                    "Nobody watches: {why}; its log is {}.\nThe configuration that it was given, {path}:",
                    log.display()
                )
            }
        };
        let indented: String = configuration(self.ports).lines().map(|line| format!("  {line}\n")).collect();
        format!("{told}\n\n{indented}\nDashboards for Grafana, rules and objectives: deploy/observability\n")
    }

    /// Ends what was started.
    pub async fn stop(self) {
        let Watching::Yes { mut child, .. } = self.watching else { return };
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by the Ctrl-C that its terminal sent to all.
            let _ = kill_process(id, Signal::TERM);
        }
        if timeout(ENDS_WITHIN, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

/// What lies where.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
}

impl Files {
    fn configuration(&self) -> PathBuf {
        self.folder.join("prometheus.yml")
    }

    fn rules(&self) -> PathBuf {
        self.folder.join("rules")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("prometheus.log")
    }

    fn write(&self, ports: Ports) -> io::Result<()> {
        fs::create_dir_all(self.rules())?;
        fs::write(self.configuration(), configuration(ports))?;
        RULES.iter().try_for_each(|(name, rules)| fs::write(self.rules().join(name), rules))
    }
}

/// What Prometheus is told to do. Paths in it are relative to its own.
#[must_use]
fn configuration(ports: Ports) -> String {
    format!(
        "global:
  scrape_interval: 5s
  scrape_timeout: 4s
  evaluation_interval: 15s
rule_files:
  - rules/*.yml
scrape_configs:
  # One process: its four metrics ports tell the same numbers, so one of them is asked.
  - job_name: latchkey-dev
    static_configs:
      - targets: [\"{}\"]
        labels: {{ cluster: dev }}
",
        ports.validation_metrics()
    )
}

/// Where a shell would find a program.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Starts it, and waits until it answers; else tells why not.
async fn watch(program: &Path, files: &Files) -> Result<Watching, String> {
    let address = free_address().ok_or_else(|| {
        format!("no port from {PORT_FIRST} to {} on loopback is free", PORT_FIRST + (PORTS_TRIED - 1))
    })?;
    let told = |what: &str, error: &io::Error| format!("{what}: {error}");
    let log = fs::File::create(files.log()).map_err(|error| told("its log cannot be written", &error))?;
    let mut child = Command::new(program)
        .arg(format!("--config.file={}", files.configuration().display()))
        .arg(format!("--storage.tsdb.path={}", files.data().display()))
        .arg(format!("--web.listen-address={address}"))
        // The trace ids beside the buckets of a histogram.
        .arg("--enable-feature=exemplar-storage")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| told(&format!("{} cannot be started", program.display()), &error))?;
    let answered = timeout(READY_WITHIN, async {
        while !is_ready(address).await {
            sleep(ASK_INTERVAL).await;
        }
    });
    tokio::select! {
        answered = answered => match answered {
            Ok(()) => Ok(Watching::Yes { child, address }),
            // Dropped, it is killed.
            Err(_) => Err(format!("{PROGRAM} did not answer within {} s", READY_WITHIN.as_secs())),
        },
        ended = child.wait() => Err(match ended {
            Ok(status) => format!("{PROGRAM} ended at once, with {status}"),
            Err(error) => told(&format!("{PROGRAM} is lost"), &error),
        }),
    }
}

/// An address that was free a moment ago.
fn free_address() -> Option<SocketAddr> {
    let addresses = (PORT_FIRST..).take(PORTS_TRIED.into()).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.into_iter().find(|address| TcpListener::bind(address).is_ok())
}

/// Whether it has read its configuration and would answer queries.
async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await?;
        let mut status = [0; "HTTP/1.0 200".len()];
        stream.read_exact(&mut status).await?;
        Ok::<_, io::Error>(status.ends_with(b" 200"))
    };
    asked.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("a-prometheus");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the folder can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
        path
    }

    #[tokio::test]
    async fn where_it_is_not_installed_it_is_said_and_everything_is_there_to_start_it_by_hand() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path().to_owned());
        let observer = Observer::start_with(None, &layout, Ports::default()).await.expect("the folder can be written");
        let text = observer.text();
        assert!(text.starts_with("Nobody watches: there is no prometheus"), "{text}");
        let written = fs::read_to_string(folder.path().join("observe/prometheus.yml")).expect("it was written");
        for line in written.lines() {
            assert!(text.contains(line), "{text}");
        }
        for (name, rules) in RULES {
            let written = fs::read_to_string(folder.path().join("observe/rules").join(name)).expect("it was written");
            assert_eq!(written, rules);
        }
    }

    #[tokio::test]
    async fn one_that_ends_at_once_is_told_with_its_log_and_stops_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path().to_owned());
        let program = program(folder.path(), "echo no such flag >&2; exit 3");
        let observer =
            Observer::start_with(Some(&program), &layout, Ports::default()).await.expect("the folder can be written");
        let text = observer.text();
        assert!(text.contains("ended at once") && text.contains("prometheus.log"), "{text}");
        let log = fs::read_to_string(folder.path().join("observe/prometheus.log")).expect("it was written");
        assert_eq!(log, "no such flag\n");
        observer.stop().await;
    }

    #[test]
    fn one_of_the_ports_that_tell_the_same_is_scraped() {
        let ports = Ports::from_base(20_000).expect("there is room");
        let text = configuration(ports);
        assert_eq!(text.matches("targets:").count(), 1);
        assert!(text.contains("targets: [\"127.0.0.1:20019\"]"), "{text}");
    }
}
