//! `QueryUsage` over a day of made-up usage, as the store answers it.

use crate::table::{Table, most, say};
use latchkey_audit::usage::figures::{Figures, Question, Shape};
use std::error::Error;
use std::path::Path;

/// A day.
const MINUTES: u32 = 24 * 60;

/// Questions of each kind: of one key there may be many, and others read the whole day.
const QUESTIONS: u64 = 200;

/// How long a question about a day by the minute may take. Milliseconds.
const P99_MS_AIM: f64 = 100.0;

/// Makes up the usage of `keys` keys in `folder`, and asks.
pub(crate) fn measure(folder: &Path, keys: u64, table: &mut Table) -> Result<(), Box<dyn Error>> {
    say(&format!("making up a day of usage of {keys} keys"));
    let (figures, made) = Figures::make(&folder.join("counting"), Shape { keys, minutes: MINUTES })?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    table.section(format!("QueryUsage, a day by the minute, {keys} active keys"), "");
    table.single("millions of minutes of keys", made.cells as f64 / 1e6, None);
    table.single(
        "taken, logged, added up, written and merged a second",
        made.cells as f64 / made.took.as_secs_f64(),
        None,
    );
    table.single("MiB on the disk", mebibytes(made.disk_bytes), None);
    table.single("most MiB of memory of sums and readers", mebibytes(made.memory_bytes as u64), None);
    for question in Question::ALL {
        let mut took = Vec::new();
        for turn in 0..QUESTIONS {
            took.push(figures.ask(question, turn)?.0.as_secs_f64() * 1_000.0);
        }
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took[(took.len() - 1) * percent / 100];
        say(&format!("{}: p50 {:.1} ms, p99 {:.1} ms", question.word(), at(50), at(99)));
        table.single(format!("{}: p50, ms", question.word()), at(50), None);
        table.single(format!("{}: p99, ms", question.word()), at(99), most(P99_MS_AIM));
    }
    Ok(())
}
