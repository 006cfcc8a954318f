//! Carrying a step out. What touches the world outside comes first and can be done again; the command that writes it down
//! comes last, so that a driver that dies in between is followed by one that does the same once more.

use super::attempts::Failure;
use super::decision::Step;
use super::trouble::Trouble;
use super::{CALL_MAX, Shared, telling};
use latchkey_crypto::{KeyText, parse};
use latchkey_delivery::{Item, Outlet};
use latchkey_domain::{Delivery, HoldCause, ReasonText, Slug, VersionId, VersionName};
use latchkey_link::driving::{self, Driven};
use latchkey_link::{Barrier, Registry};
use latchkey_minting::contexts::ReplayPlace;
use latchkey_state::{AdvanceRotation, DriverStep, Operation, PrepareRotation};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::pb::v1::replica_status::State as Known;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Code;

/// How long a version is waited for at a time until each region knows it.
const VISIBLE_WAIT: Duration = Duration::from_secs(3);

impl<R: Registry> Shared<R> {
    /// Carries out a step.
    pub(super) async fn carry_out(&self, driven: &Driven, step: Step, fence: u64) -> Result<(), Trouble> {
        let step = match step {
            Step::Wait(_) | Step::Look => return Ok(()),
            Step::Prepare { replaces } => return self.prepare(driven, replaces, fence).await,
            Step::Deliver => DriverStep::Deliver { sealed: self.deliver(driven).await? },
            Step::Activate => DriverStep::Activate,
            Step::Verify => self.verify(driven).await.map(|()| DriverStep::Verify)?,
            Step::BeginOverlap => DriverStep::BeginOverlap,
            Step::Retire(evidence) => DriverStep::Retire(evidence),
            Step::Warn(evidence) => DriverStep::Warn(evidence),
            Step::Hold { cause, text, evidence } => DriverStep::Hold { cause, text: reason(text), evidence },
            Step::Fail { text } => DriverStep::Fail { text: reason(text) },
        };
        let advance = AdvanceRotation { fence, rotation: driven.name.clone(), version: driven.rotation.new, step };
        self.propose(fence, Operation::AdvanceRotation(Box::new(advance)), 1).await.map(drop)
    }

    /// Mints the new version. Its text goes along in a box that only whoever has a replay key opens.
    async fn prepare(&self, driven: &Driven, replaces: Option<VersionId>, fence: u64) -> Result<(), Trouble> {
        let by = Instant::now() + CALL_MAX;
        let material = self.material.keyspace(&*self.registry, &driven.name.key.keyspace, by).await?;
        let (new, text) =
            self.material.mint_keys(&material, by).await?.mint(&material).version(&mut OsEntropy).into_new_version();
        let cluster = &material.tenant.cluster;
        let place = ReplayPlace::of_rotation(cluster.cluster, &driven.name.rotation, &new.id);
        let replay = self.material.seal_texts(cluster, &place, std::slice::from_ref(&text), by).await?;
        let prepare = PrepareRotation { fence, rotation: driven.name.clone(), new, replaces, replay };
        self.propose(fence, Operation::PrepareRotation(Box::new(prepare)), 1).await.map(drop)
    }

    /// Brings the new secret to where its consumer will find it: staged in a store, or sealed to the recipient.
    async fn deliver(&self, driven: &Driven) -> Result<Option<Box<[u8]>>, Trouble> {
        let delivery = driven.rotation.course.as_ref().and_then(|course| course.delivery.as_ref());
        let Some(delivery) = delivery else { return Ok(None) };
        let (version, text) = self.text_of(driven).await?;
        match delivery {
            Delivery::Recipient(recipient) => {
                let name = VersionName { key: driven.name.key.clone(), version };
                let sealed = latchkey_delivery::seal(recipient, &name, &text);
                let sealed = sealed.map_err(|error| failed(HoldCause::Delivery, error.to_string(), true))?;
                Ok(Some(sealed.into_boxed_slice()))
            }
            Delivery::Store(name) => {
                let item = Item { rotation: &driven.name, version, text: &text };
                self.finish_before(driven, name).await?;
                self.need_current(driven).await?;
                let staged = self.outlet(driven, name)?.stage(&item).await;
                staged.map_err(|error| failed(HoldCause::Delivery, error.told(), !error.is_retryable()))?;
                Ok(None)
            }
        }
    }

    /// Tells the store of what has ended before: staging destroys what that left there, such as the secret that is to be put
    /// back after a roll-back.
    async fn finish_before(&self, driven: &Driven, store: &Slug) -> Result<(), Trouble> {
        let ended = driving::ended(&*self.registry, &driven.name, Instant::now() + CALL_MAX).await?;
        let told = self.finish_at(&ended, store).await;
        told.map_err(|error| failed(HoldCause::Delivery, error.told(), !error.is_retryable()))
    }

    /// The text of the new version, out of its box.
    async fn text_of(&self, driven: &Driven) -> Result<(VersionId, KeyText), Trouble> {
        let by = Instant::now() + CALL_MAX;
        let replay = driven.rotation.course.as_ref().and_then(|course| course.replay.as_deref());
        let (Some(version), Some(replay)) = (driven.rotation.new, replay) else { return Err(Trouble::TextLost) };
        let cluster = self.material.cluster(&*self.registry, by).await?;
        let place = ReplayPlace::of_rotation(cluster.cluster, &driven.name.rotation, &version);
        let texts = match self.material.open_texts(&cluster, &place, replay, by).await {
            Ok(texts) => texts,
            // A box that does not open, although its key is there, never will.
            Err(status) if status.code() == Code::Internal => return Err(Trouble::TextLost),
            Err(status) => return Err(status.into()),
        };
        let is_of_version = |text: &KeyText| parse(text.expose()).is_some_and(|parsed| parsed.version == version);
        texts.into_iter().find(is_of_version).map(|text| (version, text)).ok_or(Trouble::TextLost)
    }

    /// Waits until each region knows the new version, has the consumer check it, and makes it the current one there.
    async fn verify(&self, driven: &Driven) -> Result<(), Trouble> {
        self.is_visible(driven).await?;
        let course = driven.rotation.course.as_deref();
        let (Some(Delivery::Store(name)), Some(version)) =
            (course.and_then(|course| course.delivery.as_ref()), driven.rotation.new)
        else {
            return Ok(());
        };
        let (outlet, rotation) = (self.outlet(driven, name)?, &driven.name);
        let version = VersionName { key: rotation.key.clone(), version };
        let checked = outlet.check(rotation, &version).await;
        checked.map_err(|error| failed(HoldCause::Check, error.told(), false))?;
        // The check may have taken long: what somebody ended meanwhile is not laid before consumers any more.
        self.need_current(driven).await?;
        let current = outlet.deliver(rotation, &version).await;
        current.map_err(|error| failed(HoldCause::Delivery, error.told(), !error.is_retryable()))
    }

    /// The revision asked for is that of the rotation's last change, which is no earlier than the one that activated it.
    async fn is_visible(&self, driven: &Driven) -> Result<(), Trouble> {
        let revision = driven.rotation.changed.revision;
        let barrier = Barrier { revision, bound: Default::default(), wait: VISIBLE_WAIT };
        let replicas = self.registry.confirm(barrier, Instant::now() + CALL_MAX).await?;
        let waits = replicas.iter().find(|replica| {
            let status = replica.status.as_ref();
            status.is_none_or(|status| !matches!(status.state(), Known::Applied | Known::LeaseEnded))
        });
        match waits {
            Some(replica) => Err(Trouble::NotVisible { region: replica.region.clone() }),
            // Nobody at all is nobody who says so.
            None if replicas.is_empty() => Err(Trouble::NotVisible { region: String::new() }),
            None => Ok(()),
        }
    }

    /// What a store is told cannot be fenced, so it is told nothing of a rotation that is not as it was any more.
    async fn need_current(&self, driven: &Driven) -> Result<(), Trouble> {
        let (_, current) = driving::rotation(&*self.registry, &driven.name, Instant::now() + CALL_MAX).await?;
        let changed = current.map(|current| current.rotation.changed.revision);
        if changed == Some(driven.rotation.changed.revision) { Ok(()) } else { Err(Trouble::Overtaken) }
    }

    fn outlet(&self, driven: &Driven, name: &Slug) -> Result<&Outlet, Trouble> {
        self.stores.find(name, &driven.name.key).ok_or_else(|| {
            let text = format!(
                "the rotation service has no store {name} that this keyspace may use; add a [[delivery]] of that name to \
                 its settings, or name another in the policy, then resume"
            );
            failed(HoldCause::Delivery, text, true)
        })
    }
}

fn failed(cause: HoldCause, text: String, lasts: bool) -> Trouble {
    telling::delivery_failed(cause);
    Trouble::Failed(Failure { cause, text, lasts })
}

/// As much of a text as a reason may be, without what a reason may not have.
fn reason(mut text: String) -> ReasonText {
    text.retain(|character| !character.is_control());
    text.truncate(text.floor_char_boundary(ReasonText::BYTES_MAX));
    ReasonText::parse(&text).unwrap_or_default()
}
