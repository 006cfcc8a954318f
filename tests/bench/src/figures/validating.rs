//! `ValidateKey` against a bare handler that answers the same bytes, in turns, from the same load.

use crate::cluster::{Cluster, KEYSPACE, PERMISSION, free_listener};
use crate::load::{Calls, Header, Measured, Plan, run};
use crate::machine::Halves;
use crate::process::Part;
use crate::table::{Table, say};
use latchkey_wire::pb::v1;
use prost::Message as _;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Many callers: 8 connections with 8 calls in flight each, as many as keep one processor busy.
const BUSY: Plan =
    Plan { connections: 8, in_flight: 8, warm: Duration::from_millis(300), measured: Duration::from_secs(1) };

/// One caller: each call waits for the answer before.
const ALONE: Plan =
    Plan { connections: 1, in_flight: 1, warm: Duration::from_millis(200), measured: Duration::from_secs(1) };

/// What the ratio of throughput should be at least.
const RATIO_AIM: f64 = 0.9;

/// Both servers in one round.
struct Round {
    ours: Measured,
    bare: Measured,
}

/// Measures `rounds` rounds at `keys` keys, of which `key_texts` are asked for. The cluster's one replica runs.
pub(crate) async fn measure(
    cluster: &Cluster,
    halves: &Halves,
    folder: &Path,
    keys: usize,
    key_texts: Vec<String>,
    rounds: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let calls = calls(cluster.root(), key_texts);
    let (ours, part) = cluster.replica();
    let (answer, _) = cluster.first_valid(&calls.key_texts[0], crate::clock::now()).await?;
    let answer_file = folder.join("answer");
    fs::write(&answer_file, answer.encode_to_vec())?;
    let address = free_listener()?.local_addr()?;
    let flags = [("listen", address.to_string()), ("answer", answer_file.display().to_string())];
    let bare = Part::start("bare", &halves.servers, &flags.map(|(name, value)| (name.to_owned(), value)))?;
    wait_for(address).await?;

    let measure = |plan| {
        tokio::task::block_in_place(|| -> Result<Round, Box<dyn Error>> {
            let bare = run(address, &bare, &calls, plan, &halves.callers)?;
            Ok(Round { ours: run(ours, part, &calls, plan, &halves.callers)?, bare })
        })
    };
    let mut busy = Vec::new();
    for number in 1..=rounds {
        let round = measure(BUSY)?;
        say(&format!(
            "validating among {keys} keys, round {number} of {rounds}: {:.0} calls/s, bare {:.0}",
            round.ours.calls_per_second, round.bare.calls_per_second
        ));
        busy.push(round);
    }
    let alone = measure(ALONE)?;
    bare.stop()?;

    let figure = |of: fn(&Measured) -> f64| median(&busy, of);
    table.section(&format!("ValidateKey among {keys} keys, with all layers, against a bare tonic handler"));
    let [ours, bare, ratio] = figure(|measured| measured.calls_per_second);
    table.compare("calls/s, 64 in flight", [ours, bare], ratio, Some(RATIO_AIM));
    let [ours, bare, ratio] = figure(|measured| measured.server_micros);
    table.compare("processor time, us a call", [ours, bare], ratio, None);
    for percent in [50, 99] {
        let of = |measured: &Measured| measured.latencies.percentile(percent) as f64;
        let [ours, bare, ratio] = median(&busy, of);
        table.compare(&format!("p{percent} of 64 in flight, us"), [ours, bare], ratio, None);
        let (ours, bare) = (of(&alone.ours), of(&alone.bare));
        table.compare(&format!("p{percent} of one alone, us"), [ours, bare], ours / bare.max(1.0), None);
    }
    Ok(())
}

/// What a gateway asks: is this key of that keyspace, and may it do this?
fn calls(root: &str, key_texts: Vec<String>) -> Calls {
    let request = v1::ValidateKeyRequest {
        key_text: key_texts[0].clone(),
        keyspace: KEYSPACE.to_owned(),
        permission_query: PERMISSION.to_owned(),
        ..Default::default()
    };
    let request = request.encode_to_vec();
    let key_text = key_texts[0].as_bytes();
    let key_text_at = request.windows(key_text.len()).position(|window| window == key_text);
    assert!(key_texts.iter().all(|text| text.len() == key_text.len()), "key texts of one keyspace are equally long");
    // The numbers are those of the static table (RFC 7541, appendix A).
    let headers = vec![
        Header::known(4, "/latchkey.v1.ValidationService/ValidateKey"),
        Header::known(1, "127.0.0.1"),
        Header::known(31, "application/grpc"),
        Header::spelled("te", "trailers"),
        Header::known(58, "latchkey-bench/0.1"),
        Header::spelled("grpc-timeout", "1S"),
        Header::known(23, format!("Bearer {root}")),
    ];
    Calls { headers, request, key_text_at: key_text_at.expect("the request names the key"), key_texts }
}

/// The medians of ours, of the bare handler's, and of the ratio within a round.
fn median(rounds: &[Round], of: impl Fn(&Measured) -> f64) -> [f64; 3] {
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    [
        middle(rounds.iter().map(|round| of(&round.ours)).collect()),
        middle(rounds.iter().map(|round| of(&round.bare)).collect()),
        middle(rounds.iter().map(|round| of(&round.ours) / of(&round.bare).max(f64::MIN_POSITIVE)).collect()),
    ]
}

/// Waits until somebody listens.
async fn wait_for(address: std::net::SocketAddr) -> Result<(), Box<dyn Error>> {
    let trying = async {
        while std::net::TcpStream::connect(address).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(10), trying).await?)
}
