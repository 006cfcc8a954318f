//! Calls over the public API: who calls, how long, and again while nothing was decided.

use crate::cli::call_error::CallError;
use crate::cli::dial::Dial;
use crate::cli::error::CliError;
use crate::cli::output::json;
use crate::cli::service::Service;
use crate::cli::settings::Settings;
use prost::Message;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt as _;

/// Kept back of what a service may take, so that its own words are here before we stop listening.
const ANSWER_MARGIN: Duration = Duration::from_millis(300);

/// Before the second try; doubled for each one after, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A page of 1,000 keys with all that they may carry.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The services. Connects with the first call.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    addresses: [String; 4],
    channels: [Channel; 4],
    dial: Dial,
    authorization: Option<MetadataValue<Ascii>>,
    timeout: Duration,
    /// Where the key lies, for whoever has to look there.
    key_place: Option<String>,
}

/// An answer, and what message it is.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) message: T,
    pub(crate) name: &'static str,
}

impl<T: Message> Answer<T> {
    /// As canonical JSON, with short words.
    pub(crate) fn json(&self) -> Value {
        json::value(self.name, &self.message)
    }
}

impl Api {
    /// With the addresses and the patience of the settings, in the name of whoever has this key.
    ///
    /// # Errors
    /// [`CliError`]: it cannot be a key text; an address makes no URI.
    pub(crate) fn new(settings: &Settings, key: Option<&str>) -> Result<Self, CliError> {
        let authorization = key.map(bearer).transpose()?;
        let addresses = Service::ALL.map(|service| settings.address(service).to_owned());
        let [issuance, validation, rotation, audit] = &addresses;
        let dial = Dial::new(&settings.tls)?;
        let channels = [
            dial.channel(Service::Issuance, issuance)?,
            dial.channel(Service::Validation, validation)?,
            dial.channel(Service::Rotation, rotation)?,
            dial.channel(Service::Audit, audit)?,
        ];
        Ok(Self {
            addresses,
            channels,
            dial,
            authorization,
            timeout: settings.timeout,
            key_place: settings.key.place(),
        })
    }

    /// With more patience: for a call that waits on its own account.
    pub(crate) fn waiting(&self, wait: Option<Duration>) -> Self {
        Self { timeout: self.timeout + wait.unwrap_or_default(), ..self.clone() }
    }

    /// With this much patience, for who only looks whether somebody is there.
    pub(crate) fn within(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// With the replica of validation that is reached here.
    ///
    /// # Errors
    /// [`CliError::Usage`].
    pub(crate) fn at_replica(&self, address: &str) -> Result<Self, CliError> {
        let mut there = self.clone();
        there.channels[Service::Validation as usize] = self.replica_channel(address)?;
        address.clone_into(&mut there.addresses[Service::Validation as usize]);
        Ok(there)
    }

    /// A channel to the replica at this address.
    ///
    /// # Errors
    /// [`CliError::Usage`].
    pub(crate) fn replica_channel(&self, address: &str) -> Result<Channel, CliError> {
        self.dial.channel(Service::Validation, address)
    }

    /// In nobody's name.
    pub(crate) fn unsigned(&self) -> Self {
        Self { authorization: None, ..self.clone() }
    }

    pub(crate) const fn is_signed(&self) -> bool {
        self.authorization.is_some()
    }

    pub(crate) fn address(&self, service: Service) -> &str {
        &self.addresses[service as usize]
    }

    pub(crate) fn channel(&self, service: Service) -> Channel {
        self.channels[service as usize].clone()
    }

    /// A request in our name.
    pub(crate) fn signed<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        request
    }

    /// What a status of this call tells.
    pub(crate) fn error(&self, service: Service, method: &'static str, status: &Status) -> CallError {
        CallError::new(service, method, self.address(service), status).with_key_place(self.key_place.clone())
    }

    /// Calls until there is an answer, a final error, or no time. Nothing happens twice: what is `UNAVAILABLE` was not done,
    /// and whatever changes something carries a `request_id`.
    async fn call<Q: Clone, A, F>(
        &self,
        service: Service,
        method: &'static str,
        message: Q,
        call: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, CliError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let ends = Instant::now() + self.timeout;
        let mut pause = PAUSE;
        loop {
            let left = ends.saturating_duration_since(Instant::now());
            let mut request = self.signed(message.clone());
            request.set_timeout(left.saturating_sub(ANSWER_MARGIN));
            let status = match timeout(left, call(self.channel(service), request)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded(format!("no answer within {} ms", self.timeout.as_millis())),
            };
            let error = self.error(service, method, &status);
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default();
            let next = asked.max(pause);
            let again = error.code() == Code::Unavailable && !error.is_away();
            if !again || Instant::now() + next >= ends {
                return Err(CliError::Call(Box::new(error)));
            }
            sleep(next).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// What has other signs cannot be a key text; what it was is not told.
fn bearer(text: &str) -> Result<MetadataValue<Ascii>, CliError> {
    let shaped = text.bytes().all(|byte| byte.is_ascii_graphic());
    let value = shaped.then(|| format!("Bearer {text}").parse::<MetadataValue<Ascii>>().ok()).flatten();
    let mut value = value.ok_or_else(|| CliError::usage("what was read as the management key cannot be a key text"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes one call of a generated client.
macro_rules! call {
    ($self:ident, $service:ident, $client:path, $method:ident, $request:ident, $message:ident) => {{
        use $client as Client;
        let name = stringify!($request).trim_end_matches("Request");
        let call = |channel, request| async move {
            Client::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX).$method(request).await
        };
        $self.call(Service::$service, name, $message, call).await
    }};
}

/// A method for each call, named as its request without `Request`.
macro_rules! calls {
    ($($service:ident by $client:path { $($method:ident($request:ident) -> $answer:ident;)+ })+) => {
        impl Api {
            $($(
                pub(crate) async fn $method(
                    &self,
                    request: latchkey_wire::pb::v1::$request,
                ) -> Result<Answer<latchkey_wire::pb::v1::$answer>, CliError> {
                    let message = call!(self, $service, $client, $method, $request, request)?;
                    Ok(Answer { message, name: stringify!($answer) })
                }
            )+)+
        }

        /// Every call with the names of its messages, for tests.
        #[cfg(test)]
        const CALLS: &[(&str, &str, &str)] =
            &[$($((stringify!($method), stringify!($request), stringify!($answer)),)+)+];
    };
}

/// Likewise for calls of the directory whose answer is empty.
macro_rules! deletions {
    ($($method:ident($request:ident);)+) => {
        impl Api {
            $(
                pub(crate) async fn $method(&self, request: latchkey_wire::pb::v1::$request) -> Result<(), CliError> {
                    use latchkey_wire::pb::v1::directory_service_client as client;
                    call!(self, Issuance, client::DirectoryServiceClient, $method, $request, request)
                }
            )+
        }
    };
}

/// Revokes at a replica: that needs no issuance, and by key text no identity either.
impl Api {
    pub(crate) async fn revoke_key_at_validation(
        &self,
        request: latchkey_wire::pb::v1::RevokeKeyRequest,
    ) -> Result<Answer<latchkey_wire::pb::v1::RevokeKeyResponse>, CliError> {
        use latchkey_wire::pb::v1::issuance_service_client as client;
        let message = call!(self, Validation, client::IssuanceServiceClient, revoke_key, RevokeKeyRequest, request)?;
        Ok(Answer { message, name: "RevokeKeyResponse" })
    }
}

/// Batches of an import, and an answer to each in their order. Whoever sends them sees to the tries.
impl Api {
    pub(crate) async fn import_keys(
        &self,
        batches: ReceiverStream<latchkey_wire::pb::v1::ImportKeysRequest>,
    ) -> Result<Streaming<latchkey_wire::pb::v1::ImportKeysResponse>, Status> {
        use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient as Client;
        let mut client = Client::new(self.channel(Service::Issuance)).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(client.import_keys(self.signed(batches)).await?.into_inner())
    }
}

/// The parts of a backup. Whoever takes them sees to their end.
impl Api {
    pub(crate) async fn create_backup(&self) -> Result<Streaming<latchkey_wire::pb::v1::CreateBackupResponse>, Status> {
        use latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient as Client;
        let mut client = Client::new(self.channel(Service::Validation)).max_decoding_message_size(ANSWER_BYTES_MAX);
        let request = self.signed(latchkey_wire::pb::v1::CreateBackupRequest {});
        Ok(client.create_backup(request).await?.into_inner())
    }
}

mod table;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::profile::Profiles;
    use crate::cli::settings::GlobalArguments;
    use std::cell::RefCell;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    fn api(timeout: Duration) -> Api {
        let arguments = GlobalArguments { timeout, ..GlobalArguments::default() };
        let settings = Settings::of(&arguments, &Profiles::default()).unwrap();
        Api::new(&settings, Some("lkm_text")).unwrap()
    }

    fn refused(code: Code, reason: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "latchkey", HashMap::new());
        Status::with_error_details(code, "refused", details)
    }

    /// Calls with answers that are given one after the other; what was asked each time.
    async fn tries(timeout: Duration, answers: Vec<Result<u32, Status>>) -> (Result<u32, CliError>, Vec<String>) {
        let (asked, answers) = (RefCell::new(Vec::new()), RefCell::new(answers.into_iter()));
        let told = api(timeout)
            .call(Service::Issuance, "CreateKey", "an id".to_owned(), |_, request: Request<String>| {
                assert!(request.metadata().contains_key("authorization"));
                asked.borrow_mut().push(request.into_inner());
                let answer = answers.borrow_mut().next().expect("nobody asks again");
                async move { answer.map(Response::new) }
            })
            .await;
        (told, asked.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_done_is_tried_again_with_the_same_id() {
        let unavailable = || Err(refused(Code::Unavailable, "NO_LEADER"));
        let (told, asked) = tries(Duration::from_secs(5), vec![unavailable(), unavailable(), Ok(7)]).await;
        assert_eq!((told.unwrap(), asked), (7, vec!["an id".to_owned(); 3]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final_and_so_is_the_end_of_the_time() {
        let (told, asked) = tries(Duration::from_secs(5), vec![Err(refused(Code::NotFound, "NOT_FOUND"))]).await;
        assert_eq!((told.unwrap_err().exit(), asked.len()), (crate::cli::Exit::NotFound, 1));
        let unavailable = (0..20).map(|_| Err(refused(Code::Unavailable, "NO_LEADER"))).collect();
        let (told, asked) = tries(Duration::from_secs(1), unavailable).await;
        assert_eq!(told.unwrap_err().exit(), crate::cli::Exit::Unavailable);
        assert!((3..=5).contains(&asked.len()), "{asked:?}");
    }

    #[test]
    fn what_cannot_be_a_key_text_is_refused_and_not_repeated() {
        let error = bearer("secret\u{1f511}").unwrap_err().text();
        assert!(!error.contains("secret"), "{error}");
        assert!(bearer("lkm_text").unwrap().is_sensitive());
    }
}
