//! What the audit log says of all this.

use latchkey_domain::Sequence;
use latchkey_link::{FollowItem, Registry as _};
use latchkey_registry::Registry;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;

/// How long a refusal may take until it is in the log.
const GATHERED_MAX: Duration = Duration::from_secs(10);

/// The bytes of all events up to the first that has all of `words`: words are written as they are.
async fn events_until(registry: &Registry, words: &[&str]) -> Vec<Vec<u8>> {
    let mut following = registry.follow(Sequence(0), Instant::now() + GATHERED_MAX).await.unwrap();
    let mut events = Vec::new();
    let seen = async {
        while let Some(item) = following.next().await {
            if let FollowItem::Event(event) = item.unwrap() {
                let last = words.iter().all(|word| has(&event.event, word));
                events.push(event.event);
                if last {
                    return;
                }
            }
        }
        panic!("the audit log ended");
    };
    timeout(GATHERED_MAX, seen).await.unwrap_or_else(|_| panic!("no event has all of {words:?}"));
    events
}

fn has(event: &[u8], word: &str) -> bool {
    event.windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

pub(crate) async fn it_names_who_was_refused_who_looked_and_which_key_revoked_itself(
    registry: &Registry,
    revoked: &str,
    key_texts: &[&str],
) {
    for words in [
        &["validation.explained", "identities/operator", "NOT_FOUND", "a customer calls"][..],
        &["access.refused", "identities/auditor", "PERMISSION_DENIED", "ValidationService/ValidateKey"],
        &["access.refused", "identities/auditor", "PERMISSION_DENIED", "ValidationService/StreamValidateKeys"],
        &["access.refused", "identities/gateway", "PERMISSION_DENIED", "ValidationService/ExplainValidation"],
    ] {
        events_until(registry, words).await;
    }
    let mut events = events_until(registry, &["key.revoked", revoked, "COMPROMISED"]).await;
    let own = events.pop().unwrap();
    let times = own.windows(revoked.len()).filter(|bytes| *bytes == revoked.as_bytes()).count();
    assert!(times >= 2, "the key is what was revoked, and who did it");
    for text in key_texts {
        let secret = &text[text.len() - 38..][..32];
        assert!(!events.iter().any(|event| has(event, secret)), "a secret is in the audit log");
    }
}
