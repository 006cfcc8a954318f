//! The canonical bytes of rotations, of their policies and of the claim on them.

use crate::encode::Encoder;
use crate::rotation::{Course, Rotation, RotationClaim};
use latchkey_domain::{Delivery, RecipientKey, RotationPolicy, RotationTerms};

pub(super) fn rotation(out: &mut Encoder, row: &Rotation) {
    out.fixed(row.id.bytes());
    out.u32(row.keyspace.0);
    out.fixed(row.key.bytes());
    out.text(row.state.as_str());
    out.option(row.old, |out, version| out.fixed(version.bytes()));
    // Up to level 4 every rotation had a new version. One that has none says so below.
    out.fixed(row.new.as_ref().map_or(&[0; 12], |version| version.bytes()));
    out.option(row.overlap, |out, span| out.u64(span.millis()));
    out.option(row.overlap_ends_at, Encoder::time);
    out.time(row.created_at);
    out.revision(row.changed.revision);
    out.time(row.changed.at);
    out.option(row.ended_at, Encoder::time);
    out.text(row.text.as_str());
    out.tagged(1, row.new.is_none().then_some(1), Encoder::u8);
    out.tagged(2, row.course.as_deref(), course);
    out.tagged(3, row.course.as_ref().and_then(|course| course.warned_at), Encoder::time);
}

fn course(out: &mut Encoder, course: &Course) {
    out.u8(course.by_policy.into());
    out.u8(course.phase);
    terms(out, &course.terms);
    out.option(course.delivery.as_ref(), delivery);
    let times = [course.starts_at, course.activate_at, course.activated_at, course.delivered_at, course.verified_at];
    for time in times.into_iter().chain([course.overlap_began_at, course.hold_ends_at]) {
        out.option(time, Encoder::time);
    }
    out.option(course.hold.as_ref(), |out, held| {
        out.text(held.from.as_str());
        out.time(held.at);
        out.text(held.cause.as_str());
        out.text(held.text.as_str());
    });
    out.option(course.replay.as_deref(), Encoder::bytes);
    out.option(course.sealed.as_deref(), Encoder::bytes);
    out.u32(course.attempts);
}

pub(super) fn claim(out: &mut Encoder, row: &RotationClaim) {
    out.fixed(&row.holder);
    out.u64(row.fence);
    out.time(row.ends_at);
}

pub(super) fn policy(out: &mut Encoder, policy: &RotationPolicy) {
    out.text(policy.risk.as_str());
    out.text(policy.mode.as_str());
    out.u64(policy.interval.millis());
    terms(out, &policy.terms);
    out.list(policy.notices.iter(), |out, notice| out.u64(notice.millis()));
    out.list(policy.windows.iter(), |out, window| {
        out.text(&window.cron);
        out.text(&window.time_zone);
        out.u64(window.length.millis());
    });
    out.u64(policy.jitter.millis());
    out.u32(policy.at_once_max);
    out.list(policy.phases.iter(), |out, phase| {
        out.text(phase.name.as_str());
        out.text(&phase.filter);
    });
    out.option(policy.maximum_lifetime, |out, span| out.u64(span.millis()));
    out.option(policy.delivery.as_ref(), delivery);
}

fn terms(out: &mut Encoder, terms: &RotationTerms) {
    out.u64(terms.overlap.millis());
    out.u64(terms.overlap_min.millis());
    out.option(terms.silence, |out, span| out.u64(span.millis()));
    out.text(terms.overlap_start.as_str());
    // A hold has a length, so none is the other choice.
    out.u64(terms.hold_max().millis());
}

fn delivery(out: &mut Encoder, delivery: &Delivery) {
    let (kind, value) = match delivery {
        Delivery::Recipient(RecipientKey::X25519(key)) => (0, key.as_slice()),
        Delivery::Recipient(RecipientKey::Rsa(key)) => (1, key.der()),
        Delivery::Store(name) => (2, name.as_str().as_bytes()),
    };
    out.u8(kind);
    out.bytes(value);
}
