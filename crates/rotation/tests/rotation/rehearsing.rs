//! `validate_only`.

use crate::house::{House, KEYSPACE, cancel, complete, prepare, roll_back, rotate, why};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation::State;

/// A rehearsal, and then the real thing: both are refused alike, or both are carried out.
macro_rules! alike {
    ($house:ident, $method:ident, $request:expr) => {{
        let (mut root, request) = ($house.root(), $request);
        let mut rehearsal = request.clone();
        rehearsal.validate_only = true;
        let before = $house.registry.state();
        let rehearsed = root.rotation.$method(rehearsal).await;
        assert_eq!($house.registry.state(), before, "a rehearsal changes nothing: {request:?}");
        let real = root.rotation.$method(request.clone()).await;
        match (rehearsed, real) {
            (Ok(rehearsed), Ok(real)) => {
                let (rehearsed, real) = (rehearsed.into_inner(), real.into_inner());
                let (would_be, is) = (rehearsed.rotation.clone().unwrap(), real.rotation.clone().unwrap());
                assert_eq!((would_be.state(), &would_be.old_version), (is.state(), &is.old_version));
                assert_eq!((would_be.overlap, would_be.overlap_end_time), (is.overlap, is.overlap_end_time));
                assert!(rehearsed.regions.is_empty() && !rehearsed.replayed && rehearsed.revision.is_some());
                Some((rehearsed, real))
            }
            (rehearsed, real) => {
                assert_eq!(why(rehearsed), why(real), "{request:?}");
                None
            }
        }
    }};
}

#[tokio::test]
async fn a_rehearsal_shows_what_would_be_without_names_and_texts_and_changes_nothing() {
    let house = House::new().await;
    let (key, _) = house.key().await;
    let (rehearsed, real) = alike!(house, prepare_standby, prepare(&key)).unwrap();
    let would_be = rehearsed.rotation.unwrap();
    assert!(would_be.name.is_empty() && would_be.new_version.is_empty() && would_be.etag.is_empty());
    assert!(rehearsed.key_text.is_empty() && rehearsed.version.is_empty());
    assert_eq!(rehearsed.key.unwrap().versions.len(), 1);
    let standby = real.version;

    let (rehearsed, real) = alike!(house, rotate_key, rotate(&key)).unwrap();
    let would_be = rehearsed.rotation.unwrap();
    assert_eq!((would_be.name.as_str(), would_be.new_version), ("", standby), "the standby has a name already");
    let name = real.rotation.unwrap().name;
    assert!(alike!(house, rotate_key, rotate(&key)).is_none(), "one is in progress");
    assert!(alike!(house, cancel_rotation, cancel(&name)).is_none(), "the overlap has begun");
    let (rehearsed, _) = alike!(house, roll_back_rotation, roll_back(&name)).unwrap();
    assert_eq!(rehearsed.rotation.unwrap().state(), State::RolledBack);
    assert!(alike!(house, complete_rotation, complete(&name)).is_none(), "it was rolled back");
}

#[tokio::test]
async fn a_rehearsal_judges_as_the_real_thing_does() {
    let house = House::new().await;
    let (key, _) = house.key().await;
    let stale = v1::RotateKeyRequest { etag: "0-0".to_owned(), ..rotate(&key) };
    assert!(alike!(house, rotate_key, stale).is_none());
    assert!(alike!(house, rotate_key, rotate(&format!("{KEYSPACE}/keys/0000000000000000"))).is_none());
    let (_, real) = alike!(house, rotate_key, rotate(&key)).unwrap();
    let name = real.rotation.unwrap().name;
    let stale = v1::CompleteRotationRequest { etag: "0-0".to_owned(), ..complete(&name) };
    assert!(alike!(house, complete_rotation, stale).is_none());
    let (rehearsed, _) = alike!(house, complete_rotation, complete(&name)).unwrap();
    assert_eq!(rehearsed.rotation.unwrap().name, name);
}
