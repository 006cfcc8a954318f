//! `RotateKey` and `PrepareStandby`: a version is minted, proposed, and its text shown once where it was taken, in the
//! clear, or sealed to whoever asked. What goes to a store or a recipient of a rotation is shown to nobody here.

use crate::Handlers;
use latchkey_crypto::{Digest, KeyText, draw_rotation_id, draw_version_id};
use latchkey_delivery::check_recipient;
use latchkey_domain::{
    Delivery, DurationMillis, KeyName, ReasonText, RecipientKey, RingNumber, RotationId, VersionId, VersionName,
};
use latchkey_link::answers::{self, told, unexpected};
use latchkey_link::{Authorized, Call, KeyspaceMaterial, ProvenIdentity, Registry, Time, visibility, wait_for};
use latchkey_minting::contexts::ReplayPlace;
use latchkey_state::{NewCourse, NewVersion, Operation, RequestMark, SEALED_INNER_BYTES};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::Rejection;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{AwaitedWrite, PrepareStandby, RotateKey};
use latchkey_wire::violation::FieldViolations;
use std::fmt::Display;
use tokio::time::Instant;
use tonic::Status;

/// What both methods ask.
struct Asked {
    key: KeyName,
    how: How,
    text: ReasonText,
    etag: Option<Box<str>>,
    recipient: Option<RecipientKey>,
}

/// What becomes of the new version.
enum How {
    /// It is a standby.
    Standby,
    /// It takes the place of the old one.
    Rotate { overlap: DurationMillis, emergency: bool, course: Option<Box<NewCourse>> },
}

/// What both methods answer.
#[derive(Default)]
struct Begun {
    rotation: v1::Rotation,
    key: v1::Key,
    version: String,
    key_text: String,
    sealed_key_text: Vec<u8>,
    revision: v1::Revision,
    regions: Vec<v1::RegionVisibility>,
    replayed: bool,
}

impl Asked {
    /// Where the new secret goes, where that is not the answer.
    fn delivery(&self) -> Option<&Delivery> {
        match &self.how {
            How::Rotate { course: Some(course), .. } => course.delivery.as_ref(),
            How::Rotate { .. } | How::Standby => None,
        }
    }

    /// Refuses a key that nothing can be sealed to, before there is a text that nobody could read.
    fn check_recipients(&self) -> Result<(), Status> {
        if let Some(Delivery::Recipient(recipient)) = self.delivery() {
            check_recipient(recipient).map_err(|error| refused("delivery.recipient", error))?;
        }
        self.recipient.as_ref().map_or(Ok(()), |key| check_recipient(key).map_err(|error| refused("recipient", error)))
    }
}

impl<R: Registry> Handlers<R> {
    pub(crate) async fn rotate(&self, call: Call<AwaitedWrite<RotateKey>>) -> Result<v1::RotateKeyResponse, Status> {
        let begun = self.begin(call, |RotateKey { key, overlap, text, etag, emergency, course, recipient }| Asked {
            key,
            how: How::Rotate { overlap, emergency, course },
            text,
            etag,
            recipient,
        });
        let Begun { rotation, key, version, key_text, sealed_key_text, revision, regions, replayed } = begun.await?;
        Ok(v1::RotateKeyResponse {
            rotation: Some(rotation),
            key: Some(key),
            version,
            key_text,
            revision: Some(revision),
            regions,
            replayed,
            sealed_key_text,
        })
    }

    pub(crate) async fn prepare(
        &self,
        call: Call<AwaitedWrite<PrepareStandby>>,
    ) -> Result<v1::PrepareStandbyResponse, Status> {
        let begun = self.begin(call, |PrepareStandby { key, text, etag, recipient }| Asked {
            key,
            how: How::Standby,
            text,
            etag,
            recipient,
        });
        let Begun { rotation, key, version, key_text, sealed_key_text, revision, regions, replayed } = begun.await?;
        Ok(v1::PrepareStandbyResponse {
            rotation: Some(rotation),
            key: Some(key),
            version,
            key_text,
            revision: Some(revision),
            regions,
            replayed,
            sealed_key_text,
        })
    }

    async fn begin<T>(&self, call: Call<AwaitedWrite<T>>, asked: impl FnOnce(T) -> Asked) -> Result<Begun, Status> {
        let Call { asked: write, identity, extensions, .. } = call;
        let AwaitedWrite { operation, request, validate_only, wait } = write;
        let (asked, by) = (asked(operation), Time::waiting(&extensions, wait));
        let name = asked.key.clone();
        let authorized = Authorized::check_issuing(&*self.registry, asked, identity, &name, by).await?;
        let (asked, identity) = authorized.into_parts();
        asked.check_recipients()?;
        let material = self.material.keyspace(&*self.registry, &name.keyspace, by).await?;
        if validate_only {
            return self.rehearse(&material, asked, &identity, by).await;
        }
        let mint_keys = self.material.mint_keys(&material, by).await?;
        let (new, text) = mint_keys.mint(&material).version(&mut OsEntropy).into_new_version();
        let rotation = draw_rotation_id(&mut OsEntropy);
        let (is_delivered, recipient) = (asked.delivery().is_some(), asked.recipient.clone());
        let replay = match &request {
            // For the rotation service, which opens it by the rotation's id: whoever asked is never shown it.
            _ if is_delivered => {
                let cluster = &material.tenant.cluster;
                let place = ReplayPlace::of_rotation(cluster.cluster, &rotation, &new.id);
                Some(self.material.seal_texts(cluster, &place, std::slice::from_ref(&text), by).await?)
            }
            None => None,
            Some(mark) => Some(self.seal(&material, &identity, mark, &new.id, &text, by).await?),
        };
        let command = identity.command(request, operation_of(asked, rotation, new, replay));
        let proposed = self.registry.propose(&command, by).await?;

        let (told, revision, replayed) = told(proposed)?;
        let Told::Rotation { rotation, key, made, replay, bound } = told else { return Err(unexpected("a rotation")) };
        let text = match (made, &request, replay) {
            _ if is_delivered => None,
            (Some(_), _, _) if !replayed => Some(text),
            (Some(version), Some(mark), Some(replay)) => {
                self.open(&material, &identity, mark, &version, &replay, by).await?
            }
            // A standby took the place, or the window of the repeat is over.
            (Some(_) | None, _, _) => None,
        };
        let version = made.map(|version| VersionName { key: name, version });
        let (key_text, sealed_key_text) = match (text, recipient, version) {
            (Some(text), Some(recipient), Some(version)) => {
                let sealed = latchkey_delivery::seal(&recipient, &version, &text);
                (String::new(), sealed.map_err(|error| refused("recipient", error))?)
            }
            (text, _, _) => (text.map(|text| text.expose().to_owned()).unwrap_or_default(), Vec::new()),
        };
        let replicas = wait_for(&*self.registry, wait, revision, bound, by).await;
        Ok(Begun {
            version: rotation.new_version.clone(),
            rotation,
            key,
            key_text,
            sealed_key_text,
            revision: revision.into(),
            regions: visibility(&replicas),
            replayed,
        })
    }

    /// A repeat may get the text again, so it goes with the command, sealed under a key that lives for two hours.
    async fn seal(
        &self,
        material: &KeyspaceMaterial,
        identity: &ProvenIdentity,
        mark: &RequestMark,
        version: &VersionId,
        text: &KeyText,
        by: Instant,
    ) -> Result<Box<[u8]>, Status> {
        let cluster = &material.tenant.cluster;
        let place = ReplayPlace::of_version(cluster.cluster, &identity.identity, &mark.id, version);
        self.material.seal_texts(cluster, &place, std::slice::from_ref(text), by).await
    }

    /// The text of the first answer; none where the window is over.
    async fn open(
        &self,
        material: &KeyspaceMaterial,
        identity: &ProvenIdentity,
        mark: &RequestMark,
        version: &VersionId,
        sealed: &[u8],
        by: Instant,
    ) -> Result<Option<KeyText>, Status> {
        let cluster = &material.tenant.cluster;
        let place = ReplayPlace::of_version(cluster.cluster, &identity.identity, &mark.id, version);
        Ok(self.material.open_texts(cluster, &place, sealed, by).await?.pop())
    }

    /// The rotation and the key as they would be, without the names of what would be made.
    async fn rehearse(
        &self,
        material: &KeyspaceMaterial,
        asked: Asked,
        identity: &ProvenIdentity,
        by: Instant,
    ) -> Result<Begun, Status> {
        let name = asked.key.clone();
        let new = unminted(material.tenant.cluster.pepper.number);
        let rotation = draw_rotation_id(&mut OsEntropy);
        let command = identity.command(None, operation_of(asked, rotation, new, None));
        let (told, revision) = answers::rehearse(&*self.registry, &command, by).await?;
        let Told::Rotation { mut rotation, mut key, made, .. } = told else { return Err(unexpected("a rotation")) };
        if let Some(version) = made {
            let invented = VersionName { key: name, version }.to_string();
            key.versions.retain(|version| version.name != invented);
            rotation.new_version.clear();
        }
        rotation.name.clear();
        rotation.etag.clear();
        key.rotation.clear();
        Ok(Begun { rotation, key, revision: revision.into(), ..Begun::default() })
    }
}

fn operation_of(asked: Asked, rotation: RotationId, new: NewVersion, replay: Option<Box<[u8]>>) -> Operation {
    let Asked { key, how, text, etag, recipient: _ } = asked;
    match how {
        How::Rotate { overlap, emergency, course } => Operation::RotateKey(Box::new(latchkey_state::RotateKey {
            key,
            rotation,
            new,
            overlap,
            text,
            etag,
            replay,
            emergency,
            course,
        })),
        How::Standby => Operation::PrepareStandby(Box::new(latchkey_state::PrepareStandby {
            key,
            rotation,
            new,
            text,
            etag,
            replay,
        })),
    }
}

fn refused(field: &str, error: impl Display) -> Status {
    Rejection::FieldsInvalid(FieldViolations::one(field, error)).into()
}

/// A version for a rehearsal: it has an id, which nobody is shown, and no secret.
fn unminted(pepper: RingNumber) -> NewVersion {
    NewVersion {
        id: draw_version_id(&mut OsEntropy),
        pepper,
        digest: Digest::new([0; 32]),
        inner: [0; SEALED_INNER_BYTES],
    }
}
