//! Rotation policies, terms, and where a new secret goes.
//!
//! What a policy must be is `domain`'s to say and what its windows mean `schedule`'s. They tell the first mistake; here all
//! are told, each with the path of its field.

use super::filter::key_filter;
use crate::pb::v1;
use crate::pb::v1::recipient_key::Key as PbRecipient;
use crate::pb::v1::rotation_delivery::Target as PbTarget;
use crate::time::read_span;
use crate::violation::Fields;
use crate::words;
use latchkey_domain::{
    AT_ONCE_DEFAULT, AtDeadline, Delivery, DurationMillis, NOTICES_MAX, OverlapStart, PHASES_MAX, RecipientKey,
    RiskClass, RotationMode, RotationPhase, RotationPolicy, RotationTerms, RotationWindow, Slug, WINDOWS_MAX,
};
use latchkey_schedule::Windows;
use latchkey_state::OVERLAP_DEFAULT;

/// The time zone of a window that names none.
const TIME_ZONE_DEFAULT: &str = "UTC";

/// Mistakes of a policy as a whole that are told: more than it has fields.
const MISTAKES_MAX: usize = 16;

/// Whose policy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of all keys of a keyspace.
    Keyspace,
    /// Of one key: it has no phases, since these say in which order keys rotate.
    Key,
}

/// Reads a policy; none where none is said.
#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn read(
    fields: &mut Fields,
    policy: Option<&v1::RotationPolicy>,
    whose: Whose,
) -> Option<Option<Box<RotationPolicy>>> {
    let Some(policy) = policy else { return Some(None) };
    fields.within("rotation_policy", |fields| read_policy(fields, policy, whose)).map(|policy| Some(Box::new(policy)))
}

fn read_policy(fields: &mut Fields, policy: &v1::RotationPolicy, whose: Whose) -> Option<RotationPolicy> {
    let risk = fields.take("risk_class", words::risk_class(policy.risk_class));
    let mode = fields.take("mode", words::rotation_mode(policy.mode));
    let interval = fields.take_optional("interval", policy.interval.as_ref().map(read_span));
    let interval = interval.and_then(|interval| of_class(fields, "interval", interval, risk, RiskClass::interval));
    let terms = policy.terms.unwrap_or_default();
    let overlap_default = risk.map(RiskClass::overlap);
    let terms = fields.within("terms", |fields| terms_of(fields, &terms, overlap_default));
    let notices = notices(fields, &policy.notices);
    let windows = windows(fields, &policy.windows);
    let jitter = fields.take_optional("jitter", policy.jitter.as_ref().map(read_span));
    let phases = phases(fields, &policy.phases, whose);
    let maximum_lifetime = fields.take_optional("maximum_lifetime", policy.maximum_lifetime.as_ref().map(read_span));
    let delivery = read_delivery(fields, policy.delivery.as_ref());
    let lists = notices.is_some() && windows.is_some() && phases.is_some();
    let reads = lists && jitter.is_some() && maximum_lifetime.is_some() && delivery.is_some();
    // What does not read is left out here, so that the rules between the other fields are told as well.
    let policy = RotationPolicy {
        risk: risk?,
        mode: mode.filter(|_| delivery.is_some()).or(mode.map(|_| RotationMode::Notify))?,
        interval: interval?,
        terms: terms?,
        notices: notices.unwrap_or_default(),
        windows: windows.unwrap_or_default(),
        jitter: jitter.flatten().unwrap_or_default(),
        at_once_max: policy.at_once_max.unwrap_or(AT_ONCE_DEFAULT),
        phases: phases.unwrap_or_default(),
        maximum_lifetime: maximum_lifetime.flatten(),
        delivery: delivery.flatten(),
    };
    (check(fields, &policy) && reads).then_some(policy)
}

/// Notes each rule between fields that a policy breaks. `domain` tells one at a time, so what broke it is put right in a
/// copy that is then asked again.
fn check(fields: &mut Fields, policy: &RotationPolicy) -> bool {
    let mut mended = policy.clone();
    for told in 0..MISTAKES_MAX {
        let Err(error) = mended.check() else { return told == 0 };
        fields.refuse(path(error.field), error.rule);
        mend(&mut mended, error.field);
    }
    false
}

/// Where a field of `domain`'s lies in the message.
fn path(field: &'static str) -> &'static str {
    match field {
        "overlap" => "terms.overlap",
        "overlap_min" => "terms.overlap_min",
        "silence" => "terms.silence",
        "hold_max" => "terms.hold_max",
        "at_deadline" => "terms.at_deadline",
        other => other,
    }
}

/// Puts a field right, so that what else is wrong can be told; what depends on it as well where it must.
fn mend(policy: &mut RotationPolicy, field: &str) {
    match field {
        "interval" => policy.interval = policy.risk.interval().unwrap_or(DurationMillis::from_days(365)),
        "overlap" => {
            policy.terms = RotationTerms::of_overlap(policy.risk.overlap().unwrap_or(DurationMillis::ZERO));
        }
        "overlap_min" => policy.terms.overlap_min = DurationMillis::ZERO,
        "silence" | "hold_max" | "at_deadline" => {
            policy.terms.at_deadline = AtDeadline::Enforce;
            policy.terms.silence = policy.terms.silence.filter(|_| field != "silence");
        }
        "jitter" => policy.jitter = DurationMillis::ZERO,
        "notices" => policy.notices = Box::default(),
        "at_once_max" => policy.at_once_max = AT_ONCE_DEFAULT,
        "maximum_lifetime" => policy.maximum_lifetime = None,
        "delivery" => policy.mode = RotationMode::Notify,
        _ => {
            policy.windows = Box::default();
            policy.phases = Box::default();
        }
    }
}

/// What was said, or what the class means.
fn of_class(
    fields: &mut Fields,
    field: &str,
    said: Option<DurationMillis>,
    risk: Option<RiskClass>,
    means: impl Fn(RiskClass) -> Option<DurationMillis>,
) -> Option<DurationMillis> {
    let span = said.or(means(risk?));
    if span.is_none() {
        fields.refuse(field, "must be set with `RISK_CLASS_CUSTOM`");
    }
    span
}

/// Reads terms that stand alone, as those of `RotateKey`, and checks them.
pub(super) fn read_terms(fields: &mut Fields, terms: &v1::RotationTerms) -> Option<RotationTerms> {
    fields.within("terms", |fields| {
        let terms = terms_of(fields, terms, Some(Some(OVERLAP_DEFAULT)))?;
        match terms.check() {
            Ok(()) => Some(terms),
            Err(error) => {
                fields.refuse(error.field, error.rule);
                None
            }
        }
    })
}

/// `overlap` is what stands for one that is not said: none where the class is not known, which has been noted, or where it
/// says none.
fn terms_of(
    fields: &mut Fields,
    terms: &v1::RotationTerms,
    overlap: Option<Option<DurationMillis>>,
) -> Option<RotationTerms> {
    let said = fields.take_optional("overlap", terms.overlap.as_ref().map(read_span));
    let overlap = said.and_then(|said| {
        let span = said.or(overlap?);
        if span.is_none() {
            fields.refuse("overlap", "must be set with `RISK_CLASS_CUSTOM`");
        }
        span
    });
    let overlap_min = fields.take_optional("overlap_min", terms.overlap_min.as_ref().map(read_span));
    let silence = fields.take_optional("silence", terms.silence.as_ref().map(read_span));
    let overlap_start = match v1::OverlapStart::try_from(terms.overlap_start) {
        Ok(v1::OverlapStart::Unspecified | v1::OverlapStart::AtOnce) => Some(OverlapStart::AtOnce),
        Ok(v1::OverlapStart::FirstUse) => Some(OverlapStart::FirstUse),
        Err(_) => {
            fields.refuse("overlap_start", words::UnknownWord { found: terms.overlap_start });
            None
        }
    };
    let at_deadline = at_deadline(fields, terms);
    Some(RotationTerms {
        overlap: overlap?,
        overlap_min: overlap_min?.unwrap_or_default(),
        silence: silence?,
        overlap_start: overlap_start?,
        at_deadline: at_deadline?,
    })
}

fn at_deadline(fields: &mut Fields, terms: &v1::RotationTerms) -> Option<AtDeadline> {
    let max = fields.take_optional("hold_max", terms.hold_max.as_ref().map(read_span))?;
    match (v1::AtDeadline::try_from(terms.at_deadline), max) {
        (Ok(v1::AtDeadline::Unspecified | v1::AtDeadline::Enforce), None) => Some(AtDeadline::Enforce),
        (Ok(v1::AtDeadline::Unspecified | v1::AtDeadline::Enforce), Some(_)) => {
            fields.refuse("hold_max", "goes with `AT_DEADLINE_HOLD` alone");
            None
        }
        (Ok(v1::AtDeadline::Hold), None) => {
            fields.refuse("hold_max", "must be set with `AT_DEADLINE_HOLD`");
            None
        }
        (Ok(v1::AtDeadline::Hold), Some(max)) => Some(AtDeadline::Hold { max }),
        (Err(_), _) => {
            fields.refuse("at_deadline", words::UnknownWord { found: terms.at_deadline });
            None
        }
    }
}

fn notices(fields: &mut Fields, notices: &[prost_types::Duration]) -> Option<Box<[DurationMillis]>> {
    if too_many(fields, "notices", notices.len(), NOTICES_MAX) {
        return None;
    }
    fields.take_each("notices", notices.iter().map(read_span)).map(Into::into)
}

fn windows(fields: &mut Fields, windows: &[v1::RotationWindow]) -> Option<Box<[RotationWindow]>> {
    if too_many(fields, "windows", windows.len(), WINDOWS_MAX) {
        return None;
    }
    let read = windows.iter().enumerate().map(|(at, window)| {
        fields.within(&format!("windows[{at}]"), |fields| {
            let length = match &window.length {
                None => fields.take("length", Err::<DurationMillis, _>("must be set")),
                Some(length) => fields.take("length", read_span(length)),
            };
            let time_zone = if window.time_zone.is_empty() { TIME_ZONE_DEFAULT } else { &window.time_zone };
            let read =
                RotationWindow { cron: window.cron.as_str().into(), time_zone: time_zone.into(), length: length? };
            // Its bounds first: nothing reads an expression that is longer than it may be.
            let alone = RotationPolicy { windows: [read.clone()].into(), ..plain() };
            if let Err(error) = alone.check() {
                fields.refuse(error.field.trim_start_matches("windows."), error.rule);
                return None;
            }
            let errors = Windows::parse(std::slice::from_ref(&read)).err().unwrap_or_default();
            errors.iter().for_each(|error| fields.refuse(error.error.field(), &error.error));
            errors.is_empty().then_some(read)
        })
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

fn phases(fields: &mut Fields, phases: &[v1::RotationPhase], whose: Whose) -> Option<Box<[RotationPhase]>> {
    if whose == Whose::Key && !phases.is_empty() {
        fields.refuse("phases", "must be empty: they say in which order the keys of a keyspace rotate");
        return None;
    }
    if too_many(fields, "phases", phases.len(), PHASES_MAX) {
        return None;
    }
    let mut names = Vec::new();
    let read = phases.iter().enumerate().map(|(at, phase)| {
        fields.within(&format!("phases[{at}]"), |fields| {
            let name = fields.take("name", Slug::parse(&phase.name));
            if name.as_ref().is_some_and(|name| names.contains(name)) {
                fields.refuse("name", "another phase has this name");
                return None;
            }
            names.extend(name.clone());
            let filter = if phase.filter.is_empty() {
                fields.take("filter", Err::<String, _>("must be set"))
            } else {
                key_filter(fields, &phase.filter)
            };
            Some(RotationPhase { name: name?, filter: filter?.into() })
        })
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

/// Reads where a new secret goes; none where none is said.
#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn read_delivery(fields: &mut Fields, delivery: Option<&v1::RotationDelivery>) -> Option<Option<Delivery>> {
    let Some(delivery) = delivery else { return Some(None) };
    match &delivery.target {
        None => {
            fields.refuse("delivery", "must be a recipient or a store");
            None
        }
        Some(PbTarget::Store(store)) => {
            fields.take("delivery.store", Slug::parse(store)).map(|store| Some(Delivery::Store(store)))
        }
        Some(PbTarget::Recipient(recipient)) => {
            let recipient = read_recipient(fields, "delivery.recipient", Some(recipient))?;
            Some(recipient.map(Delivery::Recipient))
        }
    }
}

/// Reads whom a key text is sealed to; none where none is said.
#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn read_recipient(
    fields: &mut Fields,
    field: &str,
    recipient: Option<&v1::RecipientKey>,
) -> Option<Option<RecipientKey>> {
    let Some(recipient) = recipient else { return Some(None) };
    match &recipient.key {
        None => {
            fields.refuse(field, "must be an X25519 key or an RSA key");
            None
        }
        Some(PbRecipient::X25519(bytes)) => {
            fields.take(&format!("{field}.x25519"), RecipientKey::x25519(bytes)).map(Some)
        }
        Some(PbRecipient::Rsa(der)) => fields.take(&format!("{field}.rsa"), RecipientKey::rsa(der)).map(Some),
    }
}

/// A policy in which nothing is wrong, to check one part of another in.
fn plain() -> RotationPolicy {
    RotationPolicy {
        risk: RiskClass::Custom,
        mode: RotationMode::Notify,
        interval: DurationMillis::from_days(1),
        terms: RotationTerms::of_overlap(DurationMillis::ZERO),
        notices: Box::default(),
        windows: Box::default(),
        jitter: DurationMillis::ZERO,
        at_once_max: AT_ONCE_DEFAULT,
        phases: Box::default(),
        maximum_lifetime: None,
        delivery: None,
    }
}

fn too_many(fields: &mut Fields, field: &str, count: usize, max: usize) -> bool {
    if count > max {
        fields.refuse(field, format_args!("{count} items, at most {max} are allowed"));
    }
    count > max
}

#[cfg(test)]
mod tests;
