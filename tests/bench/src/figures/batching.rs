//! `BatchValidateKeys` and `StreamValidateKeys` against pipelined GETs of Redis, in turns, on the same processors, with as
//! many connections and as many keys in flight.

use crate::cluster::Cluster;
use crate::figures::validating::{Asked, headers, request, start_responder};
use crate::load::{Bodies, Calls, Kind, Measured, Plan, answers, run, run_pipelines};
use crate::machine::Halves;
use crate::redis::{self, Redis};
use crate::rounds::Rounds;
use crate::table::{Table, least, say};
use latchkey_wire::pb::v1;
use prost::Message as _;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Keys of a batch, the most that one may have, and of a pipeline.
const BATCH_KEYS: usize = 200;

/// 4 connections with 400 keys in flight each.
const BATCHES: Plan =
    Plan { connections: 4, in_flight: 2, warm: Duration::from_millis(200), measured: Duration::from_millis(800) };
const ITEMS: Plan = Plan { in_flight: BATCHES.in_flight * BATCH_KEYS, ..BATCHES };

/// Keys a second in batches.
const KEYS_AIM: f64 = 1_000_000.0;

/// Who is measured in a round, by place; Redis only where it is installed.
const BATCH: usize = 0;
const STREAM: usize = 1;
const NULL: usize = 2;
const REDIS: usize = 3;

/// Keys a second, and processor time of the server a key.
struct Figure {
    keys_per_second: f64,
    nanos: f64,
}

/// Measures the cluster's one replica, which runs.
pub(crate) async fn measure(
    cluster: &Cluster,
    halves: &Halves,
    folder: &Path,
    asked: &Asked<'_>,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let (batches, items) = (batches(cluster.root(), asked.key_texts), items(cluster.root(), asked.key_texts));
    let pipelines = redis::pipelines(asked.key_texts, BATCH_KEYS);
    let version = redis::version();
    let redis = match version {
        Some(_) => Some(Redis::start(folder, &halves.servers, asked.key_texts, asked.keys).await?),
        None => None,
    };
    let (ours, part) = cluster.replica();
    let (null_address, null) =
        start_responder("null", &answer(cluster, asked).await?, &[], folder, &halves.servers).await?;

    let mut rounds = Rounds::new();
    for number in 1..=asked.rounds {
        let round = tokio::task::block_in_place(|| -> Result<Vec<Figure>, std::io::Error> {
            let cpus = &halves.callers;
            let mut round = vec![
                figure(&run(ours, &[part], &batches, BATCHES, cpus)?, BATCH_KEYS),
                figure(&run(ours, &[part], &items, ITEMS, cpus)?, 1),
                figure(&run(null_address, &[&null], &batches, BATCHES, cpus)?, BATCH_KEYS),
            ];
            if let Some((address, part)) = redis.as_ref().map(Redis::server) {
                round.push(figure(&run_pipelines(address, part, &pipelines, BATCHES, cpus)?, BATCH_KEYS));
            }
            Ok(round)
        })?;
        say(&format!(
            "batches among {} keys, round {number} of {}: {:.0} keys/s, in a stream {:.0}, Redis {:.0}",
            asked.keys,
            asked.rounds,
            round[BATCH].keys_per_second,
            round[STREAM].keys_per_second,
            round.get(REDIS).map_or(0.0, |figure| figure.keys_per_second)
        ));
        rounds.push(round);
    }

    let per_second = |figure: &Figure| figure.keys_per_second;
    let nanos = |figure: &Figure| figure.nanos;
    let other = version.as_ref().map_or_else(String::new, |version| format!("GET of redis-server {version}"));
    table.section(format!("Batches of {BATCH_KEYS} and streams among {} keys", asked.keys), other);
    table.single("BatchValidateKeys, keys/s", rounds.median(BATCH, per_second), least(KEYS_AIM));
    if version.is_some() {
        for (name, ours) in [("BatchValidateKeys", BATCH), ("StreamValidateKeys", STREAM)] {
            let (figures, ratio) = rounds.compare([ours, REDIS], per_second);
            table.compare(format!("{name}, keys/s"), figures, ratio, None);
            let (figures, ratio) = rounds.compare([ours, REDIS], nanos);
            table.compare(format!("{name}, processor time, ns a key"), figures, ratio, None);
        }
    } else {
        table.single("BatchValidateKeys, processor time, ns a key", rounds.median(BATCH, nanos), None);
        table.single("StreamValidateKeys, keys/s", rounds.median(STREAM, per_second), None);
        table.single("StreamValidateKeys, processor time, ns a key", rounds.median(STREAM, nanos), None);
        table.note("redis-server is not installed (apt-get install redis-server): not compared");
    }
    table.single("what the generator can measure, keys/s in batches", rounds.median(NULL, per_second), None);
    null.stop()?;
    redis.map_or(Ok(()), Redis::stop)?;
    Ok(())
}

fn figure(measured: &Measured, keys: usize) -> Figure {
    Figure {
        keys_per_second: measured.calls_per_second * keys as f64,
        nanos: measured.server_micros * 1_000.0 / keys as f64,
    }
}

/// The answer to a batch, for whoever answers without doing anything.
async fn answer(cluster: &Cluster, asked: &Asked<'_>) -> Result<Vec<u8>, Box<dyn Error>> {
    let (answer, _) = cluster.first_valid(0, &asked.key_texts[0], crate::clock::now()).await?;
    let result = |number: usize| v1::ValidateKeyResult {
        id: number.to_string(),
        result: Some(v1::validate_key_result::Result::Response(answer.clone())),
    };
    Ok(v1::BatchValidateKeysResponse { results: (0..BATCH_KEYS).map(result).collect() }.encode_to_vec())
}

fn batches(root: &str, key_texts: &[String]) -> Calls {
    let batch = |texts: &[String]| v1::BatchValidateKeysRequest {
        items: texts
            .iter()
            .enumerate()
            .map(|(number, text)| v1::BatchValidateKeysItem { id: number.to_string(), request: Some(request(text)) })
            .collect(),
    };
    Calls {
        headers: headers("/latchkey.v1.ValidationService/BatchValidateKeys", Some(root), Some("5S")),
        bodies: Bodies::messages(key_texts.chunks_exact(BATCH_KEYS).map(batch)),
        kind: Kind::Unary,
        accept: answers::are_valid::<BATCH_KEYS>,
    }
}

fn items(root: &str, key_texts: &[String]) -> Calls {
    let item = |(number, text): (usize, &String)| v1::StreamValidateKeysRequest {
        id: (number % BATCH_KEYS).to_string(),
        request: Some(request(text)),
    };
    Calls {
        headers: headers("/latchkey.v1.ValidationService/StreamValidateKeys", Some(root), None),
        bodies: Bodies::messages(key_texts.iter().enumerate().map(item)),
        kind: Kind::Stream,
        accept: answers::is_valid_item,
    }
}
