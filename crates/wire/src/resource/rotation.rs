//! Rotations.

use super::View;
use crate::pb::v1;
use crate::time::{write_span, write_time};
use latchkey_domain::{KeyName, RotationName, VersionId, VersionName};
use latchkey_state::Rotation;

impl View<'_> {
    /// Shows a rotation. One whose overlap the clock has ended is completed, whether or not that is written down yet. A
    /// rotation whose keyspace the state does not hold has no name.
    #[must_use]
    pub fn rotation(&self, rotation: &Rotation) -> v1::Rotation {
        let keyspace = self.state.keyspaces().by_number(rotation.keyspace);
        let key = keyspace.map(|keyspace| KeyName { keyspace: self.state.keyspace_name(keyspace), key: rotation.key });
        let version = |version: VersionId| {
            let name = key.clone().map(|key| VersionName { key, version }.to_string());
            name.unwrap_or_default()
        };
        let state = rotation.state_at(self.now);
        let ended_by_clock = (state != rotation.state).then_some(rotation.overlap_ends_at).flatten();
        let name = key.clone().map(|key| RotationName { key, rotation: rotation.id }.to_string());
        v1::Rotation {
            name: name.unwrap_or_default(),
            state: v1::rotation::State::from(state).into(),
            old_version: rotation.old.map(version).unwrap_or_default(),
            new_version: version(rotation.new),
            overlap: rotation.overlap.map(write_span),
            overlap_end_time: rotation.overlap_ends_at.map(write_time),
            create_time: Some(write_time(rotation.created_at)),
            update_time: Some(write_time(rotation.changed.at)),
            end_time: rotation.ended_at.or(ended_by_clock).map(write_time),
            reason_text: rotation.text.to_string(),
            etag: rotation.etag(),
            revision: Some(self.revision.into()),
        }
    }
}
