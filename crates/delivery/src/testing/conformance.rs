//! What every [`Store`] must pass.

use super::{item, key_name, key_text, rotation_name, rotation_of};
use crate::{DeliveryError, Ending, Store};
use latchkey_domain::{KeyName, RotationName, VersionName};

/// A store in a place of its own, and a consumer who reads there.
pub trait Rig {
    /// The store.
    fn store(&self) -> &dyn Store;

    /// What the consumers of `key` read; `None` where nothing is there.
    fn read(&self, key: &KeyName) -> impl Future<Output = Option<String>>;

    /// How many texts of `key` lie beside the one that is read.
    fn kept(&self, key: &KeyName) -> impl Future<Output = usize>;

    /// Lets each step fail from now on, or succeed again; what lies in the place stays.
    fn set_broken(&self, broken: bool) -> impl Future<Output = ()>;
}

/// All of it, each part in a new place that `new` makes.
///
/// # Panics
/// Where the store breaks a promise.
pub async fn suite<R: Rig>(new: impl AsyncFn() -> R) {
    nobody_reads_a_text_before_it_is_delivered(&Trial(new().await)).await;
    a_step_again_changes_nothing(&Trial(new().await)).await;
    another_version_takes_the_place_of_one_that_was_lost(&Trial(new().await)).await;
    what_was_not_staged_is_not_delivered(&Trial(new().await)).await;
    completing_destroys_the_old_text(&Trial(new().await)).await;
    undoing_puts_the_old_text_back(&Trial(new().await)).await;
    undoing_before_delivery_leaves_the_old_text(&Trial(new().await)).await;
    a_rotation_that_is_over_disturbs_no_other(&Trial(new().await)).await;
    keys_do_not_meet(&Trial(new().await)).await;
    a_failure_leaves_the_old_text_and_tells_no_secret(&Trial(new().await)).await;
}

/// A rig, with each step checked for what it tells.
struct Trial<R>(R);

impl<R: Rig> Trial<R> {
    /// Stages the `text`th text under a rotation.
    async fn stage(&self, rotation: &RotationName, text: u8) -> Result<(), DeliveryError> {
        let text = key_text(text);
        let done = self.0.store().stage(&item(rotation, &text)).await;
        self.tells_nothing(done)
    }

    async fn deliver(&self, rotation: &RotationName, version: u8) -> Result<(), DeliveryError> {
        let version = VersionName { key: rotation.key.clone(), version: super::version_name(version).version };
        let done = self.0.store().deliver(rotation, &version).await;
        self.tells_nothing(done)
    }

    async fn finish(&self, rotation: &RotationName, ending: Ending) -> Result<(), DeliveryError> {
        let done = self.0.store().finish(rotation, ending).await;
        self.tells_nothing(done)
    }

    /// A whole rotation under the number of its version.
    async fn rotate(&self, number: u8) {
        let rotation = rotation_name(number);
        self.stage(&rotation, number).await.expect("staged");
        self.deliver(&rotation, number).await.expect("delivered");
        self.finish(&rotation, Ending::Completed).await.expect("finished");
    }

    async fn reads(&self, number: Option<u8>) {
        let expected = number.map(|number| key_text(number).expose().to_owned());
        assert!(self.0.read(&key_name()).await == expected, "consumers read something else than text {number:?}");
    }

    async fn keeps(&self, count: usize) {
        assert_eq!(self.0.kept(&key_name()).await, count, "texts beside the one that is read");
    }

    fn tells_nothing(&self, done: Result<(), DeliveryError>) -> Result<(), DeliveryError> {
        let store = self.0.store();
        let told = match &done {
            Ok(()) => String::new(),
            Err(error) => format!("{error:?} {error} {}", error.told()),
        };
        let told = format!("{told} {} {store:?}", store.place());
        for number in 0..9 {
            assert!(!told.contains(key_text(number).expose()), "a secret is told");
        }
        done
    }
}

async fn nobody_reads_a_text_before_it_is_delivered<R: Rig>(trial: &Trial<R>) {
    trial.stage(&rotation_name(1), 1).await.expect("staged");
    trial.reads(None).await;
    trial.deliver(&rotation_name(1), 1).await.expect("delivered");
    trial.reads(Some(1)).await;
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.reads(Some(1)).await;
    trial.deliver(&rotation_name(2), 2).await.expect("delivered");
    trial.reads(Some(2)).await;
}

async fn a_step_again_changes_nothing<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    let rotation = rotation_name(2);
    for _ in 0..2 {
        trial.stage(&rotation, 2).await.expect("staged");
        trial.keeps(1).await;
    }
    for _ in 0..2 {
        trial.deliver(&rotation, 2).await.expect("delivered");
        trial.reads(Some(2)).await;
        trial.keeps(1).await;
    }
    // A driver that lost its memory begins with the rotation's first step.
    trial.stage(&rotation, 2).await.expect("staged again");
    trial.deliver(&rotation, 2).await.expect("delivered again");
    for _ in 0..2 {
        trial.finish(&rotation, Ending::Completed).await.expect("finished");
        trial.reads(Some(2)).await;
        trial.keeps(0).await;
    }
}

async fn another_version_takes_the_place_of_one_that_was_lost<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    let rotation = rotation_name(2);
    trial.stage(&rotation, 2).await.expect("staged");
    trial.stage(&rotation, 3).await.expect("another staged");
    trial.deliver(&rotation, 3).await.expect("delivered");
    trial.reads(Some(3)).await;
    trial.finish(&rotation, Ending::Undone).await.expect("finished");
    trial.reads(Some(1)).await;
}

async fn what_was_not_staged_is_not_delivered<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    let error = trial.deliver(&rotation_name(2), 2).await.expect_err("nothing is staged");
    assert!(!error.is_retryable(), "{error}");
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.deliver(&rotation_name(2), 3).await.expect_err("another version is staged");
    trial.deliver(&rotation_name(3), 3).await.expect_err("another rotation is staged");
    trial.reads(Some(1)).await;
}

async fn completing_destroys_the_old_text<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.deliver(&rotation_name(2), 2).await.expect("delivered");
    trial.keeps(1).await;
    trial.finish(&rotation_name(2), Ending::Completed).await.expect("finished");
    trial.keeps(0).await;
    trial.finish(&rotation_name(2), Ending::Undone).await.expect("nothing is left to undo");
    trial.reads(Some(2)).await;
}

async fn undoing_puts_the_old_text_back<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.deliver(&rotation_name(2), 2).await.expect("delivered");
    for _ in 0..2 {
        trial.finish(&rotation_name(2), Ending::Undone).await.expect("undone");
        trial.reads(Some(1)).await;
        trial.keeps(0).await;
    }
    trial.rotate(3).await;
    trial.reads(Some(3)).await;
}

async fn undoing_before_delivery_leaves_the_old_text<R: Rig>(trial: &Trial<R>) {
    // Nothing was there at all.
    trial.finish(&rotation_name(1), Ending::Undone).await.expect("undone");
    trial.reads(None).await;
    trial.rotate(1).await;
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.finish(&rotation_name(2), Ending::Undone).await.expect("undone");
    trial.reads(Some(1)).await;
    trial.keeps(0).await;
}

async fn a_rotation_that_is_over_disturbs_no_other<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.deliver(&rotation_name(2), 2).await.expect("delivered");
    for ending in [Ending::Undone, Ending::Completed] {
        trial.finish(&rotation_name(1), ending).await.expect("it is over");
        trial.reads(Some(2)).await;
        trial.keeps(1).await;
    }
    // An emergency takes over from a rotation that nobody finished.
    trial.stage(&rotation_name(3), 3).await.expect("staged");
    trial.deliver(&rotation_name(3), 3).await.expect("delivered");
    trial.finish(&rotation_name(2), Ending::Undone).await.expect("it is over");
    trial.reads(Some(3)).await;
    trial.finish(&rotation_name(3), Ending::Completed).await.expect("finished");
    trial.keeps(0).await;
}

async fn keys_do_not_meet<R: Rig>(trial: &Trial<R>) {
    let other = KeyName::parse("tenants/acme/keyspaces/orders/keys/1Jx5k3f9QmZ2aB7c").expect("a name");
    trial.rotate(1).await;
    let rotation = rotation_of(other.clone(), 4);
    trial.stage(&rotation, 4).await.expect("staged");
    trial.deliver(&rotation, 4).await.expect("delivered");
    assert!(trial.0.read(&other).await.as_deref() == Some(key_text(4).expose()));
    trial.reads(Some(1)).await;
    trial.rotate(2).await;
    assert!(trial.0.read(&other).await.as_deref() == Some(key_text(4).expose()));
}

async fn a_failure_leaves_the_old_text_and_tells_no_secret<R: Rig>(trial: &Trial<R>) {
    trial.rotate(1).await;
    trial.0.set_broken(true).await;
    trial.stage(&rotation_name(2), 2).await.expect_err("it is broken");
    trial.0.set_broken(false).await;
    trial.reads(Some(1)).await;
    trial.keeps(0).await;
    trial.stage(&rotation_name(2), 2).await.expect("staged");
    trial.0.set_broken(true).await;
    trial.deliver(&rotation_name(2), 2).await.expect_err("it is broken");
    trial.0.set_broken(false).await;
    trial.reads(Some(1)).await;
    trial.deliver(&rotation_name(2), 2).await.expect("delivered");
    trial.0.set_broken(true).await;
    // A place that is gone may be nothing left to do; what matters is what is there afterwards.
    let _ = trial.finish(&rotation_name(2), Ending::Undone).await;
    trial.0.set_broken(false).await;
    trial.finish(&rotation_name(2), Ending::Undone).await.expect("undone");
    trial.reads(Some(1)).await;
    trial.keeps(0).await;
}
