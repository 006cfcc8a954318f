//! Validations that wait for nothing, which is nearly all of them: answered without the generated server, on the same
//! steps. What asks for a state that may have to be waited for, and what is no message, goes the generated server's way.

use crate::halt::Halt;
use crate::validation_service::{ValidationFace, call_error};
use bytes::{Bytes, BytesMut};
use latchkey_transport::AtOnce;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{Consistency, read_batch_validate_keys, read_validate_key};
use prost::Message as _;
use tonic::{Extensions, Status};

const VALIDATE_KEY: &str = "/latchkey.v1.ValidationService/ValidateKey";
const BATCH_VALIDATE_KEYS: &str = "/latchkey.v1.ValidationService/BatchValidateKeys";

impl AtOnce for ValidationFace {
    fn has(&self, path: &str) -> bool {
        path == VALIDATE_KEY || path == BATCH_VALIDATE_KEYS
    }

    fn answer(
        &self,
        path: &str,
        extensions: &Extensions,
        message: Bytes,
        answer: &mut BytesMut,
    ) -> Option<Result<(), Status>> {
        let answered = match path {
            VALIDATE_KEY => self.one_at_once(extensions, message, answer)?,
            _ => self.batch_at_once(extensions, message, answer)?,
        };
        Some(answered.map_err(call_error))
    }
}

impl ValidationFace {
    fn one_at_once(&self, extensions: &Extensions, message: Bytes, answer: &mut BytesMut) -> Option<Result<(), Halt>> {
        let message = v1::ValidateKeyRequest::decode(message).ok()?;
        let asked = read_validate_key(&message);
        if asked.as_ref().is_ok_and(|asked| asked.consistency != Consistency::MinimizeLatency) {
            return None;
        }
        let view = match self.view_now() {
            Ok(view) => view,
            Err(halt) => return Some(Err(halt)),
        };
        let answered = self.one_on(&view, extensions, asked);
        Some(answered.map(|response| response.encode(answer).expect("a buffer that grows holds any message")))
    }

    fn batch_at_once(
        &self,
        extensions: &Extensions,
        message: Bytes,
        answer: &mut BytesMut,
    ) -> Option<Result<(), Halt>> {
        let message = v1::BatchValidateKeysRequest::decode(message).ok()?;
        let items = read_batch_validate_keys(&message);
        let mut readable = items.iter().flatten().filter_map(|item| item.request.as_ref().ok());
        if readable.any(|asked| asked.consistency != Consistency::MinimizeLatency) {
            return None;
        }
        let view = match self.view_now() {
            Ok(view) => view,
            Err(halt) => return Some(Err(halt)),
        };
        Some(self.batch_into(&view, extensions, items, answer))
    }
}
