//! What this program is when it was started again as a part: a service as in production, or the bare handler that it is
//! measured against.

use crate::machine;
use latchkey_config::{IssuanceSettings, Sources, ValidationSettings};
use latchkey_issuance::Issuance;
use latchkey_validation::Validation;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validation_service_server::{ValidationService, ValidationServiceServer};
use prost::Message as _;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Which.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A replica of validation.
    Replica,
    /// The issuance service.
    Issuance,
    /// The bare handler: `listen` says where, `answer` names the file with what it answers.
    Bare,
}

/// openraft calls a vote that came too late a warning, and on a busy machine there are many.
const LOG_FILTER: &str = "warn,openraft=off";

/// Runs the part until standard input ends. It logs what services log, and its metrics are on.
pub(crate) fn run(kind: Kind, cpus: &[usize], flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    if !cpus.is_empty() {
        machine::stay_on(cpus)?;
    }
    // After that, so that it has as many workers as processors.
    let runtime = Runtime::new()?;
    let options = latchkey_telemetry::Options { log_filter: LOG_FILTER.to_owned(), ..Default::default() };
    let _guard = latchkey_telemetry::init("latchkey-bench", &options)?;
    runtime.block_on(async {
        match kind {
            Kind::Replica => replica(flags).await,
            Kind::Issuance => issuance(flags).await,
            Kind::Bare => bare(flags).await,
        }
    })
}

async fn replica(flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let running = Validation::start(&ValidationSettings::load(&Sources { flags, ..Sources::default() })?).await?;
    input_ends().await?;
    Ok(running.shutdown().await?)
}

async fn issuance(flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let settings = IssuanceSettings::load(&Sources { flags, ..Sources::default() })?;
    let running = Issuance::start(Issuance::options(&settings)?).await?;
    input_ends().await?;
    Ok(running.stop().await?)
}

/// Answers the same to everybody.
struct Bare {
    answer: v1::ValidateKeyResponse,
}

#[tonic::async_trait]
impl ValidationService for Bare {
    async fn validate_key(
        &self,
        _: Request<v1::ValidateKeyRequest>,
    ) -> Result<Response<v1::ValidateKeyResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }

    async fn batch_validate_keys(
        &self,
        _: Request<v1::BatchValidateKeysRequest>,
    ) -> Result<Response<v1::BatchValidateKeysResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }

    type StreamValidateKeysStream = tokio_stream::Empty<Result<v1::StreamValidateKeysResponse, Status>>;

    async fn stream_validate_keys(
        &self,
        _: Request<tonic::Streaming<v1::StreamValidateKeysRequest>>,
    ) -> Result<Response<Self::StreamValidateKeysStream>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }

    async fn explain_validation(
        &self,
        _: Request<v1::ExplainValidationRequest>,
    ) -> Result<Response<v1::ExplainValidationResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }
}

async fn bare(flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let flag = |name: &str| flags.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    let address: SocketAddr = flag("listen").ok_or("no listen")?.parse()?;
    let answer = std::fs::read(flag("answer").ok_or("no answer")?)?;
    let bare = Bare { answer: v1::ValidateKeyResponse::decode(&answer[..])? };
    let incoming = TcpIncoming::from(TcpListener::bind(address).await?).with_nodelay(Some(true));
    let serving = Server::builder().add_service(ValidationServiceServer::new(bare));
    tokio::select! {
        ended = serving.serve_with_incoming(incoming) => Ok(ended?),
        ended = input_ends() => Ok(ended?),
    }
}

/// Returns when whoever started this part wants it to end, or is gone.
async fn input_ends() -> io::Result<()> {
    let read = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    read.await.expect("copying does not panic").map(|_| ())
}
