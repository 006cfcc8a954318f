//! Settings: defaults < file < environment < flags, all mistakes at once (rank 4).
//!
//! A service says `let settings = ValidationSettings::load(&sources)?`. The [`Mistakes`] that come back instead name every
//! setting that is wrong, where its value came from, what was expected, and what to do.
//!
//! - **File**: TOML, one table for each group: `[raft]`, `heartbeat_ms = 200`.
//! - **Environment**: `LATCHKEY_` and the name in capitals, `__` between group and setting:
//!   `LATCHKEY_RAFT__HEARTBEAT_MS=200`; a list is separated by commas. Lists of groups (`members`) are for the file only.
//! - **Flags**: `name=value` with the name as in the file: `raft.heartbeat_ms=200`.
//!
//! A secret is never a value here, only the path of a file. [`documentation`] renders the reference from the same
//! declarations that read the settings.

mod archive;
mod audit;
mod backup;
mod contact;
mod declare;
mod delivery;
mod document;
mod driver;
mod field;
mod host_port;
mod issuance;
mod mistake;
mod nearest;
mod notices;
mod observation;
mod profile;
mod raft;
mod reader;
mod rotation;
mod secret_file;
mod sink;
mod sources;
mod telemetry;
mod tls;
mod url;
mod usage;
mod validation;

pub use archive::ArchiveSettings;
pub use audit::AuditSettings;
pub use backup::BackupSettings;
pub use contact::{Contact, is_address};
pub use delivery::{CommandLine, DeliveryKind, DeliverySettings, HookStep, KeyspacePattern};
pub use document::documentation;
pub use driver::DriverSettings;
pub use host_port::HostPort;
pub use issuance::IssuanceSettings;
pub use mistake::{Mistake, Mistakes};
pub use notices::NoticeSettings;
pub use observation::ObservationSettings;
pub use profile::Profile;
pub use raft::RaftSettings;
pub use rotation::RotationSettings;
pub use secret_file::refused_mode;
pub use sink::{ActionPattern, SinkFormat, SinkKind, SinkSettings, SinkStream};
pub use sources::Sources;
pub use telemetry::{LogFormat, TelemetrySettings};
pub use tls::{ClientCertificates, TlsSettings};
pub use url::Url;
pub use usage::{AccessSettings, UsageSettings};
pub use validation::{MemberSettings, NodeSettings, ValidationSettings};
