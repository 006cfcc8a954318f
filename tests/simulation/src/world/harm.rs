//! What is done to a world: processes end, links are shut and stall, machines stand still.

use super::{Stalls, World};
use crate::net::{Direction, host_of};
use latchkey_domain::NodeId;
use std::time::Duration;

impl World {
    /// Ends a replica's process; with the power, what its disk had not made durable is gone.
    pub fn crash(&mut self, node: NodeId, power_cut: bool) {
        self.note(format!("{} of replica {node}", if power_cut { "power cut" } else { "kill" }));
        if self.machine(node).is_frozen() {
            self.unfreeze(node);
        }
        self.sim.crash(host_of(node));
        self.machine(node).ended(power_cut);
    }

    /// Starts it again.
    pub fn restart(&mut self, node: NodeId) {
        self.note(format!("start of replica {node}"));
        self.sim.bounce(host_of(node));
    }

    /// Shuts one direction of a link.
    pub fn shut(&self, direction: Direction) {
        self.note(format!("shut {} -> {}", direction.0, direction.1));
        self.ground.net.shut(direction);
    }

    /// Opens it again.
    pub fn open(&self, direction: Direction) {
        self.note(format!("open {} -> {}", direction.0, direction.1));
        self.ground.net.open(direction);
    }

    /// Cuts a replica off from the others, both ways.
    pub fn isolate(&self, node: NodeId) {
        for other in self.others(&[node]) {
            self.shut((node, other));
            self.shut((other, node));
        }
    }

    /// Takes [`Self::isolate`] back.
    pub fn rejoin(&self, node: NodeId) {
        for other in self.others(&[node]) {
            self.open((node, other));
            self.open((other, node));
        }
    }

    /// Opens all links.
    pub fn heal(&mut self) {
        self.note("all links are open");
        if let Some(stalls) = &mut self.stalls {
            stalls.ends.clear();
        }
        for (_, node) in std::mem::take(&mut self.thaws) {
            self.machine(node).set_frozen(false);
        }
        self.ground.net.heal();
    }

    /// Stops a machine for a while: nothing leaves it, nothing reaches it, and nothing is decided on it. Its clock of boot
    /// time goes on; the one of its waking hours does not.
    pub fn freeze(&mut self, node: NodeId, span: Duration) {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.note(format!("replica {node} stands still for {ms} ms"));
        self.isolate(node);
        self.machine(node).set_frozen(true);
        self.machine(node).clock.slept(ms);
        self.thaws.push((self.time.ms() + ms, node));
    }

    /// Lets each direction of each link stall for this share of the time, for so long each time.
    pub fn set_stalls(&mut self, per_mille: u64, length_ms: u64) {
        self.stalls = (per_mille > 0).then(|| Stalls { per_mille, length_ms, ends: Vec::new() });
    }

    pub(super) fn stall(&mut self) {
        let (now, nodes) = (self.time.ms(), self.nodes());
        let Some(stalls) = &mut self.stalls else { return };
        let net = &self.ground.net;
        stalls.ends.retain(|(end, direction)| {
            let goes_on = *end > now;
            if !goes_on {
                net.open(*direction);
            }
            goes_on
        });
        for from in &nodes {
            for to in nodes.iter().filter(|to| *to != from) {
                let direction = (*from, *to);
                // One draw a millisecond: a stall begins so often that they take their share of the time.
                let begins = self.random.below(1_000 * stalls.length_ms) < stalls.per_mille;
                if begins && !stalls.ends.iter().any(|(_, other)| *other == direction) {
                    net.shut(direction);
                    stalls.ends.push((now + stalls.length_ms, direction));
                }
            }
        }
    }

    pub(super) fn thaw(&mut self) {
        let now = self.time.ms();
        let over: Vec<_> = self.thaws.iter().filter(|(end, _)| *end <= now).map(|(_, node)| *node).collect();
        for node in over {
            self.unfreeze(node);
        }
    }

    fn unfreeze(&mut self, node: NodeId) {
        self.thaws.retain(|(_, thaws)| *thaws != node);
        self.machine(node).set_frozen(false);
        self.rejoin(node);
    }
}
