//! `ValidateKey` against a bare handler that answers the same bytes, in turns, from the same load.

use crate::cluster::{Cluster, KEYSPACE, PERMISSION};
use crate::load::{Bodies, Calls, Header, Kind, Measured, Plan, answers, run};
use crate::machine::Halves;
use crate::process::Part;
use crate::rounds::Rounds;
use crate::table::{Table, least, most, say};
use latchkey_wire::pb::v1;
use prost::Message as _;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// Many callers: 8 connections with 8 calls in flight each, as many as keep one processor busy.
pub(crate) const BUSY: Plan =
    Plan { connections: 8, in_flight: 8, warm: Duration::from_millis(200), measured: Duration::from_millis(800) };

/// One caller: each call waits for the answer before.
pub(crate) const ALONE: Plan =
    Plan { connections: 1, in_flight: 1, warm: Duration::from_millis(200), measured: Duration::from_secs(1) };

/// What the ratio of throughput should be at least, that of the slowest hundredth at most, and that of the throughput
/// among many keys to that among few at least.
const RATIO_AIM: f64 = 0.92;
const P99_AIM: f64 = 1.3;
pub(crate) const FLAT_AIM: f64 = 0.9;

/// How long a profile is recorded.
const PROFILE_SECONDS: &str = "8";

/// Who is measured in a round, by place.
const OURS: usize = 0;
const BARE: usize = 1;
const BARE_ONE_THREAD: usize = 2;
const NULL: usize = 3;

/// How the replica runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As in production.
    Whole,
    /// Nobody is told what keys are used for.
    Unobserved,
    /// Without metrics and traces.
    Untold,
}

impl How {
    /// What is left out, as people read it.
    const fn words(self) -> &'static str {
        match self {
            Self::Whole => "metrics on, traces of 1 % exported",
            Self::Unobserved => "without usage and access log",
            Self::Untold => "without metrics and traces",
        }
    }
}

/// What is validated: by whom, and which keys.
pub(crate) struct Asked<'a> {
    /// How many keys there are.
    pub(crate) keys: usize,
    /// Those that are asked for.
    pub(crate) key_texts: &'a [String],
    /// Rounds.
    pub(crate) rounds: usize,
}

/// Measures the cluster's one replica, which runs so. Gives calls a second as a ratio to the bare handler's.
pub(crate) async fn measure(
    cluster: &Cluster,
    halves: &Halves,
    folder: &Path,
    asked: &Asked<'_>,
    how: How,
    profile: Option<&Path>,
    table: &mut Table,
) -> Result<f64, Box<dyn Error>> {
    let calls = calls(cluster.root(), asked.key_texts);
    let (answer, _) = cluster.first_valid(0, &asked.key_texts[0], crate::clock::now()).await?;
    let answer = answer.encode_to_vec();
    let one_thread = [("runtime", "current-thread".to_owned())];
    let others: [(&str, &[(&str, String)]); 3] = [("bare", &[]), ("bare", &one_thread), ("null", &[])];
    let mut responders = Vec::new();
    // Where something is left out only that is told: all else is known from the section of the whole.
    for (kind, more) in &others[..if how == How::Whole { others.len() } else { BARE }] {
        responders.push(start_responder(kind, &answer, more, folder, &halves.servers).await?);
    }
    let all = [cluster.replica()].into_iter().chain(responders.iter().map(|(address, part)| (*address, part)));
    let all: Vec<_> = all.collect();
    let measure = |plan| {
        tokio::task::block_in_place(|| -> Result<Vec<Measured>, Box<dyn Error>> {
            Ok(all
                .iter()
                .map(|(address, part)| run(*address, &[part], &calls, plan, &halves.callers))
                .collect::<std::io::Result<_>>()?)
        })
    };
    let profiler = profile.map(|folder| record(cluster.replica().1, asked.keys, folder)).transpose()?;
    let mut busy = Rounds::new();
    for number in 1..=asked.rounds {
        let round = measure(BUSY)?;
        say(&format!(
            "validating among {} keys, {}, round {number} of {}: {:.0} calls/s, bare {:.0}",
            asked.keys,
            how.words(),
            asked.rounds,
            round[OURS].calls_per_second,
            round[BARE].calls_per_second
        ));
        busy.push(round);
    }
    // It ends by itself some seconds later, and writes its file then.
    profiler.map(|mut perf| perf.wait()).transpose()?;

    let per_second = |measured: &Measured| measured.calls_per_second;
    let (figures, flat) = busy.compare([OURS, BARE], per_second);
    let handler = "a bare tonic handler on tokio's usual runtime";
    table.section(format!("ValidateKey among {} keys, {}", asked.keys, how.words()), handler);
    table.compare("calls/s, 64 in flight", figures, flat, if how == How::Whole { least(RATIO_AIM) } else { None });
    let (figures, ratio) = busy.compare([OURS, BARE], |measured| measured.server_micros);
    table.compare("processor time, us a call", figures, ratio, None);
    if how == How::Whole {
        let alone = measure(ALONE)?;
        let (figures, ratio) = busy.compare([OURS, BARE_ONE_THREAD], per_second);
        table.compare("calls/s, the handler on one thread", figures, ratio, None);
        let (figures, ratio) = busy.compare([OURS, BARE_ONE_THREAD], |measured| measured.server_micros);
        table.compare("processor time, the handler on one thread", figures, ratio, None);
        for percent in [50, 99] {
            let of = |measured: &Measured| measured.latencies.percentile(percent) as f64;
            let (figures, ratio) = busy.compare([OURS, BARE], of);
            let aim = if percent == 99 { most(P99_AIM) } else { None };
            table.compare(format!("p{percent} of 64 in flight, us"), figures, ratio, aim);
            let figures = [of(&alone[OURS]), of(&alone[BARE])];
            table.compare(format!("p{percent} of one alone, us"), figures, figures[0] / figures[1].max(1.0), None);
        }
        let (figures, ratio) = busy.compare([OURS, NULL], per_second);
        table.compare("what the generator can measure, calls/s", figures, ratio, None);
    }
    for (_, part) in responders {
        part.stop()?;
    }
    Ok(flat)
}

/// Records what `part` does, for as many seconds as the fewest rounds take.
fn record(part: &Part, keys: usize, folder: &Path) -> std::io::Result<Child> {
    let file = folder.join(format!("validating-{keys}.perf"));
    say(&format!("recording into {}", file.display()));
    Command::new("perf")
        .args(["record", "--quiet", "--freq", "499", "--call-graph", "dwarf,16384", "--pid", &part.id().to_string()])
        .arg("--output")
        .arg(file)
        .args(["sleep", PROFILE_SECONDS])
        .spawn()
}

/// Starts a part that answers `answer` to everybody.
pub(crate) async fn start_responder(
    kind: &str,
    answer: &[u8],
    more: &[(&str, String)],
    folder: &Path,
    cpus: &[usize],
) -> Result<(SocketAddr, Part), Box<dyn Error>> {
    let address = latchkey_testkit::free_address()?;
    // Each has a file of its own: one may still be read while the next is written.
    let answer_file = folder.join(format!("answer-{}", address.port()));
    fs::write(&answer_file, answer)?;
    let own = [("listen", address.to_string()), ("answer", answer_file.display().to_string())];
    let flags: Vec<_> = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let part = Part::start(kind, cpus, &flags)?;
    wait_for(address).await?;
    Ok((address, part))
}

/// What a gateway asks: is this key of that keyspace, and may it do this?
pub(crate) fn request(key_text: &str) -> v1::ValidateKeyRequest {
    v1::ValidateKeyRequest {
        key_text: key_text.to_owned(),
        keyspace: KEYSPACE.to_owned(),
        permission_query: PERMISSION.to_owned(),
        ..Default::default()
    }
}

/// Unary calls for each of `key_texts`.
pub(crate) fn calls(root: &str, key_texts: &[String]) -> Calls {
    Calls {
        headers: headers("/latchkey.v1.ValidationService/ValidateKey", Some(root), Some("1S")),
        bodies: Bodies::messages(key_texts.iter().map(|text| request(text))),
        kind: Kind::Unary,
        accept: answers::is_valid,
    }
}

/// The headers of a call, as a client library sends them.
pub(crate) fn headers(path: &str, key_text: Option<&str>, timeout: Option<&str>) -> Vec<Header> {
    // The numbers are those of the static table (RFC 7541, appendix A).
    let mut headers = vec![
        Header::known(4, path),
        Header::known(1, "127.0.0.1"),
        Header::known(31, "application/grpc"),
        Header::spelled("te", "trailers"),
        Header::known(58, "latchkey-bench/0.1"),
    ];
    headers.extend(timeout.map(|timeout| Header::spelled("grpc-timeout", timeout)));
    headers.extend(key_text.map(|key_text| Header::known(23, format!("Bearer {key_text}"))));
    headers
}

/// Waits until somebody listens.
pub(crate) async fn wait_for(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let trying = async {
        while std::net::TcpStream::connect(address).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(10), trying).await?)
}
