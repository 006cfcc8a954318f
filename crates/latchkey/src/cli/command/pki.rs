//! `latchkey pki`: certificates for those who have no authority of their own.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::moment;
use crate::cli::output::{self, Printer, note};
use crate::pki::{Authority, Described, Pair, PkiError, Wanted, describe, unix_seconds, write_public};
use clap::{Args, Subcommand};
use latchkey_domain::{TrustDomain, UnixMillis, Workload, read_spiffe_id};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Certificates of our processes and of callers.
#[derive(Debug, Subcommand)]
pub(crate) enum PkiTask {
    /// Makes a root: a certificate to trust, good for ten years, and its key, for you only.
    Init(Init),
    /// Issues a certificate for one process or caller, with a key of its own.
    Issue(Issue),
    /// Issues a certificate anew: the same id and hosts, another key, in place of the old files.
    Renew(Renew),
    /// Tells what certificates say: whose they are, and until when.
    Show(Show),
}

/// Of what.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey pki init --trust-domain latchkey.example --folder pki
  cat pki-2026/root.pem pki-2036/root.pem > trust.pem    # while one root takes the place of another, trust both

Keep the folder off the machines that serve: whoever has root.key can be every process.")]
pub(crate) struct Init {
    /// Within which ids are given, such as latchkey.example.
    #[arg(long, value_name = "DOMAIN", value_parser = trust_domain)]
    trust_domain: TrustDomain,
    /// Where root.pem and root.key are written; it is made where it is not there.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

/// For whom.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey pki issue --folder pki --role replica/3 --host replica-3.example --host 10.0.0.3 --out certificates
  latchkey pki issue --folder pki --role issuance --host keys.example --days 30 --out certificates
  latchkey pki issue --folder pki --role client/prometheus --out certificates")]
pub(crate) struct Issue {
    /// The folder of the root.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// What it is: replica/ID, issuance, rotation, audit or client/NAME.
    #[arg(long, value_name = "ROLE", value_parser = workload)]
    role: Workload,
    /// A name or an address under which it is reached, for clients that check those; ours check the id. May be repeated.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// For how many days it is good.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=825))]
    days: u32,
    /// Where ROLE.pem, ROLE.key and trust.pem are written.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Which.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey pki renew certificates/replica-3.pem --folder pki
  latchkey pki renew certificates/*.pem --folder pki --if-due    # each night: only what has a third of its time left

Processes take up the new files within a second, and drop no call.")]
pub(crate) struct Renew {
    /// The certificates. The key of FILE.pem is FILE.key. What is no certificate of this root's domain is passed over.
    #[arg(required = true, value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// The folder of the root.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// For how many days they are good.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=825))]
    days: u32,
    /// Leave alone what has more than a third of its time left.
    #[arg(long)]
    if_due: bool,
}

/// Which.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey pki show certificates/replica-3.pem trust.pem\n  latchkey pki show trust.pem --output json"
)]
pub(crate) struct Show {
    /// Files with certificates as PEM.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl PkiTask {
    pub(crate) fn run(&self, printer: Printer) -> Result<Exit, CliError> {
        match self {
            Self::Init(init) => init.run(),
            Self::Issue(issue) => issue.run(),
            Self::Renew(renew) => renew.run(),
            Self::Show(show) => show.run(printer),
        }
    }
}

impl Init {
    fn run(&self) -> Result<Exit, CliError> {
        let authority = Authority::found(&self.folder, &self.trust_domain)?;
        note(&format!("{} is what processes trust.", authority.root().display()));
        note("Its key lies beside it, for you only: keep this folder off the machines that serve.");
        Ok(Exit::Done)
    }
}

impl Issue {
    fn run(&self) -> Result<Exit, CliError> {
        let authority = Authority::open(&self.folder)?;
        let issued = authority.issue(&Wanted { workload: &self.role, hosts: &self.hosts, days: self.days })?;
        let pair = Pair::within(&self.out, &self.role.to_string());
        for path in [&pair.certificate, &pair.key] {
            if path.exists() {
                let renew = format!("latchkey pki renew {}", pair.certificate.display());
                return Err(PkiError::Exists { path: path.clone() })
                    .map_err(|error| CliError::from(error).remedy(renew));
            }
        }
        pair.write(&issued)?;
        let trust = self.out.join("trust.pem");
        // One that is there may hold two roots.
        if !trust.exists() {
            write_public(&trust, &read(&authority.root())?)?;
        }
        note(&format!(
            "{} is {}, for {} days.",
            pair.certificate.display(),
            authority.trust_domain().id(&self.role),
            self.days
        ));
        Ok(Exit::Done)
    }
}

impl Renew {
    fn run(&self) -> Result<Exit, CliError> {
        let authority = Authority::open(&self.folder)?;
        let mut renewed = 0;
        for path in &self.certificates {
            let Some((described, role)) = own(path, authority.trust_domain())? else {
                note(&format!("{} is none of {}: passed over.", path.display(), authority.trust_domain()));
                continue;
            };
            if self.if_due && !is_due(&described) {
                continue;
            }
            let issued = authority.issue(&Wanted { workload: &role, hosts: &described.hosts, days: self.days })?;
            Pair::of(path).write(&issued)?;
            note(&format!("{} is good for {} days again.", path.display(), self.days));
            renewed += 1;
        }
        if renewed == 0 {
            note("Nothing was renewed.");
        }
        Ok(Exit::Done)
    }
}

impl Show {
    fn run(&self, printer: Printer) -> Result<Exit, CliError> {
        let mut all = Vec::new();
        for path in &self.files {
            let found = describe(&read(path)?);
            if found.is_empty() {
                return Err(CliError::usage(format!("{} holds no certificate as PEM", path.display())));
            }
            all.extend(found.into_iter().map(|described| (path, described)));
        }
        let text = if printer.is_for_people() {
            let now = UnixMillis::new(u64::try_from(unix_seconds()).unwrap_or(0) * 1_000);
            all.iter().map(|(path, described)| lines(path, described, now)).collect::<Vec<_>>().join("\n")
        } else {
            let values = all.iter().map(|(path, described)| value(path, described)).collect();
            printer.one(&json!({ "certificates": Value::Array(values) }))
        };
        output::print(&text)?;
        Ok(Exit::Done)
    }
}

/// What a certificate says, line by line.
fn lines(path: &Path, described: &Described, now: UnixMillis) -> String {
    let ends = UnixMillis::new(u64::try_from(described.not_after).unwrap_or(0) * 1_000);
    let what = if described.is_root { "root" } else { "certificate" };
    let due = if described.is_root || !is_due(described) { "" } else { "; renew it" };
    format!(
        "{}: {what}\n  id       {}\n  hosts    {}\n  issuer   {}\n  ends     {} ({}{due})\n  sha256   {}\n",
        path.display(),
        described.uris.join(", "),
        described.hosts.join(", "),
        described.issuer,
        written(described.not_after),
        moment::age(ends, now),
        described.sha256
    )
}

fn value(path: &Path, described: &Described) -> Value {
    json!({
        "file": path.display().to_string(),
        "root": described.is_root,
        "uris": described.uris,
        "hosts": described.hosts,
        "subject": described.subject,
        "issuer": described.issuer,
        "notBefore": written(described.not_before),
        "notAfter": written(described.not_after),
        "due": is_due(described),
        "sha256": described.sha256,
    })
}

fn written(seconds: i64) -> String {
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}

/// With a third of its time left.
fn is_due(described: &Described) -> bool {
    (described.not_after - unix_seconds()) * 3 < described.not_after - described.not_before
}

/// What lies in a file, if it is a certificate of ours.
fn own(path: &Path, domain: &TrustDomain) -> Result<Option<(Described, Workload)>, CliError> {
    let Some(described) = describe(&read(path)?).into_iter().next() else { return Ok(None) };
    let [uri] = &described.uris[..] else { return Ok(None) };
    let role = read_spiffe_id(uri).filter(|(found, _)| found == domain).and_then(|(_, path)| Workload::parse(path));
    Ok(role.map(|role| (described, role)))
}

fn read(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|source| CliError::File { verb: "read", path: path.to_owned(), source })
}

fn trust_domain(text: &str) -> Result<TrustDomain, &'static str> {
    TrustDomain::parse(text).ok_or("expected lower case letters, digits, `.`, `-` and `_`, such as latchkey.example")
}

fn workload(text: &str) -> Result<Workload, &'static str> {
    Workload::parse(text).ok_or("expected replica/ID, issuance, rotation, audit or client/NAME")
}

impl From<PkiError> for CliError {
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::Mode { ref path, .. } => {
                let remedy = format!("chmod 600 {}", path.display());
                Self::usage(error.to_string()).remedy(remedy)
            }
            other => Self::usage(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;
    use clap::FromArgMatches as _;

    /// Carries out a command line.
    fn run(arguments: &[&str]) -> Result<Exit, CliError> {
        let words = ["latchkey", "pki"].iter().chain(arguments);
        let matches = definition().try_get_matches_from(words).map_err(|error| CliError::usage(error.to_string()))?;
        let matches = matches.subcommand_matches("pki").unwrap();
        let task = PkiTask::from_arg_matches(matches).unwrap();
        task.run(Printer::new(output::Format::Table, false, None))
    }

    #[test]
    fn a_certificate_is_issued_once_renewed_when_it_is_due_and_keeps_its_id_and_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (pki, out) = (path("pki"), path("out"));
        run(&["init", "--trust-domain", "latchkey.example", "--folder", &pki]).unwrap();
        let issue = ["issue", "--folder", &pki, "--role", "replica/3", "--host", "replica-3.example", "--out", &out];
        run(&issue).unwrap();
        let certificate = path("out/replica-3.pem");
        let told = run(&issue).unwrap_err().text();
        assert!(told.contains("is there already") && told.contains("latchkey pki renew"), "{told}");

        let before = describe(&fs::read_to_string(&certificate).unwrap()).remove(0);
        run(&["renew", &certificate, "--folder", &pki, "--if-due"]).unwrap();
        assert_eq!(describe(&fs::read_to_string(&certificate).unwrap()), [before], "most of its time is left");

        let before = describe(&fs::read_to_string(&certificate).unwrap()).remove(0);
        let trust = path("out/trust.pem");
        run(&["renew", &certificate, &trust, "--folder", &pki, "--days", "60"]).unwrap();
        let after = describe(&fs::read_to_string(&certificate).unwrap()).remove(0);
        assert_eq!((&after.uris, &after.hosts), (&before.uris, &before.hosts));
        assert!(after.sha256 != before.sha256 && after.not_after > before.not_after);
        assert!(describe(&fs::read_to_string(&trust).unwrap())[0].is_root, "what is none of ours was passed over");
        run(&["show", &certificate, &trust]).unwrap();
    }

    #[test]
    fn a_role_that_is_none_is_refused_with_those_that_are() {
        let told = run(&["issue", "--folder", "f", "--role", "replica/0"]).unwrap_err().text();
        assert!(told.contains("replica/ID, issuance, rotation, audit or client/NAME"), "{told}");
    }

    #[test]
    fn a_certificate_is_due_with_a_third_of_its_time_left() {
        let now = unix_seconds();
        let described = |before, after| Described {
            subject: String::new(),
            issuer: String::new(),
            uris: Vec::new(),
            hosts: Vec::new(),
            is_root: false,
            not_before: now + before,
            not_after: now + after,
            sha256: String::new(),
        };
        assert!(is_due(&described(-70, 20)) && !is_due(&described(-20, 70)));
    }
}
