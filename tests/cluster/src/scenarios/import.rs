//! An export of another system is imported by the command that people use, while the command and issuance are killed.

use crate::binaries::Binaries;
use crate::caller::reason;
use crate::cluster::{CALL_MAX, Cluster, KEYSPACE};
use crate::keys;
use crate::process::{Process, tail};
use crate::random::Random;
use crate::report::{Report, Trouble};
use crate::unkey::Export;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::consistency::Requirement;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The keyspace as the command line writes it.
const PLACE: &str = "acme/live";

/// The longest that one run of the command may take, with a million keys on a slow machine.
const RUN_MAX: Duration = Duration::from_secs(7_200);

/// How often it is looked how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Every so many texts one is validated.
const VALIDATED_EVERY: u64 = 1_000;

/// Exit code where some rows were refused and all others are in.
const SOME_REFUSED: i32 = 3;

/// Imports `count` keys.
pub(crate) async fn run(
    binaries: &Binaries,
    count: u64,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    cluster.start_audit()?;
    let ended = import(&mut cluster, Export { count, seed: random.next() }, report).await;
    if ended.is_err() || report.has_failed() {
        let log = tail(&cluster.folder().join("import.log"), 25);
        println!("{}--- latchkey\n{log}", cluster.last_words());
    }
    ended
}

async fn import(cluster: &mut Cluster, export: Export, report: &mut Report) -> Result<(), Trouble> {
    let (file, refused) = (cluster.folder().join("unkey.json"), cluster.folder().join("refused.csv"));
    let journal = cluster.folder().join("unkey.json.latchkey-import");
    export.write(&file).map_err(Trouble::not_run)?;
    let bytes = file.metadata().map_err(Trouble::not_run)?.len();
    report.figure("keys in the file", format!("{} in {} MiB", export.count, bytes >> 20));
    let words = words(&file, &refused);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();

    let began = Instant::now();
    let mut first = cluster.command(&words, "import.log")?;
    let settled = reach(&journal, export.count / 3, &mut first).await?;
    first.kill();
    report.figure("the command was killed after rows", settled);

    let mut second = cluster.command(&words, "import.log")?;
    let settled = reach(&journal, export.count * 2 / 3, &mut second).await?;
    cluster.kill_issuance();
    report.figure("issuance was killed after rows", settled);
    sleep(Duration::from_millis(300)).await;
    cluster.start_issuance()?;
    let code = end(&mut second).await?;
    let lasted = began.elapsed();
    report.check(
        "the import ends, and says that rows were refused",
        &unless(code == SOME_REFUSED, || format!("exit code {code}")),
    );
    report.check("a journal of what is settled goes", &unless(!journal.exists(), || "it is there".to_owned()));
    let rate = export.count as f64 / lasted.as_secs_f64().max(f64::EPSILON);
    report.figure("imported with both kills in", format!("{:.1} s, {rate:.0} rows/s", lasted.as_secs_f64()));
    check_all(cluster, export, &refused, report).await?;

    // Nobody remembers the first time, and nothing comes in a second time.
    let began = Instant::now();
    let mut again = cluster.command(&words, "import.log")?;
    let code = end(&mut again).await?;
    report.check("a second import ends likewise", &unless(code == SOME_REFUSED, || format!("exit code {code}")));
    report.figure("the same again", format!("{:.1} s", began.elapsed().as_secs_f64()));
    check_all(cluster, export, &refused, report).await
}

fn words(file: &Path, refused: &Path) -> Vec<String> {
    let (file, refused) = (file.display().to_string(), refused.display().to_string());
    let words = ["key", "import", PLACE, &file, "--from", "unkey", "--create-format", "--refused", &refused];
    words.map(str::to_owned).to_vec()
}

/// Waits until the journal tells of so many rows; how many they are.
async fn reach(journal: &Path, rows: u64, command: &mut Process) -> Result<u64, Trouble> {
    let by = Instant::now() + RUN_MAX;
    while Instant::now() < by {
        if let Some(status) = command.exited() {
            return Err(Trouble::wrong(format!("the command ended with {status} before {rows} rows were settled")));
        }
        let settled = settled(journal).unwrap_or_default();
        if settled >= rows {
            return Ok(settled);
        }
        sleep(LOOK_INTERVAL).await;
    }
    Err(Trouble::wrong("the import does not go on"))
}

/// The rows that the journal tells of.
fn settled(journal: &Path) -> Option<u64> {
    let text = fs::read_to_string(journal).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value["progress"]["rows"].as_u64()
}

/// Waits for the end of the command; its exit code.
async fn end(command: &mut Process) -> Result<i32, Trouble> {
    let by = Instant::now() + RUN_MAX;
    while Instant::now() < by {
        if let Some(status) = command.exited() {
            return Ok(status.code().unwrap_or(-1));
        }
        sleep(LOOK_INTERVAL).await;
    }
    Err(Trouble::wrong("the import does not end"))
}

/// That each good key is there once, in the listing and in the export, and that texts validate.
async fn check_all(cluster: &Cluster, export: Export, refused: &Path, report: &mut Report) -> Result<(), Trouble> {
    let expected: BTreeSet<String> =
        (0..export.count).filter(|number| Export::is_good(*number)).map(Export::id).collect();
    let listed = keys::list(&cluster.issuance()).await?;
    let ids: Vec<String> =
        listed.into_iter().filter_map(|key| key.imported.map(|imported| imported.source_id)).collect();
    report.check("every good key is there, and none twice", &differences(&expected, &ids, export.good()));

    let inventory = cluster.folder().join("inventory.jsonl");
    let path = inventory.display().to_string();
    let code = end(&mut cluster.command(&["key", "export", PLACE, &path], "export.log")?).await?;
    let text =
        fs::read_to_string(&inventory).map_err(|error| Trouble::wrong(format!("export ended with {code}: {error}")))?;
    let ids: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            value["source_id"].as_str().map(str::to_owned)
        })
        .collect();
    report.check("the export agrees", &differences(&expected, &ids, export.good()));

    let lines = fs::read_to_string(refused).map_err(Trouble::wrong)?;
    let told = lines.lines().skip(1).filter(|line| line.contains(",credits,UNSUPPORTED,")).count();
    let bad = export.count - export.good();
    report.check(
        "every row that cannot come in is in the report once",
        &unless(told as u64 == bad && lines.lines().count() as u64 == bad + 1, || format!("{told} of {bad}")),
    );
    validate(cluster, export, report).await
}

/// What is expected and not there, and what is there more than once.
fn differences(expected: &BTreeSet<String>, found: &[String], count: u64) -> Vec<String> {
    let once: BTreeSet<&String> = found.iter().collect();
    let mut wrong: Vec<String> =
        expected.iter().filter(|id| !once.contains(id)).map(|id| format!("{id} is missing")).collect();
    wrong.extend(unless(found.len() as u64 == count, || format!("{} where {count} are expected", found.len())));
    wrong
}

/// Every 1,000th text at each replica, and one that nobody was given.
async fn validate(cluster: &Cluster, export: Export, report: &mut Report) -> Result<(), Trouble> {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for number in (0..export.count).step_by(usize::try_from(VALIDATED_EVERY).expect("a small number")) {
        let suspended = number % 50 == 7;
        let expected = match (Export::is_good(number), suspended) {
            (false, _) => v1::Outcome::NotFound,
            (true, true) => v1::Outcome::Suspended,
            (true, false) => v1::Outcome::Valid,
        };
        for id in cluster.ids() {
            let found = outcome(cluster, id, export.text(number)).await?;
            asked += 1;
            wrong.extend(unless(found == expected, || format!("{} is {found:?} at {id}", Export::id(number))));
        }
    }
    let stranger = Export { seed: export.seed.wrapping_add(1), ..export };
    let found = outcome(cluster, 1, stranger.text(0)).await?;
    wrong.extend(unless(found == v1::Outcome::NotFound, || format!("a text of nobody is {found:?}")));
    report.figure("texts validated", asked);
    report.check("every 1,000th text is what it was", &wrong);
    Ok(())
}

async fn outcome(cluster: &Cluster, id: u64, key_text: String) -> Result<v1::Outcome, Trouble> {
    let replica = cluster.replica(id);
    let requirement = Some(Requirement::FullyConsistent(v1::consistency::FullyConsistent {}));
    let consistency = Some(v1::Consistency { requirement });
    let request = v1::ValidateKeyRequest { key_text, keyspace: KEYSPACE.to_owned(), consistency, ..Default::default() };
    let answer = replica.validation().validate_key(replica.ask(request, CALL_MAX)).await;
    Ok(answer
        .map_err(|status| Trouble::wrong(format!("ValidateKey at {id}: {}", reason(&status))))?
        .into_inner()
        .outcome())
}

fn unless(right: bool, wrong: impl FnOnce() -> String) -> Vec<String> {
    if right { Vec::new() } else { vec![wrong()] }
}
