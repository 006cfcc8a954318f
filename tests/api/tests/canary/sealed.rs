//! Key texts that are sealed to a recipient, by the answer and by a rotation that goes on by itself: nobody but the
//! recipient ever sees them.

use latchkey_api::{Clients, requests};
use latchkey_delivery::{RecipientSecret, open};
use latchkey_domain::{RecipientKey, VersionName};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::recipient_key::Key;
use latchkey_wire::pb::v1::rotation::State;
use latchkey_wire::pb::v1::rotation_delivery::Target;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than any rotation takes that has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The texts of the new versions of two keys, as their recipient opens them.
pub(crate) async fn texts(clients: &mut Clients, in_answer: &str, delivered: &str) -> [String; 2] {
    let secret = RecipientSecret::generate();
    let Ok(RecipientKey::X25519(bytes)) = secret.public() else { panic!("a drawn key is X25519") };
    let recipient = v1::RecipientKey { key: Some(Key::X25519(bytes.to_vec())) };
    let opened = |version: &str, sealed: &[u8]| {
        open(&secret, &VersionName::parse(version).unwrap(), sealed).unwrap().to_string()
    };

    let request = v1::RotateKeyRequest { recipient: Some(recipient.clone()), ..requests::rotate(in_answer) };
    let answer = clients.rotation.rotate_key(request).await.unwrap().into_inner();
    assert!(answer.key_text.is_empty());
    let first = opened(&answer.version, &answer.sealed_key_text);

    let delivery = Some(v1::RotationDelivery { target: Some(Target::Recipient(recipient)) });
    let request = v1::RotateKeyRequest { delivery, overlap: None, ..requests::rotate(delivered) };
    let answer = clients.rotation.rotate_key(request).await.unwrap().into_inner();
    assert!(answer.key_text.is_empty() && answer.sealed_key_text.is_empty());
    let name = answer.rotation.unwrap().name;
    let shown = timeout(PATIENCE, async {
        loop {
            let get = v1::GetRotationRequest { name: name.clone() };
            let rotation = clients.rotation.get_rotation(get).await.unwrap().into_inner();
            assert_ne!(rotation.state(), State::Held, "{rotation:?}");
            if !rotation.sealed_key_text.is_empty() {
                return rotation;
            }
            tokio::task::yield_now().await;
        }
    });
    let shown = shown.await.expect("the rotation service takes its steps");
    let second = opened(&shown.new_version, &shown.sealed_key_text);
    // What is shown is accepted everywhere.
    for text in [&first, &second] {
        let outcome = clients.validation.validate_key(requests::validate(text)).await.unwrap().into_inner().outcome();
        assert_eq!(outcome, v1::Outcome::Valid);
    }
    [first, second]
}
