//! Commands that come again, and commands of somebody who may no more.

use super::{Scenario, broken};
use crate::furniture::{Furniture, of_root, propose};
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_crypto::draw;
use latchkey_domain::planted::Plant;
use latchkey_domain::{DisplayName, Duty, Grant, IdentityName, NodeId, OwnerName, Scope, Slug, TenantName};
use latchkey_kms::OsEntropy;
use latchkey_state::{Actor, Command, CreateIdentity, CreateOwner, IdentityChanges, Operation, UpdateIdentity};
use std::time::Duration;

/// How long a command may take.
const WITHIN: Duration = Duration::from_secs(20);

pub(super) const REPEATED: Scenario = Scenario {
    name: "repeated",
    story: "A command is carried out, its leader dies, and the caller, who cannot know, sends it again. It happened once, \
            and both answers are of one revision.",
    finds: Plant::DedupeOff,
    run: repeated,
};

pub(super) const GRANT_TAKEN_AWAY: Scenario = Scenario {
    name: "grant-taken-away",
    story: "An identity was authorized by a service, and loses its grant before its command is applied. It is refused.",
    finds: Plant::GrantNotRechecked,
    run: grant_taken_away,
};

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn owner(id: &str) -> Operation {
    Operation::CreateOwner(CreateOwner {
        name: OwnerName::new(slug("acme"), slug(id)),
        display_name: DisplayName::default(),
        contacts: Vec::new(),
    })
}

fn repeated(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    drop(Furniture::put(&mut world, None)?);
    let (ground, command) = (world.ground.clone(), of_root(owner("once")));
    let again = command.clone();
    let first = async move { propose(&ground, NodeId(1), &command, WITHIN).await.map(|(_, _, revision)| revision) };
    let first = world.call("a command", WITHIN * 2, first)?;
    if let Some(leader) = world.leader() {
        world.crash(leader, true);
        world.pass(Duration::from_secs(1))?;
        world.restart(leader);
    }
    let ground = world.ground.clone();
    let second = async move { propose(&ground, NodeId(2), &again, WITHIN).await.map(|(_, _, revision)| revision) };
    let second = world.call("the command again", WITHIN * 2, second)?;
    if first.is_none() || first != second {
        return Err(world.failure("a repeat is not carried out", format!("first {first:?}, then {second:?}")));
    }
    Ok(())
}

fn grant_taken_away(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    drop(Furniture::put(&mut world, None)?);
    let name = IdentityName::new(slug("acme"), slug("maker"));
    let grants = vec![Grant { duty: Duty::Admin, scope: Scope::Tenant(TenantName::new(slug("acme"))) }];
    let made = CreateIdentity { name: name.clone(), display_name: DisplayName::default(), grants };
    let taken = IdentityChanges { grants: Some(Vec::new()), ..IdentityChanges::default() };
    let taken = UpdateIdentity { name: name.clone(), changes: taken, etag: None };
    let by_maker = |id| Command::new(Actor::Identity(name.clone()), draw(&mut OsEntropy), owner(id));
    let commands = [
        of_root(Operation::CreateIdentity(made)),
        by_maker("before"),
        of_root(Operation::UpdateIdentity(taken)),
        by_maker("after"),
    ];
    let mut carried_out = Vec::new();
    for command in commands {
        let ground = world.ground.clone();
        let done = async move { propose(&ground, NodeId(1), &command, WITHIN).await.is_some() };
        carried_out.push(world.call("a command", WITHIN * 2, done)?);
    }
    if carried_out == [true, true, true, false] {
        return Ok(());
    }
    Err(broken("a grant that is gone grants nothing", format!("carried out: {carried_out:?}"), seed))
}
