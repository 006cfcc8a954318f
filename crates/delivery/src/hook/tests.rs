use super::*;
use crate::testing::{Rig, conformance, item, key_text, rotation_name, script};
use latchkey_domain::KeyName;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const ALL: [HookStep; 3] = [HookStep::Stage, HookStep::Deliver, HookStep::Finish];

fn hook(folder: &TempDir, body: &str, limit: Duration) -> HookStore {
    HookStore::new(CommandLine::parse(&script(folder, body)).unwrap(), ALL.to_vec(), limit)
}

const LONG: Duration = Duration::from_secs(60);

async fn stage(hook: &HookStore) -> Result<(), DeliveryError> {
    let (rotation, text) = (rotation_name(1), key_text(1));
    let staged = hook.stage(&item(&rotation, &text)).await;
    if let Err(error) = &staged {
        assert!(!format!("{error:?}{}", error.told()).contains(text.expose()), "an error repeats the secret");
    }
    staged
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_secret_is_on_standard_input_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out = out.display();
    let hook =
        hook(&folder, &format!("cat > {out}.in; env > {out}.env; tr '\\0' ' ' < /proc/$$/cmdline > {out}.argv"), LONG);
    stage(&hook).await.unwrap();
    let read = |what: &str| fs::read_to_string(format!("{out}.{what}")).unwrap();
    assert_eq!(read("in"), key_text(1).expose());
    assert!(!read("argv").contains(key_text(1).expose()));
    let mut names: Vec<String> = read("env").lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    // What a shell sets by itself.
    names.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(&name.as_str()));
    names.sort();
    assert_eq!(names, ["LATCHKEY_KEY", "LATCHKEY_ROTATION", "LATCHKEY_STEP", "LATCHKEY_VERSION"]);
    assert!(!read("env").contains(key_text(1).expose()));
    assert!(!format!("{hook:?}{}", hook.place()).contains(key_text(1).expose()));
}

#[tokio::test]
async fn each_step_is_told_by_its_word_and_only_where_the_settings_list_it() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let body = format!("echo $LATCHKEY_STEP $LATCHKEY_ENDING $(wc -c) >> {}", seen.display());
    let all = hook(&folder, &body, LONG);
    let (rotation, text) = (rotation_name(1), key_text(1));
    let version = item(&rotation, &text).version_name();
    let stage_only = HookStore::new(all.line.clone(), vec![HookStep::Stage], LONG);
    for hook in [&all, &stage_only] {
        hook.stage(&item(&rotation, &text)).await.unwrap();
        hook.deliver(&rotation, &version).await.unwrap();
        hook.finish(&rotation, Ending::Undone).await.unwrap();
    }
    let bytes = text.expose().len();
    assert_eq!(
        lines(&seen),
        [format!("stage {bytes}"), "deliver 0".into(), "finish undone 0".into(), format!("stage {bytes}")]
    );
}

#[tokio::test]
async fn its_exit_code_decides() {
    let folder = tempfile::tempdir().unwrap();
    for (body, retryable, expected) in [
        ("exit 1", false, "exit code 1"),
        ("exit 75", true, "exit code 75"),
        ("kill -9 $$", true, "signal 9"),
        ("kill -TERM $$", true, "signal 15"),
    ] {
        let error = stage(&hook(&folder, body, LONG)).await.unwrap_err();
        assert!(error.told().contains(expected), "{body}: {}", error.told());
        assert_eq!(error.is_retryable(), retryable, "{body}");
    }
    let missing = HookStore::new(CommandLine::parse("/no/such/hook").unwrap(), ALL.to_vec(), LONG);
    let error = stage(&missing).await.unwrap_err();
    assert!(!error.is_retryable() && error.told().contains("cannot start /no/such/hook"), "{}", error.told());
}

#[tokio::test]
async fn one_that_closes_its_input_early_or_never_reads_it_is_judged_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        stage(&hook(&folder, "exec 0<&-; exit 0", LONG)).await.unwrap();
        stage(&hook(&folder, "exit 0", LONG)).await.unwrap();
        let error = stage(&hook(&folder, "exec 0<&-; exit 3", LONG)).await.unwrap_err();
        assert!(error.told().contains("exit code 3"), "{}", error.told());
    }
}

#[tokio::test]
async fn one_that_writes_much_is_not_stopped_by_a_full_pipe_and_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    // It repeats the secret on both outputs, many times over what a pipe holds.
    let body = "secret=$(cat); i=0; while [ $i -lt 5000 ]; do echo $secret; echo $secret >&2; i=$((i+1)); done; exit 1";
    let error = stage(&hook(&folder, body, LONG)).await.unwrap_err();
    assert!(error.told().contains("exit code 1"), "{}", error.told());
}

/// Whether a process is there and is no zombie.
fn runs(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

async fn until_gone(ids: &[String]) {
    while ids.iter().any(|id| runs(id)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    // Neither of them ends by a signal that asks.
    let body = format!("trap '' TERM; sleep 1000 & echo $! > {0}; echo $$ >> {0}; wait", ids.display());
    let error = stage(&hook(&folder, &body, Duration::from_millis(500))).await.unwrap_err();
    assert!(error.is_retryable() && error.told().contains("was killed"), "{}", error.told());
    let ids = lines(&ids);
    assert_eq!(ids.len(), 2);
    tokio::time::timeout(LONG, until_gone(&ids)).await.expect("both are gone");
}

#[tokio::test]
async fn one_whose_caller_goes_is_killed_too() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let hook = hook(&folder, &format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; wait", ids.display()), LONG);
    {
        let staging = stage(&hook);
        tokio::pin!(staging);
        while lines(&ids).len() < 2 {
            let step = tokio::time::timeout(Duration::from_millis(10), &mut staging).await;
            assert!(step.is_err(), "it hangs");
        }
    }
    let ids = lines(&ids);
    tokio::time::timeout(LONG, until_gone(&ids)).await.expect("both are gone");
}

/// The hook that we show to people.
struct Example {
    folder: TempDir,
    store: HookStore,
}

impl Example {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let script = script(&folder, include_str!("example.sh").trim_start_matches("#!/bin/sh\n"));
        let line = CommandLine::parse(&format!("{script} {}", keys.display())).unwrap();
        Self { folder, store: HookStore::new(line, ALL.to_vec(), LONG) }
    }
}

impl Rig for Example {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn read(&self, key: &KeyName) -> Option<String> {
        fs::read_to_string(self.folder.path().join(format!("keys/{}", key.key))).ok()
    }

    async fn kept(&self, key: &KeyName) -> usize {
        let names = fs::read_dir(self.folder.path().join("keys")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&format!("{}.", key.key))).count()
    }

    async fn set_broken(&self, broken: bool) {
        let (keys, aside) = (self.folder.path().join("keys"), self.folder.path().join("aside"));
        if broken { fs::rename(keys, aside).unwrap() } else { fs::rename(aside, keys).unwrap() }
    }
}

#[tokio::test]
async fn the_example_is_a_store() {
    conformance::suite(async || Example::new()).await;
}
