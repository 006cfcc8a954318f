//! Rotation policies, terms, and where a new secret goes.

use crate::pb::v1;
use crate::pb::v1::recipient_key::Key as PbRecipient;
use crate::pb::v1::rotation_delivery::Target;
use crate::time::write_span;
use latchkey_domain::{
    AtDeadline, Delivery, RecipientKey, RotationPhase, RotationPolicy, RotationTerms, RotationWindow,
};

/// Shows a policy, what was not said filled in.
#[must_use]
pub fn rotation_policy(policy: &RotationPolicy) -> v1::RotationPolicy {
    let window = |window: &RotationWindow| v1::RotationWindow {
        cron: window.cron.to_string(),
        time_zone: window.time_zone.to_string(),
        length: Some(write_span(window.length)),
    };
    let phase =
        |phase: &RotationPhase| v1::RotationPhase { name: phase.name.to_string(), filter: phase.filter.to_string() };
    v1::RotationPolicy {
        risk_class: v1::RiskClass::from(policy.risk).into(),
        mode: v1::RotationMode::from(policy.mode).into(),
        interval: Some(write_span(policy.interval)),
        terms: Some(rotation_terms(&policy.terms)),
        notices: policy.notices.iter().copied().map(write_span).collect(),
        windows: policy.windows.iter().map(window).collect(),
        jitter: Some(write_span(policy.jitter)),
        at_once_max: Some(policy.at_once_max),
        phases: policy.phases.iter().map(phase).collect(),
        maximum_lifetime: policy.maximum_lifetime.map(write_span),
        delivery: policy.delivery.as_ref().map(rotation_delivery),
    }
}

/// Shows how an old version ends.
#[must_use]
pub fn rotation_terms(terms: &RotationTerms) -> v1::RotationTerms {
    let (at_deadline, hold_max) = match terms.at_deadline {
        AtDeadline::Enforce => (v1::AtDeadline::Enforce, None),
        AtDeadline::Hold { max } => (v1::AtDeadline::Hold, Some(max)),
    };
    v1::RotationTerms {
        overlap: Some(write_span(terms.overlap)),
        overlap_min: Some(write_span(terms.overlap_min)),
        silence: terms.silence.map(write_span),
        overlap_start: v1::OverlapStart::from(terms.overlap_start).into(),
        at_deadline: at_deadline.into(),
        hold_max: hold_max.map(write_span),
    }
}

/// Shows where a new secret goes.
#[must_use]
pub fn rotation_delivery(delivery: &Delivery) -> v1::RotationDelivery {
    let target = match delivery {
        Delivery::Recipient(key) => Target::Recipient(recipient_key(key)),
        Delivery::Store(name) => Target::Store(name.to_string()),
    };
    v1::RotationDelivery { target: Some(target) }
}

fn recipient_key(key: &RecipientKey) -> v1::RecipientKey {
    let key = match key {
        RecipientKey::X25519(bytes) => PbRecipient::X25519(bytes.to_vec()),
        RecipientKey::Rsa(key) => PbRecipient::Rsa(key.der().to_vec()),
    };
    v1::RecipientKey { key: Some(key) }
}
