//! Rotations: two that drive, replicas that tell nothing, evidence that comes early, a text that was lost, and a pepper
//! that is still needed.

use super::Scenario;
use crate::decide::decide;
use crate::furniture::{Furniture, of_root, propose};
use crate::ground::Profile;
use crate::world::{Failure, Outcome, World};
use latchkey_crypto::{KeyText, draw, draw_rotation_id};
use latchkey_domain::planted::Plant;
use latchkey_domain::{
    Delivery, DurationMillis, KeyName, NodeId, ReasonText, RotationName, RotationState, RotationTerms, Slug, VersionId,
};
use latchkey_kms::OsEntropy;
use latchkey_link::Registry as _;
use latchkey_state::{
    Actor, AdvanceRotation, ClaimRotations, Command, DriverStep, Evidence, NewCourse, Operation, PrepareRotation,
    RingPurpose, RotateKey, Rotation,
};
use latchkey_wire::applied::Told;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a command may take.
const WITHIN: Duration = Duration::from_secs(20);

/// The life of a claim.
const CLAIM: DurationMillis = DurationMillis::from_secs(5);

/// How both versions overlap.
const TERMS: RotationTerms = RotationTerms {
    overlap_min: DurationMillis::from_secs(20),
    silence: Some(DurationMillis::from_secs(2)),
    ..RotationTerms::of_overlap(DurationMillis::from_secs(600))
};

pub(super) const FENCED: Scenario = Scenario {
    name: "fenced",
    story: "A rotation service stands still until its claim is over and another has it, while the leader dies; then it \
            goes on where it stood. Its step is refused.",
    finds: Plant::FenceIgnored,
    run: fenced,
};

pub(super) const UNHEARD: Scenario = Scenario {
    name: "unheard",
    story: "A region is cut off, and its callers use the old version there. The other replicas saw nothing of it: what is \
            not known is not silence.",
    finds: Plant::RetireUnheard,
    run: unheard,
};

pub(super) const TOO_EARLY: Scenario = Scenario {
    name: "too-early",
    story: "Evidence says that the old version is silent, well before the shortest overlap is over. It is retired after \
            that, and not before.",
    finds: Plant::OverlapMinIgnored,
    run: too_early,
};

pub(super) const LOST_TEXT: Scenario = Scenario {
    name: "lost-text",
    story: "The text of a new version was lost before it was delivered, and another takes its place. Whoever has the lost \
            one has nothing.",
    finds: Plant::ReplacedNotRevoked,
    run: lost_text,
};

pub(super) const PEPPER_IN_USE: Scenario = Scenario {
    name: "pepper-in-use",
    story: "Another pepper takes the place of the one in use, and a replica asks at once to destroy the old one, which \
            digests are still under. It stays, and every key is answered for.",
    finds: Plant::PepperDroppedInUse,
    run: pepper_in_use,
};

fn store() -> Delivery {
    Delivery::Store(Slug::parse("files").expect("a slug"))
}

/// A key that is being rotated, in a cluster with a keyspace.
struct Rotating {
    world: World,
    furniture: Furniture,
    key: KeyName,
    old: KeyText,
    /// The new version, as it was minted.
    new: VersionId,
    new_text: KeyText,
    name: RotationName,
}

impl Rotating {
    /// Makes a key and begins to rotate it. Its new secret is to go to `delivery`; or it was shown, and both overlap.
    fn begin(seed: u64, delivery: Option<Delivery>) -> Outcome<Self> {
        let mut world = World::new(Profile::ONE_SITE, seed)?;
        let furniture = Furniture::put(&mut world, None)?;
        let (ground, at) = (world.ground.clone(), furniture.clone());
        let begun = world.call("a rotation", WITHIN * 2, async move {
            let (key, old) = at.key(NodeId(1)).await?;
            let (new, new_text) = at.version();
            let version = new.id;
            let name = RotationName { key: key.clone(), rotation: draw_rotation_id(&mut OsEntropy) };
            let course = NewCourse { terms: TERMS, delivery, activate_at: None };
            let operation = RotateKey {
                key: key.clone(),
                rotation: name.rotation,
                new,
                overlap: TERMS.overlap,
                text: ReasonText::default(),
                etag: None,
                replay: None,
                emergency: false,
                course: Some(Box::new(course)),
            };
            propose(&ground, NodeId(1), &of_root(Operation::RotateKey(Box::new(operation))), WITHIN).await?;
            Some((key, old, version, new_text, name))
        })?;
        let Some((key, old, new, new_text, name)) = begun else {
            return Err(world.failure("liveness", "no rotation could be begun"));
        };
        Ok(Self { world, furniture, key, old, new, new_text, name })
    }

    /// Lets a rotation service propose; none where it is refused.
    fn proposes(&mut self, operation: Operation) -> Outcome<Option<Told>> {
        let ground = self.world.ground.clone();
        let service = Actor::Service(Slug::parse("rotation").expect("a slug"));
        let command = Command::new(service, draw(&mut OsEntropy), operation);
        let done = async move { propose(&ground, NodeId(2), &command, WITHIN).await.map(|(_, told, _)| told) };
        self.world.call("a step", WITHIN * 2, done)
    }

    /// Takes the claim as this process. Its fence.
    fn claims(&mut self, holder: u8) -> Outcome<u64> {
        let operation = Operation::ClaimRotations(ClaimRotations { holder: [holder; 16], life: CLAIM });
        match self.proposes(operation)? {
            Some(Told::Claim(claim)) => Ok(claim.fence),
            told => Err(self.world.failure("liveness", format!("the claim was answered with {told:?}"))),
        }
    }

    /// Whether a step is taken under this fence.
    fn takes(&mut self, fence: u64, step: DriverStep) -> Outcome<bool> {
        let advance = AdvanceRotation { fence, rotation: self.name.clone(), version: Some(self.new), step };
        Ok(self.proposes(Operation::AdvanceRotation(Box::new(advance)))?.is_some())
    }

    fn must_take(&mut self, fence: u64, step: DriverStep) -> Outcome {
        let described = format!("{step:?}");
        if self.takes(fence, step)? {
            return Ok(());
        }
        Err(self.world.failure("liveness", format!("{described} was refused in {:?}", self.state())))
    }

    fn rotation(&self) -> Option<Arc<Rotation>> {
        let leader = self.world.leader()?;
        self.world.machine(leader).process()?.core().state().rotation(&self.name).cloned()
    }

    fn state(&self) -> Option<RotationState> {
        self.rotation().map(|rotation| rotation.state)
    }

    /// The replicas that accept a text.
    fn accept(&self, text: &KeyText) -> Vec<NodeId> {
        let running = self.world.running();
        let accepts = running.iter().filter(|(_, registry)| decide(registry, text.expose()).is_valid());
        accepts.map(|(node, _)| *node).collect()
    }

    fn broken(&self, rule: &str, what: impl Into<String>) -> Box<Failure> {
        self.world.failure(rule, what)
    }
}

fn fenced(seed: u64) -> Outcome {
    let mut rotating = Rotating::begin(seed, Some(store()))?;
    let old_fence = rotating.claims(1)?;
    if let Some(leader) = rotating.world.leader() {
        rotating.world.crash(leader, true);
        rotating.world.pass(Duration::from_secs(1))?;
        rotating.world.restart(leader);
    }
    rotating.world.pass(Duration::from_millis(CLAIM.millis() + 1_000))?;
    rotating.world.until(WITHIN, "a leader", |world| world.leader().is_some())?;
    let fence = rotating.claims(2)?;
    if rotating.takes(old_fence, DriverStep::Deliver { sealed: None })? {
        return Err(rotating.broken("an old fence is refused", format!("{old_fence} was taken, {fence} is in force")));
    }
    rotating.must_take(fence, DriverStep::Deliver { sealed: None })
}

fn too_early(seed: u64) -> Outcome {
    let mut rotating = Rotating::begin(seed, None)?;
    // Counted by the cluster's own time: each step is stamped by whoever leads.
    let fence = rotating.claims(1)?;
    let began = rotating.rotation().and_then(|rotation| rotation.course.as_ref()?.overlap_began_at);
    let Some(began) = began else { return Err(rotating.broken("liveness", "no overlap began")) };
    let evidence =
        Evidence { old_last_used: None, new_first_used: Some(began), watched_since: began, callers: Vec::new() };
    rotating.world.pass(Duration::from_secs(4))?;
    if rotating.takes(fence, DriverStep::Retire(evidence.clone()))? {
        return Err(rotating.broken("the shortest overlap holds", "it was retired 4 s after its overlap began"));
    }
    let all = rotating.world.nodes();
    if rotating.accept(&rotating.old) != all || rotating.accept(&rotating.new_text) != all {
        return Err(rotating.broken("both are accepted in the overlap", "a replica refuses one"));
    }
    rotating.world.pass(Duration::from_millis(TERMS.overlap_min.millis()))?;
    rotating.must_take(fence, DriverStep::Retire(evidence))?;
    rotating.world.pass(Duration::from_secs(1))?;
    if rotating.accept(&rotating.old).is_empty() {
        return Ok(());
    }
    Err(rotating.broken("what is retired is refused", format!("accepted at {:?}", rotating.accept(&rotating.old))))
}

fn lost_text(seed: u64) -> Outcome {
    let mut rotating = Rotating::begin(seed, Some(store()))?;
    let fence = rotating.claims(1)?;
    let (lost, lost_text) = (rotating.new, rotating.new_text.expose().to_owned());
    let (new, _) = rotating.furniture.version();
    rotating.new = new.id;
    let (rotation, replay) = (rotating.name.clone(), vec![0; 32].into_boxed_slice());
    let prepare = PrepareRotation { fence, rotation, new, replaces: Some(lost), replay };
    if rotating.proposes(Operation::PrepareRotation(Box::new(prepare)))?.is_none() {
        return Err(rotating.broken("liveness", format!("no other took its place in {:?}", rotating.state())));
    }
    rotating.world.pass(Duration::from_secs(1))?;
    for (node, registry) in rotating.world.running() {
        let state = registry.core().state();
        let revoked = state.version(lost).is_none_or(|found| found.version.revocation().is_some());
        if !revoked || decide(&registry, &lost_text).is_valid() {
            return Err(rotating.broken("a lost text is dead", format!("version {lost} lives on at replica {node}")));
        }
    }
    let all = rotating.world.nodes();
    if rotating.accept(&rotating.old) == all {
        return Ok(());
    }
    Err(rotating.broken("the old version stays", format!("{} is refused", rotating.key)))
}

fn unheard(seed: u64) -> Outcome {
    let mut rotating = Rotating::begin(seed, None)?;
    let Some(leader) = rotating.world.leader() else { return Err(rotating.broken("liveness", "nobody leads")) };
    let old = latchkey_crypto::parse(rotating.old.expose()).expect("a key text").version;
    let known = |rotating: &mut Rotating| {
        let (ground, new) = (rotating.world.ground.clone(), rotating.new);
        let gathered = async move {
            let registry = ground.machines[&leader].process()?;
            let gathered = registry.evidence(&[old, new], false, Instant::now() + WITHIN).await.ok()?;
            Some((gathered.watched_since(0), gathered.unheard().count()))
        };
        rotating.world.call("the evidence", WITHIN * 2, gathered)
    };
    rotating.world.pass(Duration::from_secs(8))?;
    let whole = known(&mut rotating)?;
    if !whole.is_some_and(|(since, unheard)| since.is_some() && unheard == 0) {
        return Err(rotating.broken("liveness", format!("all replicas told, and it is not known: {whole:?}")));
    }
    let away = rotating.world.others(&[leader])[0];
    rotating.world.isolate(away);
    if !rotating.accept(&rotating.old).contains(&away) {
        return Err(rotating.broken("liveness", "the lease of the region that is cut off is over already"));
    }
    match known(&mut rotating)? {
        // Whatever else is said of it: nobody could ask the region that is cut off.
        Some((Some(since), _)) => {
            let what = format!("replica {away} cannot tell, and all is said to be known since {since:?}");
            Err(rotating.broken("what is not known is not silence", what))
        }
        _ => Ok(()),
    }
}

fn pepper_in_use(seed: u64) -> Outcome {
    let mut rotating = Rotating::begin(seed, None)?;
    let ground = rotating.world.ground.clone();
    let Some(leader) = rotating.world.leader() else { return Err(rotating.broken("liveness", "nobody leads")) };
    let dropped = rotating.world.call("another pepper", WITHIN * 2, async move {
        let registry = ground.machines[&leader].process()?;
        let old = registry.core().state().newest_ring_key(RingPurpose::Pepper)?.number;
        let new = registry.draw_ring_key(RingPurpose::Pepper).await.ok()?;
        propose(&ground, leader, &of_root(Operation::RotateRingKey(new)), WITHIN).await?;
        let command = Command::new(Actor::Replica(leader), draw(&mut OsEntropy), Operation::DropRingKey(old));
        let asked = latchkey_link::Registry::propose(&registry, &command, Instant::now() + WITHIN).await;
        Some(asked.is_ok_and(|proposed| proposed.answer.is_ok()))
    })?;
    if dropped.is_none() {
        return Err(rotating.broken("liveness", "no other pepper took its place"));
    }
    rotating.world.pass(Duration::from_secs(2))?;
    let all = rotating.world.nodes();
    if dropped == Some(true) || rotating.accept(&rotating.old) != all {
        let accept = rotating.accept(&rotating.old);
        return Err(
            rotating.broken("what is in use is not destroyed", format!("the key is accepted at {accept:?} alone"))
        );
    }
    Ok(())
}
