//! The registry: openraft, the storage and the state machine as one replica (rank 7).
//!
//! ```text
//! propose -> stamp, seal -> raft log (log_store) -> commit -> state_machine: open, apply, publish -> readers
//!                                                                  \-> row_writer: seal, write     (behind)
//!                                                                  \-> outbox: entries of the audit tree
//! renewal: replica -> leader: what is published, a clock reading -> read index, lease, time
//! confirm: the leader's ledger of leases -> when nobody can decide on less
//! ```
//! In: consensus and what has to hold around it: sealing, time, freshness, the barrier, snapshots, founding. Out: what
//! a command does (`state`), who may validate what (`decision`), the bytes on disk (`storage`).
//!
//! Only this crate names openraft.
#![forbid(unsafe_code)]

mod applier;
mod backup;
mod barrier;
mod cluster_time;
mod core;
mod cosigning;
mod denials;
mod durable;
mod duties;
mod elections;
mod evidence;
mod follow;
mod gauges;
mod holdings;
mod init;
mod keyring;
mod leadership;
mod lease;
mod ledger;
mod local;
mod log_keys;
mod log_store;
mod membership;
mod network;
mod observed;
mod outbox;
mod peers;
mod propagation;
mod propose;
mod raft_service;
mod rates;
mod read_index;
mod reader;
mod recent;
mod registry;
mod registry_service;
mod rekeying;
mod renewal;
mod resealing;
mod restore;
mod row_reader;
mod row_writer;
mod sealing;
mod snapshot_file;
mod start;
mod state_machine;
mod tell_leader;
mod traces;
mod types;
mod words;

pub use crate::barrier::Confirmed;
pub use crate::cluster_time::{Consensus, Readings, SKEW_MS_MAX};
pub use crate::core::{Condition, Core};
pub use backup::{BackupError, BackupFile, BackupHeader, BackupPlan, BackupStream};
pub use denials::{DenialError, LOCAL_DENIALS_MAX};
pub use evidence::{Evidence, SeenFrom};
pub use holdings::Holding;
pub use init::{
    InitError, NewCluster, PendingFounding, init_cluster, init_replica, init_replica_in, pending_founding, store_folder,
};
pub use keyring::{Keyring, KeyringError, Peppers};
pub use leadership::Known;
pub use ledger::{Ledger, Standing, wait_ms};
pub use log_store::LogStore;
pub use membership::Roster;
pub use observed::{LineDetails, ManagementUse, NoRoom, Observed, ObservedOptions, Reported, Spans, Validated};
pub use propose::ProposeError;
pub use raft_service::RaftFace;
pub use reader::{Reader, View, ViewError};
pub use registry::{ClusterStatus, Registry, ReplicaStatus};
pub use registry_service::RegistryFace;
pub use rekeying::DrawError;
pub use restore::{After, GoneOn, NewEpoch, Remains, RestoreError, is_interrupted, is_made};
pub use sealing::{Sealer, UnsealError};
pub use snapshot_file::SnapshotError;
pub use start::{Parts, StartError, Timing};
pub use state_machine::{SnapshotBuilder, StateMachine, start_empty};
pub use types::{IntroducedKey, LogCommand, Member, Reply, SnapshotData, TypeConfig};
