//! Policies of rotation, their terms, and where secrets go.

use super::{DecodeError, parsed, required, span};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{
    AtDeadline, Delivery, DurationMillis, RecipientKey, RotationPhase, RotationPolicy, RotationTerms, RotationWindow,
    Slug,
};

/// A policy of rotation, as it lies at rest.
#[must_use]
pub fn write_policy(policy: &RotationPolicy) -> disk::RotationPolicy {
    let window = |window: &RotationWindow| disk::RotationWindow {
        cron: window.cron.to_string(),
        time_zone: window.time_zone.to_string(),
        length_ms: window.length.millis(),
    };
    let phase =
        |phase: &RotationPhase| disk::RotationPhase { name: phase.name.to_string(), filter: phase.filter.to_string() };
    disk::RotationPolicy {
        risk: disk::RiskClass::from(policy.risk).into(),
        mode: disk::RotationMode::from(policy.mode).into(),
        interval_ms: policy.interval.millis(),
        terms: Some(write_terms(&policy.terms)),
        notices_ms: policy.notices.iter().map(|notice| notice.millis()).collect(),
        windows: policy.windows.iter().map(window).collect(),
        jitter_ms: policy.jitter.millis(),
        at_once_max: policy.at_once_max,
        phases: policy.phases.iter().map(phase).collect(),
        maximum_lifetime_ms: policy.maximum_lifetime.map(DurationMillis::millis),
        delivery: policy.delivery.as_ref().map(write_delivery),
    }
}

/// A policy whose parts do not fit together is one that no build writes.
///
/// # Errors
/// [`DecodeError`].
pub fn read_policy(policy: &disk::RotationPolicy) -> Result<RotationPolicy, DecodeError> {
    let window = |window: &disk::RotationWindow| {
        Ok(RotationWindow {
            cron: window.cron.as_str().into(),
            time_zone: window.time_zone.as_str().into(),
            length: span(window.length_ms, "policy.window.length")?,
        })
    };
    let phase = |phase: &disk::RotationPhase| {
        let name = parsed(Slug::parse(&phase.name), "policy.phase.name")?;
        Ok(RotationPhase { name, filter: phase.filter.as_str().into() })
    };
    let notices = policy.notices_ms.iter().map(|millis| span(*millis, "policy.notices"));
    let lifetime = policy.maximum_lifetime_ms.map(|millis| span(millis, "policy.maximum_lifetime"));
    let policy = RotationPolicy {
        risk: parsed(words::disk_risk_class(policy.risk), "policy.risk")?,
        mode: parsed(words::disk_rotation_mode(policy.mode), "policy.mode")?,
        interval: span(policy.interval_ms, "policy.interval")?,
        terms: read_terms(required(policy.terms.as_ref(), "policy.terms")?)?,
        notices: notices.collect::<Result<_, DecodeError>>()?,
        windows: policy.windows.iter().map(window).collect::<Result<_, DecodeError>>()?,
        jitter: span(policy.jitter_ms, "policy.jitter")?,
        at_once_max: policy.at_once_max,
        phases: policy.phases.iter().map(phase).collect::<Result<_, DecodeError>>()?,
        maximum_lifetime: lifetime.transpose()?,
        delivery: policy.delivery.as_ref().map(read_delivery).transpose()?,
    };
    parsed(policy.check(), "policy")?;
    Ok(policy)
}

pub(super) fn write_terms(terms: &RotationTerms) -> disk::RotationTerms {
    disk::RotationTerms {
        overlap_ms: terms.overlap.millis(),
        overlap_min_ms: terms.overlap_min.millis(),
        silence_ms: terms.silence.map(DurationMillis::millis),
        overlap_start: disk::OverlapStart::from(terms.overlap_start).into(),
        hold_max_ms: match terms.at_deadline {
            AtDeadline::Enforce => None,
            AtDeadline::Hold { max } => Some(max.millis()),
        },
    }
}

pub(super) fn read_terms(terms: &disk::RotationTerms) -> Result<RotationTerms, DecodeError> {
    let terms = RotationTerms {
        overlap: span(terms.overlap_ms, "terms.overlap")?,
        overlap_min: span(terms.overlap_min_ms, "terms.overlap_min")?,
        silence: terms.silence_ms.map(|millis| span(millis, "terms.silence")).transpose()?,
        overlap_start: parsed(words::disk_overlap_start(terms.overlap_start), "terms.overlap_start")?,
        at_deadline: match terms.hold_max_ms {
            None => AtDeadline::Enforce,
            Some(millis) => AtDeadline::Hold { max: span(millis, "terms.hold_max")? },
        },
    };
    parsed(terms.check(), "terms")?;
    Ok(terms)
}

pub(super) fn write_delivery(delivery: &Delivery) -> disk::Delivery {
    use disk::delivery::Target;
    let target = match delivery {
        Delivery::Recipient(RecipientKey::X25519(key)) => Target::X25519(key.to_vec()),
        Delivery::Recipient(RecipientKey::Rsa(key)) => Target::Rsa(key.der().to_vec()),
        Delivery::Store(name) => Target::Store(name.to_string()),
    };
    disk::Delivery { target: Some(target) }
}

pub(super) fn read_delivery(delivery: &disk::Delivery) -> Result<Delivery, DecodeError> {
    use disk::delivery::Target;
    Ok(match required(delivery.target.as_ref(), "delivery.target")? {
        Target::X25519(key) => Delivery::Recipient(parsed(RecipientKey::x25519(key), "delivery.x25519")?),
        Target::Rsa(key) => Delivery::Recipient(parsed(RecipientKey::rsa(key), "delivery.rsa")?),
        Target::Store(name) => Delivery::Store(parsed(Slug::parse(name), "delivery.store")?),
    })
}
