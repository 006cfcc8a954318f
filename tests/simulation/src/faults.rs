//! What goes wrong, drawn from the seed: one thing after another, several at a time.

use crate::ground::Profile;
use crate::world::{Random, World};
use latchkey_domain::NodeId;
use std::time::Duration;

/// The longest pause between two faults. Milliseconds.
const PAUSE_MS_MAX: u64 = 2_500;

/// The longest time that a fault lasts. Milliseconds.
const LASTS_MS_MAX: u64 = 9_000;

/// The longest that a process is away that is back at once: often before anybody stands. Milliseconds.
const BACK_MS_MAX: u64 = 600;

/// How far a wall clock may jump: under the half second from which a replica is not trusted, most often. Milliseconds.
const JUMP_MS_MAX: u64 = 900;

/// What ends a fault.
#[derive(Clone, Copy, Debug)]
enum Over {
    Restart(NodeId),
    Open(NodeId, NodeId),
    Rejoin(NodeId),
    Clock(NodeId),
    Disk(NodeId),
}

/// Faults by seed.
pub struct Faults {
    random: Random,
    next_ms: u64,
    over: Vec<(u64, Over)>,
    /// How many of each kind there were.
    pub count: u64,
}

impl Faults {
    /// From this seed, beginning now.
    #[must_use]
    pub const fn new(seed: u64, now_ms: u64) -> Self {
        Self { random: Random::new(seed ^ 0xFA17), next_ms: now_ms, over: Vec::new(), count: 0 }
    }

    /// Lets go wrong what is due, and ends what has lasted.
    pub fn act(&mut self, world: &mut World) {
        let now = world.now_ms();
        let (over, going_on) = self.over.iter().partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.over = going_on;
        for (_, over) in over {
            end(world, over);
        }
        if now >= self.next_ms {
            self.next_ms = now + 100 + self.random.below(PAUSE_MS_MAX);
            self.begin(world, now);
        }
    }

    /// Ends all of it.
    pub fn stop(&mut self, world: &mut World) {
        for (_, over) in std::mem::take(&mut self.over) {
            end(world, over);
        }
        world.set_stalls(0, 1);
        world.heal();
    }

    fn begin(&mut self, world: &mut World, now: u64) {
        let nodes = world.nodes();
        let mut pick = || nodes[usize::try_from(self.random.below(nodes.len() as u64)).unwrap_or(0)];
        let (node, other) = (pick(), pick());
        // Half of the faults meet the leader, who has most to lose.
        let node = if self.random.below(2) == 0 { world.leader().unwrap_or(node) } else { node };
        let mut ends = now + 50 + self.random.below(LASTS_MS_MAX);
        let away = self.over.iter().any(|(_, over)| matches!(over, Over::Restart(away) if *away == node));
        self.count += 1;
        let over = match self.random.below(8) {
            0 | 1 if !away => {
                let power_cut = self.random.below(2) == 0;
                if self.random.below(2) == 0 {
                    ends = now + 1 + self.random.below(BACK_MS_MAX);
                }
                world.crash(node, power_cut);
                Over::Restart(node)
            }
            2 if node != other => {
                world.shut((node, other));
                Over::Open(node, other)
            }
            3 if !world.machine(node).is_frozen() => {
                world.note(format!("replica {node} is cut off"));
                world.isolate(node);
                Over::Rejoin(node)
            }
            4 => {
                let ahead_ms = i64::try_from(self.random.below(2 * JUMP_MS_MAX)).unwrap_or(0) - 900;
                world.note(format!("the wall clock of replica {node} is {ahead_ms} ms ahead"));
                world.machine(node).clock.set_wall_ahead(ahead_ms);
                Over::Clock(node)
            }
            5 if !away => {
                world.note(format!("the disk of replica {node} stalls"));
                world.machine(node).stall_disk(true);
                Over::Disk(node)
            }
            6 if !away => {
                world.note(format!("the rows of replica {node} lag behind its log"));
                world.machine(node).lag_rows();
                Over::Disk(node)
            }
            7 if !away && !world.machine(node).is_frozen() => {
                world.freeze(node, Duration::from_millis(ends - now));
                return;
            }
            _ => {
                self.count -= 1;
                return;
            }
        };
        self.over.push((ends, over));
    }
}

fn end(world: &mut World, over: Over) {
    match over {
        Over::Restart(node) => world.restart(node),
        Over::Open(from, to) => world.open((from, to)),
        Over::Rejoin(node) => world.rejoin(node),
        Over::Clock(node) => {
            world.note(format!("the wall clock of replica {node} is right again"));
            world.machine(node).clock.set_wall_ahead(0);
        }
        Over::Disk(node) => {
            world.note(format!("the disk of replica {node} goes on"));
            world.machine(node).stall_disk(false);
        }
    }
}

/// The layout and the clocks of a random world.
#[must_use]
pub fn drawn_profile(random: &mut Random) -> Profile {
    let base = if random.below(3) == 0 { Profile::ONE_SITE } else { Profile::WAN };
    Profile { replicas: if random.below(3) == 0 { 5 } else { 3 }, ..base }
}
