//! A follower is down while more is written than the log keeps: it catches up by a snapshot that is streamed to it.

use crate::binaries::Binaries;
use crate::caller::Caller;
use crate::cluster::{CALL_MAX, Cluster};
use crate::history;
use crate::keys::{Made, create, make, validate_all};
use crate::random::Random;
use crate::report::{Report, Trouble};
use latchkey_wire::pb::v1;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Records after which the log is sure to have lost what the follower needs: a snapshot comes every 20,000, and 10,000
/// before it are kept.
const RECORDS: u64 = 32_000;

/// Owners that are made at once; each is a record of its own, and the smallest there is.
const WRITERS: u64 = 128;

/// Writes at most until `by`; what takes longer is not run.
pub(crate) async fn run(
    binaries: &Binaries,
    by: Instant,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = snapshot(&mut cluster, by, random, report).await;
    if matches!(ended, Err(Trouble::Wrong(_))) || report.has_failed() {
        println!("{}", cluster.last_words());
    }
    ended
}

async fn snapshot(cluster: &mut Cluster, by: Instant, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let issuance = cluster.issuance();
    let mut keys = make_some(&issuance, 20, random).await?;
    let follower = cluster.follower().await?;
    cluster.stop(follower).await?;
    let began = Instant::now();
    let written = write(&issuance, by).await?;
    report.figure("records written while a follower was down", written);
    report.figure("records a second", written / began.elapsed().as_secs().max(1));
    if written < RECORDS {
        return Err(Trouble::not_run(format!("{written} of {RECORDS} records were written in the time given")));
    }
    keys.extend(make_some(&issuance, 20, random).await?);
    cluster.start(follower)?;
    let began = Instant::now();
    cluster.serves(follower, "latchkey.validate").await?;
    report.figure("caught up after", format!("{:?}", began.elapsed()));
    let streamed = cluster.node(follower).has_logged("snapshot installed");
    let wrong = (!streamed).then(|| "its log does not say `snapshot installed`".to_owned());
    report.check("a follower that was away for longer than the log keeps gets a snapshot", &Vec::from_iter(wrong));
    let wrong = validate_all(&cluster.replica(follower), &keys).await?;
    report.check("what was made before and while it was away is valid there", &wrong);
    history::check_states(cluster, report).await?;
    keys.extend(make_some(&cluster.issuance(), 20, random).await?);
    let wrong = validate_all(&cluster.replica(follower), &keys).await?;
    report.check("after another restart it still knows all, and what is new", &wrong);
    history::check_states(cluster, report).await
}

async fn make_some(issuance: &Caller, count: u32, random: &mut Random) -> Result<Vec<Made>, Trouble> {
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(make(issuance, create("some", &random.uuid())).await?);
    }
    Ok(keys)
}

async fn write(issuance: &Caller, by: Instant) -> Result<u64, Trouble> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let issuance = issuance.clone();
        writers.spawn(async move {
            let mut written = 0;
            while written < RECORDS.div_ceil(WRITERS) && Instant::now() < by {
                let request = v1::CreateOwnerRequest {
                    parent: "tenants/acme".to_owned(),
                    owner_id: format!("owner-{writer}-{written}"),
                    owner: Some(v1::Owner::default()),
                    ..Default::default()
                };
                issuance.directory().create_owner(issuance.ask(request, CALL_MAX)).await?;
                written += 1;
            }
            Ok::<u64, tonic::Status>(written)
        });
    }
    let mut written = 0;
    while let Some(ended) = writers.join_next().await {
        let more = ended.map_err(Trouble::not_run)?;
        written += more.map_err(|status| Trouble::wrong(format!("CreateOwner: {status}")))?;
    }
    Ok(written)
}
