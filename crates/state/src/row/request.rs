//! The canonical bytes of remembered requests: what each made or changed.

use crate::command::{ImportOutcome, ImportRow};
use crate::encode::Encoder;
use crate::records::{RememberedRequest, RequestSubject};

pub(super) fn request(out: &mut Encoder, row: &RememberedRequest) {
    out.u32(row.identity.0);
    out.fixed(&row.id);
    out.fixed(&row.hash);
    out.time(row.at);
    out.revision(row.revision);
    match &row.subject {
        RequestSubject::Tenant(number) => subject(out, 0, number.0),
        RequestSubject::Keyspace(number) => subject(out, 1, number.0),
        RequestSubject::Owner(number) => subject(out, 2, number.0),
        RequestSubject::Identity(number) => subject(out, 3, number.0),
        RequestSubject::Keys(keyspace, keys) => {
            subject(out, 4, keyspace.0);
            out.list(keys.iter(), |out, (key, version)| {
                out.fixed(key.bytes());
                out.fixed(version.bytes());
            });
        }
        RequestSubject::Revoked(keyspace, key, version) => {
            subject(out, 5, keyspace.0);
            out.fixed(key.bytes());
            out.option(*version, |out, version| out.fixed(version.bytes()));
        }
        RequestSubject::Nothing => subject(out, 6, 0),
        RequestSubject::Role(number) => subject(out, 7, number.0),
        RequestSubject::Key(keyspace, key) => {
            subject(out, 8, keyspace.0);
            out.fixed(key.bytes());
        }
        RequestSubject::Counted(count) => {
            subject(out, 9, 0);
            out.u64(*count);
        }
        RequestSubject::Rotation(keyspace, key, rotation, version) => {
            subject(out, 10, keyspace.0);
            out.fixed(key.bytes());
            out.fixed(rotation.bytes());
            out.option(*version, |out, version| out.fixed(version.bytes()));
        }
        RequestSubject::Imported(keyspace, rows) => {
            subject(out, 11, keyspace.0);
            out.list(rows.iter(), import_row);
        }
    }
    out.option(row.replay.as_deref(), Encoder::bytes);
}

fn import_row(out: &mut Encoder, row: &ImportRow) {
    out.u32(row.index);
    let (kind, key, version) = match &row.outcome {
        ImportOutcome::Made(key, version) => (0, key, version),
        ImportOutcome::Existing(key, version) => (1, key, version),
        ImportOutcome::Refused(word) => {
            out.u8(2);
            return out.text(word.as_str());
        }
    };
    out.u8(kind);
    out.fixed(key.bytes());
    out.fixed(version.bytes());
}

fn subject(out: &mut Encoder, kind: u8, number: u32) {
    out.u8(kind);
    out.u32(number);
}
