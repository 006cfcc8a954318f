//! What `deploy/observability` watches is there: the metrics that rules and dashboards name are ours, each alert says what it
//! is and what to do, and each objective is explained.

use std::collections::BTreeSet;

use crate::Findings;
use crate::repository::TextFile;

/// Where the rules, their tests and the dashboards lie.
pub const FOLDER: &str = "deploy/observability/";

/// The metrics that we have.
pub const CONTRACT: &str = "crates/telemetry/src/names.rs";

/// What to do about each alert.
pub const MANUAL: &str = "deploy/README.md";

/// How the names of our metrics begin; a name with a colon is one that a rule records.
const BEGINNINGS: [&str; 4] = ["latchkey_", "process_", "rpc_server_", "target_info"];

/// What Prometheus adds to the name of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Which names in `files` are no metric of the contract and recorded by no rule.
#[must_use]
pub fn unknown_metrics(files: &[TextFile], contract: &str) -> Findings {
    let ours: BTreeSet<&str> = contract.split('"').filter(|text| is_ours(text)).collect();
    let recorded: BTreeSet<&str> = files.iter().flat_map(|file| values(&file.text, "record: ")).collect();
    let known = |name: &str| {
        let base = PARTS.iter().find_map(|part| name.strip_suffix(part));
        recorded.contains(name) || ours.contains(name) || base.is_some_and(|base| ours.contains(base))
    };
    let mut findings = Findings::new();
    for file in files {
        let unknown: BTreeSet<&str> =
            names(&file.text).filter(|name| is_ours(name) || name.contains(':')).filter(|name| !known(name)).collect();
        findings.extend(unknown.iter().map(|name| format!("{}: {name} is not in {CONTRACT}", file.path)));
    }
    findings
}

/// Which alerts lack something, given the files of rules, the files of their tests, and the manual.
#[must_use]
pub fn incomplete_alerts(rules: &[&TextFile], tests: &[&TextFile], manual: &str) -> Findings {
    let mut findings = Findings::new();
    let mut alerts = BTreeSet::new();
    for file in rules {
        for block in file.text.split("- alert: ").skip(1) {
            let (name, body) = block.split_once('\n').unwrap_or((block, ""));
            alerts.insert(name);
            let mut lacks = |what: &str| findings.push(format!("{}: {name} lacks {what}", file.path));
            if !["page", "ticket"].iter().any(|severity| body.contains(&format!("{{ severity: {severity} }}"))) {
                lacks("a severity, page or ticket");
            }
            for part in ["summary: ", "description: "] {
                if !body.contains(part) {
                    lacks(part.trim_end_matches(": "));
                }
            }
            let runbook = format!("runbook: {MANUAL}#{}\n", name.to_lowercase());
            if !format!("{body}\n").contains(&runbook) {
                lacks(runbook.trim_end());
            }
            if !manual.contains(&format!("\n### {name}\n")) {
                lacks(&format!("its heading in {MANUAL}"));
            }
            let tested = tests.iter().flat_map(|test| names(&test.text)).filter(|word| *word == name).count();
            if tested < 2 {
                lacks("a test that it fires, and one that it does not");
            }
        }
    }
    let headings = values(manual, "### Latchkey").map(|rest| format!("Latchkey{rest}"));
    let idle = headings.filter(|heading| !alerts.contains(heading.as_str()));
    findings.extend(idle.map(|heading| format!("{MANUAL}: there is no alert {heading}")));
    findings
}

/// Which objectives one of the manuals says nothing of.
#[must_use]
pub fn unexplained_objectives(rules: &str, manuals: &[&TextFile]) -> Findings {
    let objectives: BTreeSet<&str> =
        values(rules, "labels: { slo: ").map(|rest| rest.trim_end_matches([' ', '}'])).collect();
    let silent = objectives.iter().flat_map(|objective| {
        let word = format!("`{objective}`");
        let manuals = manuals.iter().filter(move |manual| !manual.text.contains(&word));
        manuals.map(move |manual| format!("{}: nothing is said of the objective {objective}", manual.path))
    });
    silent.collect()
}

/// Which files of rules the manual of the folder has no row for.
#[must_use]
pub fn unlisted_rules(rules: &[&TextFile], manual: &str) -> Findings {
    let names = rules.iter().filter_map(|file| file.path.strip_prefix(FOLDER));
    let unlisted = names.filter(|name| !manual.contains(&format!("\n| `{name}` |")));
    unlisted.map(|name| format!("{FOLDER}README.md: its table has no row of {name}")).collect()
}

fn is_ours(name: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) && names(name).next() == Some(name)
}

/// Everything that could be the name of a series.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|part: char| !(part.is_ascii_alphanumeric() || "_:".contains(part)));
    words.map(|word| word.trim_matches(':')).filter(|word| !word.is_empty())
}

/// What stands behind a marker, to the end of its line.
fn values<'text>(text: &'text str, marker: &'text str) -> impl Iterator<Item = &'text str> {
    text.lines().filter_map(move |line| line.trim_start_matches([' ', '-']).strip_prefix(marker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, repository};

    const ALERT: &str = "- alert: LatchkeyTooFew
        expr: latchkey_few < 2
        labels: { severity: page }
        annotations:
          summary: few
          description: too few
          runbook: deploy/README.md#latchkeytoofew
";

    fn in_folder(part: &str) -> Vec<TextFile> {
        let folder = format!("{FOLDER}{part}");
        repository::text_files().into_iter().filter(|file| file.path.starts_with(&folder)).collect()
    }

    #[test]
    fn a_metric_that_nobody_has_is_found() {
        let planted = [TextFile::new(
            "rules.yml",
            "- record: a:latchkey_few:rate5m\n  expr: rate(latchkey_few_bucket[5m])\n\
             - expr: a:latchkey_few:rate5m + b:latchkey_few:rate5m + latchkey_less{rpc_server=\"x\"}\n",
        )];
        let contract = r#"pub const FEW: &str = "latchkey_few";"#;
        let gone = |name: &str| format!("rules.yml: {name} is not in {CONTRACT}");
        assert_eq!(unknown_metrics(&planted, contract), [gone("b:latchkey_few:rate5m"), gone("latchkey_less")]);
    }

    #[test]
    fn an_alert_without_help_or_tests_is_found() {
        let rules = TextFile::new("rules.yml", ALERT);
        let tests = TextFile::new("tests.yml", "alertname: LatchkeyTooFew\nalertname: LatchkeyTooFew\n");
        let manual = "\n### LatchkeyTooFew\n\nAdd one.\n";
        assert_none(&incomplete_alerts(&[&rules], &[&tests], manual));
        assert_eq!(incomplete_alerts(&[&rules], &[], "\n### LatchkeyTooMany\n").len(), 3);
        let bare = TextFile::new("rules.yml", "- alert: LatchkeyTooFew\n        expr: latchkey_few < 2\n");
        assert_eq!(incomplete_alerts(&[&bare], &[&tests], manual).len(), 4);
    }

    #[test]
    fn an_objective_that_is_not_explained_is_found() {
        let manual = TextFile::new("manual", "`speed` is this");
        let found =
            unexplained_objectives("        labels: { slo: speed }\n        labels: { slo: rest }\n", &[&manual]);
        assert_eq!(found, ["manual: nothing is said of the objective rest"]);
    }

    #[test]
    fn a_file_of_rules_without_a_row_is_found() {
        let rules = ["few.yml", "many.yml"].map(|name| TextFile::new(&format!("{FOLDER}rules/{name}"), ALERT));
        let found = unlisted_rules(&[&rules[0], &rules[1]], "| file |\n| `rules/few.yml` | alerts |\n");
        assert_eq!(found, [format!("{FOLDER}README.md: its table has no row of rules/many.yml")]);
    }

    #[test]
    fn every_file_of_rules_has_its_row() {
        let rules = in_folder("rules/");
        let manual = repository::read(&format!("{FOLDER}README.md"));
        assert_none(&unlisted_rules(&rules.iter().collect::<Vec<_>>(), &manual));
    }

    #[test]
    fn every_metric_that_rules_and_dashboards_name_is_ours() {
        let parts = ["rules/", "tests/", "dashboards/"].iter().flat_map(|part| in_folder(part));
        // The program that writes the dashboards puts names together.
        let files: Vec<TextFile> = parts.filter(|file| !file.path.ends_with(".py")).collect();
        let named = files.iter().flat_map(|file| names(&file.text)).filter(|name| is_ours(name)).count();
        assert!(named > 100, "only {named} names were found: is the folder still there?");
        assert_none(&unknown_metrics(&files, &repository::read(CONTRACT)));
    }

    #[test]
    fn every_alert_says_what_to_do_and_is_tested() {
        let (rules, tests) = (in_folder("rules/"), in_folder("tests/"));
        let (rules, tests): (Vec<_>, Vec<_>) = (rules.iter().collect(), tests.iter().collect());
        assert!(rules.len() > 1 && tests.len() > 1);
        assert_none(&incomplete_alerts(&rules, &tests, &repository::read(MANUAL)));
    }

    #[test]
    fn every_objective_is_explained_and_has_its_remedy() {
        let rules = repository::read(&format!("{FOLDER}rules/slo.yml"));
        let manuals = [format!("{FOLDER}README.md"), MANUAL.to_owned()]
            .map(|path| TextFile::new(&path, &repository::read(&path)));
        assert_none(&unexplained_objectives(&rules, &manuals.iter().collect::<Vec<_>>()));
    }
}
