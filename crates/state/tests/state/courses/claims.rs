//! Who drives rotations, and who may not.

use super::*;
use latchkey_domain::Refusal;
use latchkey_state::{CLAIM_LIFE_MAX, GiveNotices, RotationClaim};

fn claim(holder: u8, life: DurationMillis) -> Command {
    by_driver(Operation::ClaimRotations(ClaimRotations { holder: [holder; 16], life }))
}

fn claimed(answer: &Answer) -> RotationClaim {
    let Answer::Claim(claim) = answer else { panic!("{answer:?}") };
    *claim
}

#[test]
fn a_claim_is_renewed_by_its_holder_and_taken_by_another_only_when_it_is_over() {
    let mut world = World::furnished();
    let life = span(10_000);
    assert_eq!(world.state.rotation_claim(), None);
    let first = world.apply(claim(1, life));
    assert_eq!((claimed(&first.answer.clone().unwrap()).fence, actions(&first)), (1, vec!["rotation.claimed"]));
    let ends_at = later(world.state.clock(), 10_000);
    assert_eq!(world.refused(claim(2, life)), Refusal::RotationClaimed { ends_at });

    let pass = |world: &mut World, millis| {
        let time = later(world.state.clock(), millis);
        world.done(by_replica(readings(&[time; 3])));
    };
    pass(&mut world, 9_999);
    let renewed = world.apply(claim(1, life));
    assert_eq!(actions(&renewed), Vec::<&str>::new(), "a renewal is no news");
    let renewed = claimed(&renewed.answer.unwrap());
    assert_eq!((renewed.fence, renewed.ends_at), (1, later(world.state.clock(), 10_000)));

    pass(&mut world, 10_000);
    let taken = claimed(&world.done(claim(2, life)));
    assert_eq!((taken.holder, taken.fence), ([2; 16], 2));
    world.refused(claim(1, life));

    pass(&mut world, 10_000);
    let late = claimed(&world.done(claim(2, life)));
    assert_eq!(late.fence, 2, "nobody came meanwhile: it is the same holder still");
}

#[test]
fn a_claim_never_gets_shorter_and_never_longer_than_a_minute() {
    let mut world = World::furnished();
    let now = world.state.clock();
    assert_eq!(claimed(&world.done(claim(1, DurationMillis::from_days(9)))).ends_at, now.plus(CLAIM_LIFE_MAX));
    assert_eq!(claimed(&world.done(claim(1, DurationMillis::ZERO))).ends_at, now.plus(CLAIM_LIFE_MAX));
}

#[test]
fn nobody_but_the_rotation_service_drives() {
    let mut house = House::to(policy(), RotationState::Prepared);
    let operations = [
        claim(1, span(1)),
        house.preparing(NEW, None),
        house.advancing(DriverStep::Deliver { sealed: None }),
        by_driver(Operation::PlanRotations(PlanRotations { fence: house.fence, plans: Vec::new() })),
        by_driver(Operation::GiveNotices(GiveNotices { fence: house.fence, keys: Vec::new() })),
    ];
    for Command { operation, .. } in operations {
        let audit = Actor::Service(slug("audit"));
        for asking in [by_root(operation.clone()), by_replica(operation.clone()), command(audit, operation.clone())] {
            assert!(matches!(house.world.refused(asking), Refusal::PermissionDenied { .. }), "{operation:?}");
        }
    }
}

#[test]
fn without_a_claim_nothing_is_driven() {
    let mut world = World::furnished();
    for fence in [0, 1, u64::MAX] {
        let plan = Operation::PlanRotations(PlanRotations { fence, plans: Vec::new() });
        assert_eq!(world.refused(by_driver(plan)), Refusal::RotationFenced { fence, current: 0 });
    }
}

#[test]
fn whoever_holds_the_newest_fence_drives_also_after_his_claim_ran_out() {
    let mut house = House::to(policy(), RotationState::Prepared);
    house.pass(DAY);
    house.advance(DriverStep::Deliver { sealed: None });
}
