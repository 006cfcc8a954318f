//! Rotations.

use super::{View, rotation_delivery, rotation_terms};
use crate::pb::v1;
use crate::time::{write_span, write_time};
use latchkey_domain::{KeyName, RotationName, VersionId, VersionName};
use latchkey_state::{Course, Held, Keyspace, Rotation};

impl View<'_> {
    /// Shows a rotation, but for what was sealed to its recipient. One whose overlap the clock has ended is completed,
    /// whether or not that is written down yet. A rotation whose keyspace the state does not hold has no name.
    #[must_use]
    pub fn rotation(&self, rotation: &Rotation) -> v1::Rotation {
        let keyspace = self.state.keyspaces().by_number(rotation.keyspace);
        let key = keyspace.map(|keyspace| KeyName { keyspace: self.state.keyspace_name(keyspace), key: rotation.key });
        let version = |version: VersionId| {
            let name = key.clone().map(|key| VersionName { key, version }.to_string());
            name.unwrap_or_default()
        };
        let state = rotation.state_at(self.now);
        let ended_by_clock = (state != rotation.state).then(|| rotation.clock_end()).flatten();
        let name = key.clone().map(|key| RotationName { key, rotation: rotation.id }.to_string());
        let plain = v1::Rotation {
            name: name.unwrap_or_default(),
            state: v1::rotation::State::from(state).into(),
            old_version: rotation.old.map(version).unwrap_or_default(),
            new_version: rotation.new.map(version).unwrap_or_default(),
            overlap: rotation.overlap.map(write_span),
            overlap_end_time: rotation.overlap_ends_at.map(write_time),
            create_time: Some(write_time(rotation.created_at)),
            update_time: Some(write_time(rotation.changed.at)),
            end_time: rotation.ended_at.or(ended_by_clock).map(write_time),
            reason_text: rotation.text.to_string(),
            etag: rotation.etag(),
            revision: Some(self.revision.into()),
            ..v1::Rotation::default()
        };
        match &rotation.course {
            None => plain,
            Some(course) => with_course(plain, course, keyspace.map(|keyspace| &**keyspace)),
        }
    }

    /// As [`Self::rotation`], with what was sealed to its recipient. That is shown once the new version is accepted in
    /// every region: whoever used it before could be refused by a replica that does not know it yet. From then on it is
    /// shown for as long as the state keeps it.
    #[must_use]
    pub fn rotation_with_text(&self, rotation: &Rotation) -> v1::Rotation {
        let course = rotation.course.as_ref().filter(|course| course.verified_at.is_some());
        let sealed = course.and_then(|course| course.sealed.as_deref());
        v1::Rotation { sealed_key_text: sealed.unwrap_or_default().to_vec(), ..self.rotation(rotation) }
    }
}

fn with_course(rotation: v1::Rotation, course: &Course, keyspace: Option<&Keyspace>) -> v1::Rotation {
    let policy = keyspace.and_then(|keyspace| keyspace.settings.rotation_policy.as_ref());
    let phase = policy.and_then(|policy| policy.phases.get(usize::from(course.phase)));
    v1::Rotation {
        by_policy: course.by_policy,
        // The phase that its keyspace has under that number: a policy that changed meanwhile may call it otherwise.
        phase: phase.filter(|_| course.by_policy).map(|phase| phase.name.to_string()).unwrap_or_default(),
        terms: Some(rotation_terms(&course.terms)),
        delivery: course.delivery.as_ref().map(rotation_delivery),
        start_time: course.starts_at.map(write_time),
        activate_time: course.activate_at.map(write_time),
        delivered_time: course.delivered_at.map(write_time),
        activated_time: course.activated_at.map(write_time),
        verified_time: course.verified_at.map(write_time),
        overlap_begin_time: course.overlap_began_at.map(write_time),
        hold: course
            .hold
            .as_ref()
            .filter(|_| rotation.state() == v1::rotation::State::Held)
            .map(|held| hold(held, course)),
        attempts: course.attempts,
        in_use_warning_time: course.warned_at.map(write_time),
        ..rotation
    }
}

fn hold(held: &Held, course: &Course) -> v1::rotation::Hold {
    v1::rotation::Hold {
        from: v1::rotation::State::from(held.from).into(),
        hold_time: Some(write_time(held.at)),
        cause: v1::rotation::HoldCause::from(held.cause).into(),
        text: held.text.to_string(),
        end_time: course.hold_ends_at.map(write_time),
    }
}
