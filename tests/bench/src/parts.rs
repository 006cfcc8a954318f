//! What this program is when it was started again as a part: a service as in production, or what it is measured against.

use crate::{load, machine};
use latchkey_audit::Audit;
use latchkey_config::{AuditSettings, IssuanceSettings, Sources, ValidationSettings};
use latchkey_issuance::Issuance;
use latchkey_validation::{Validation, telemetry_options};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validation_service_server::{ValidationService, ValidationServiceServer};
use prost::Message as _;
use rustix::process::{Signal, set_parent_process_death_signal};
use std::error::Error;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
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
    /// The audit service.
    Audit,
    /// The bare handler: `listen` says where, `answer` names the file with what it answers, `runtime=current-thread`
    /// takes that one of tokio's runtimes instead of the usual one.
    Bare,
    /// What answers without doing anything: `listen` says where, `answer` names the file with what it answers.
    Null,
    /// A program of others, which the arguments name.
    Foreign,
}

/// The setting of this program, no service's: `off` leaves out metrics.
const METRICS: &str = "bench.metrics";

/// openraft calls a vote that came too late a warning, and on a busy machine there are many.
const LOG_FILTER: (&str, &str) = ("telemetry.log_filter", "warn,openraft=off");

/// Runs the part until standard input ends. It logs what services log.
pub(crate) fn run(
    kind: Kind,
    cpus: &[usize],
    mut flags: Vec<(String, String)>,
    command: &[String],
) -> Result<(), Box<dyn Error>> {
    if !cpus.is_empty() {
        machine::stay_on(cpus)?;
    }
    match kind {
        Kind::Foreign => return Err(become_foreign(command)),
        Kind::Null => return null(&flags),
        Kind::Replica | Kind::Issuance | Kind::Audit | Kind::Bare => {}
    }
    if let Some(found) = flags.iter().position(|(name, _)| name == METRICS) {
        // What is installed first stays: ours then counts into nothing.
        flags.remove(found);
        metrics::set_global_recorder(metrics::NoopRecorder)?;
        flags.push((LOG_FILTER.0.to_owned(), "error,openraft=off".to_owned()));
    } else {
        flags.push((LOG_FILTER.0.to_owned(), LOG_FILTER.1.to_owned()));
    }
    // After the processors, so that it has as many workers.
    let mut runtime = match flag(&flags, "runtime") {
        Ok("current-thread") => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        match kind {
            Kind::Replica => replica(flags).await,
            Kind::Issuance => issuance(flags).await,
            Kind::Audit => audit(flags).await,
            _ => bare(&flags).await,
        }
    })
}

/// Becomes a program of others, which ends when whoever started this process does.
fn become_foreign(command: &[String]) -> Box<dyn Error> {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    match command.split_first() {
        Some((program, arguments)) => Command::new(program).args(arguments).exec().into(),
        None => "no program is named".into(),
    }
}

fn null(flags: &[(String, String)]) -> Result<(), Box<dyn Error>> {
    let listener = std::net::TcpListener::bind(flag(flags, "listen")?)?;
    let answer = std::fs::read(flag(flags, "answer")?)?;
    let _responder = std::thread::spawn(move || load::null::serve(&listener, &answer));
    Ok(io::copy(&mut io::stdin(), &mut io::sink()).map(drop)?)
}

async fn replica(flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let settings = ValidationSettings::load(&Sources { flags, ..Sources::default() })?;
    let _guard = latchkey_telemetry::init("latchkey-validation", &telemetry_options(&settings.telemetry))?;
    let running = Validation::start(&settings).await?;
    input_ends().await?;
    Ok(running.shutdown().await?)
}

async fn issuance(flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let settings = IssuanceSettings::load(&Sources { flags, ..Sources::default() })?;
    let _guard = latchkey_telemetry::init("latchkey-issuance", &telemetry_options(&settings.telemetry))?;
    let running = Issuance::start(Issuance::options(&settings)?).await?;
    input_ends().await?;
    Ok(running.stop().await?)
}

async fn audit(flags: Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    let settings = AuditSettings::load(&Sources { flags, ..Sources::default() })?;
    let _guard = latchkey_telemetry::init("latchkey-audit", &telemetry_options(&settings.telemetry))?;
    let running = Audit::start(Audit::options(&settings)?).await?;
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

    async fn report_usage(
        &self,
        _: Request<v1::ReportUsageRequest>,
    ) -> Result<Response<v1::ReportUsageResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }

    async fn explain_validation(
        &self,
        _: Request<v1::ExplainValidationRequest>,
    ) -> Result<Response<v1::ExplainValidationResponse>, Status> {
        Err(Status::unimplemented("nobody measures it"))
    }
}

async fn bare(flags: &[(String, String)]) -> Result<(), Box<dyn Error>> {
    let answer = std::fs::read(flag(flags, "answer")?)?;
    let bare = Bare { answer: v1::ValidateKeyResponse::decode(&answer[..])? };
    let listener = TcpListener::bind(flag(flags, "listen")?).await?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = Server::builder().add_service(ValidationServiceServer::new(bare));
    tokio::select! {
        ended = serving.serve_with_incoming(incoming) => Ok(ended?),
        ended = input_ends() => Ok(ended?),
    }
}

fn flag<'a>(flags: &'a [(String, String)], name: &str) -> Result<&'a str, String> {
    let found = flags.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    found.ok_or_else(|| format!("no {name}"))
}

/// Returns when whoever started this part wants it to end, or is gone.
async fn input_ends() -> io::Result<()> {
    let read = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    read.await.expect("copying does not panic").map(|_| ())
}
