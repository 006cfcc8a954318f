//! Identities that were proved a moment ago, so that a busy service does not ask for each call.

use crate::ProvenIdentity;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is kept. A revoked management key works here for at most this much longer; whatever it writes is
/// checked again by apply.
const KEPT: Duration = Duration::from_secs(1);

/// Identities kept at once. Beyond it nothing new is kept until some are too old.
const KEPT_MAX: usize = 10_000;

/// By the hash of key text and address: the text itself is never kept, and a key may be bound to networks.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    kept: Mutex<HashMap<[u8; 32], (Instant, ProvenIdentity)>>,
}

/// What stands for a key text that came from an address.
pub(crate) fn fingerprint(key_text: &str, client: Option<IpAddr>) -> [u8; 32] {
    let client = client.map(|client| client.to_string()).unwrap_or_default();
    Sha256::new().chain_update(client).chain_update([0]).chain_update(key_text).finalize().into()
}

impl Identities {
    pub(crate) fn find(&self, fingerprint: &[u8; 32], now: Instant) -> Option<ProvenIdentity> {
        let kept = self.kept();
        let (since, identity) = kept.get(fingerprint)?;
        (now.saturating_duration_since(*since) < KEPT).then(|| identity.clone())
    }

    /// Keeps an answer. `asked` is when the question was sent: the answer is no younger than that.
    pub(crate) fn keep(&self, fingerprint: [u8; 32], asked: Instant, identity: &ProvenIdentity) {
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (since, _)| asked.saturating_duration_since(*since) < KEPT);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(fingerprint, (asked, identity.clone()));
        }
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Instant, ProvenIdentity)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{IdentityName, KeyName, Revision};
    use std::net::Ipv4Addr;

    fn identity() -> ProvenIdentity {
        ProvenIdentity {
            identity: IdentityName::parse("tenants/acme/identities/deploy").unwrap(),
            grants: Vec::new(),
            key: KeyName::parse("tenants/system/keyspaces/management/keys/0000000000000001").unwrap(),
            revision: Revision::new(1, 1),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_one_second_from_the_question_on() {
        let (identities, asked) = (Identities::default(), Instant::now());
        identities.keep([1; 32], asked, &identity());
        assert!(identities.find(&[1; 32], asked + KEPT - Duration::from_millis(1)).is_some());
        assert_eq!(identities.find(&[1; 32], asked + KEPT), None);
        assert_eq!(identities.find(&[2; 32], asked), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_and_old_answers_make_room() {
        let (identities, asked) = (Identities::default(), Instant::now());
        for number in 0..=KEPT_MAX {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            identities.keep(fingerprint, asked, &identity());
        }
        assert_eq!(identities.kept().len(), KEPT_MAX);
        identities.keep([9; 32], asked + KEPT, &identity());
        assert_eq!(identities.kept().len(), 1);
    }

    #[test]
    fn the_same_text_from_another_address_is_another_question() {
        let home = Some(Ipv4Addr::LOCALHOST.into());
        assert_ne!(fingerprint("lkm_a", home), fingerprint("lkm_a", None));
        assert_ne!(fingerprint("lkm_a", home), fingerprint("lkm_b", home));
    }
}
