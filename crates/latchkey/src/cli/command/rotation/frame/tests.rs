use super::*;
use pb::RotationEvidence;
use pb::rotation_evidence::Unheard;
use prost_types::{Duration, Timestamp};

const NOW: i64 = 1_800_000_000;

fn at(ago: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: NOW - ago, nanos: 0 })
}

fn canvas(columns: usize) -> Canvas {
    Canvas { columns, colour: false, now: UnixMillis::new(NOW.unsigned_abs() * 1_000) }
}

fn name(collection: &str, id: &str) -> String {
    format!("tenants/acme/keyspaces/orders/keys/0Jx5k3f9QmZ2aB7c/{collection}/{id}")
}

/// One whose traffic moves.
fn moving() -> pb::Rotation {
    let caller = Caller {
        region: "eu".to_owned(),
        network: "192.0.2.0/24".to_owned(),
        user_agent: "orders/1.4".to_owned(),
        tags: vec!["team=shop".to_owned()],
        last_use_time: at(3),
        count: 12,
    };
    let old = Use {
        version: name("versions", "2Wq8Zr4tYv6uN3mP"),
        count: 120,
        first_use_time: at(80),
        last_use_time: at(3),
        curve_start_time: at(80),
        curve_bucket: Some(Duration { seconds: 8, nanos: 0 }),
        curve_counts: vec![16, 16, 16, 16, 16, 16, 8, 8, 4, 4],
        callers: vec![caller],
        unnamed_count: 7,
    };
    let new = Use {
        version: name("versions", "3Wq8Zr4tYv6uN3mP"),
        count: 24,
        last_use_time: at(0),
        curve_start_time: at(32),
        curve_bucket: Some(Duration { seconds: 8, nanos: 0 }),
        curve_counts: vec![1, 3, 8, 12],
        ..Use::default()
    };
    pb::Rotation {
        name: name("rotations", "1Wq8Zr4tYv6uN3mP"),
        state: State::Overlap.into(),
        create_time: at(90),
        overlap_end_time: at(-3_600),
        evidence: Some(RotationEvidence {
            time: at(0),
            old: Some(old),
            new: Some(new),
            watched_since_time: at(90),
            unheard: Vec::new(),
        }),
        ..pb::Rotation::default()
    }
}

#[test]
fn both_curves_share_their_time_and_their_scale() {
    let golden = "\
acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP  OVERLAP  the old version ends in 1h  begun 1m 30s ago
old  ████████████▄▄▄▄▂▂▂▂
     2Wq8Zr4tYv6uN3mP  120 uses, last 3s ago
new  ············▁▁▂▂▄▄▆▆
     3Wq8Zr4tYv6uN3mP  24 uses, last now
     1m 20s ago       now

Who used the old version:
  eu  192.0.2.0/24  orders/1.4  3s ago, 12 uses  team=shop
  7 uses name nobody";
    let lines: Vec<String> = picture(&moving(), Canvas { columns: 200, ..canvas(200) });
    assert_eq!(lines.len(), golden.lines().count());
    let mut narrow = picture(&moving(), canvas(25));
    narrow[0].clone_from(&lines[0]);
    for (shown, whole) in narrow.iter_mut().zip(&lines).skip(6) {
        shown.clone_from(whole);
    }
    for index in [2, 4] {
        narrow[index].clone_from(&lines[index]);
    }
    assert_eq!(narrow.join("\n"), golden);
}

#[test]
fn that_it_ends_in_use_is_said_until_it_has_ended() {
    let warned = pb::Rotation { in_use_warning_time: at(20), ..moving() };
    let shown = |rotation: &pb::Rotation| picture(rotation, canvas(200))[0].clone();
    let expected = "the old version ends in 1h  it was still used 20s ago, when that was told  begun";
    assert!(shown(&warned).contains(expected), "{}", shown(&warned));
    assert!(line(&warned).starts_with("OVERLAP ENDS_IN_USE"), "{}", line(&warned));
    let ended = pb::Rotation { state: State::Completed.into(), ..warned };
    assert!(!shown(&ended).contains("still used"), "{}", shown(&ended));
    assert!(line(&ended).starts_with("COMPLETED  "), "{}", line(&ended));
}

#[test]
fn no_line_is_wider_than_the_terminal_and_colours_cost_no_width() {
    for columns in [1, 20, 80] {
        for line in picture(&moving(), Canvas { colour: true, ..canvas(columns) }) {
            let plain = [OLD, NEW, BAD, PLAIN].iter().fold(line, |line, code| line.replace(code, ""));
            assert!(!plain.contains('\u{1b}'), "{plain:?}");
            assert!(plain.chars().count() <= columns, "{plain:?}");
        }
    }
}

#[test]
fn what_callers_say_of_themselves_moves_no_cursor() {
    let mut rotation = moving();
    let old = rotation.evidence.as_mut().unwrap().old.as_mut().unwrap();
    old.callers[0].user_agent = "evil\u{1b}[2J\u{7}\r\n".to_owned();
    old.callers[0].tags = vec!["a=\u{9b}31m".to_owned()];
    let shown = picture(&rotation, canvas(200)).join("\n") + &line(&rotation);
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\r', '\u{9b}']), "{shown:?}");
    assert!(shown.contains("evil"));
}

#[test]
fn what_is_held_says_for_what_and_until_when() {
    let mut rotation = moving();
    rotation.state = State::Held.into();
    rotation.hold = Some(pb::rotation::Hold {
        cause: HoldCause::StillUsed.into(),
        text: "192.0.2.0/24 orders/1.4".to_owned(),
        end_time: at(-7_200),
        ..pb::rotation::Hold::default()
    });
    let shown = picture(&rotation, canvas(200));
    assert_eq!(shown[1], "held: the old version is still used: 192.0.2.0/24 orders/1.4; it ends in 2h");
    assert!(line(&rotation).starts_with("HELD STILL_USED  old 120 uses, last 2027-01-15T07:59:57Z  new 24 uses"));
}

#[test]
fn what_is_not_known_is_said() {
    let mut rotation = moving();
    rotation.evidence.as_mut().unwrap().unheard = vec![Unheard { region: "us".to_owned(), replica: 3 }];
    assert!(line(&rotation).contains("no word from replica 3 (us)"));
    assert!(picture(&rotation, canvas(200)).iter().any(|line| line.contains("no word from replica 3 (us)")));
    rotation.evidence = None;
    assert!(picture(&rotation, canvas(200)).iter().any(|line| line.contains("Nobody could be asked")));
    assert_eq!(line(&rotation), "OVERLAP");
}
