//! Checkpoints and evidence, as an auditor takes them home and verifies them there.

use crate::world::World;
use std::fs;

/// What was done is signed within seconds; this looks for longer, on a busy machine.
const LOOKS_MAX: usize = 200;

pub(crate) fn taking_home(world: &World) {
    // Until the first checkpoint is signed there is none.
    let signed = (0..LOOKS_MAX).any(|_| world.run("audit checkpoint --note").code == 0);
    assert!(signed, "no checkpoint was signed");
    let keys = world.done("audit checkpoint --keys");
    assert!(keys.lines().count() == 2 && keys.starts_with("latchkey/"), "{keys}");
    fs::write(world.file("audit.keys"), &keys).expect("it can be written");
    assert!(world.done("audit checkpoint").contains("Verified by these keys"));
    fs::write(world.file("monday.note"), world.done("audit checkpoint --note")).expect("it can be written");

    let line = "audit verify FOLDER/dev/audit/archive --key FOLDER/audit.keys --earlier FOLDER/monday.note";
    assert!(world.done(line).contains("VERIFIED"));
    world.ended("audit verify FOLDER/dev/audit/archive", 2);
    world.ended("audit verify FOLDER/dev/secrets --key FOLDER/audit.keys", 2);
    world.ended("audit verify FOLDER/dev/audit/archive --key FOLDER/audit.keys --quorum 2", 2);

    assert!(world.done("audit evidence acme --action 'key.*' --since 1h --to FOLDER/evidence").contains("proofs"));
    world.ended("audit evidence acme --to FOLDER/evidence", 2);
    let told = world.json("audit verify FOLDER/evidence --key FOLDER/audit.keys --quorum 1");
    assert!(told["verified"] == true && told["entries"] == told["shownEntries"], "{told:#}");
    let proofs = fs::read_dir(world.file("evidence")).expect("a folder").filter_map(Result::ok);
    let proof = proofs.map(|file| file.file_name()).find(|name| name.to_string_lossy().ends_with(".tlog-proof"));
    let proof = proof.expect("there are proofs").into_string().expect("digits");
    assert!(world.done(&format!("audit verify --entry FOLDER/evidence/{proof}")).contains("with what it says"));

    // Somebody makes of what happened something else.
    let entries = world.file("evidence/entries.jsonl");
    let lines = fs::read_to_string(&entries).expect("it is there");
    fs::write(&entries, lines.replacen("key.created", "key.deleted", 1)).expect("it can be written");
    let told = world.ended("audit verify FOLDER/evidence --key FOLDER/audit.keys", 3);
    assert!(told.out.contains("WRONG") && told.out.contains("`action` is not what the event says"), "{told:?}");
}
