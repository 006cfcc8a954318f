//! An audit log that is lost, and what an operator does then.

use crate::world::World;
use std::fs;

/// Audit stores what there is within seconds; this looks for longer, on a busy machine.
const LOOKS_MAX: usize = 200;

pub(crate) fn lost(world: &mut World) {
    let told = world.ended("cluster begin-audit-log --force", 2);
    assert!(told.err.contains("finally") && told.err.contains("--yes"), "nobody said yes: {}", told.err);
    let told = world.ended("cluster begin-audit-log --force --dry-run", 0);
    assert!(told.err.contains("Nothing was changed"), "{}", told.err);
    let told = world.ended("cluster begin-audit-log --force --yes", 0);
    assert!(told.err.contains("has begun") && told.err.contains("/e1-"), "{}", told.err);

    // With it ends what has the old log, which may come first.
    world.end();
    fs::remove_dir_all(world.file("dev/audit")).expect("it is there");
    world.start_again();
    let list = "audit list --action audit.log_began --output json";
    let told = (0..LOOKS_MAX).map(|_| world.run(list)).find(|told| told.out.contains("audit.log_began"));
    let told = told.expect("the new log has its first entry").out;
    assert!(told.contains("previous_root") && told.contains("checkpoint_size"), "{told}");
}
