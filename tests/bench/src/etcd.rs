//! Debian's etcd, where it is installed: what keeps small things with consensus on everybody's disks.

use crate::process::{Part, version_of};
use latchkey_transport::channel;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// How long its members may take to agree on a leader.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often they are asked.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// Sets a value. As much of `etcdserverpb.PutRequest` as is used here.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// Where [`PutRequest`]s go.
pub(crate) const PUT_PATH: &str = "/etcdserverpb.KV/Put";

/// As much of `etcdserverpb.StatusResponse` as is used here.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// Members that run, in processes of their own.
pub(crate) struct Etcd {
    members: Vec<Part>,
    leader: SocketAddr,
}

/// Its version, such as `3.4.23`; none where it is not installed.
pub(crate) fn version() -> Option<String> {
    Some(version_of("etcd")?.split_whitespace().last()?.to_owned())
}

impl Etcd {
    /// Starts `size` members on `cpus` with their data in `folder`, and waits for their leader.
    pub(crate) async fn start(folder: &Path, size: usize, cpus: &[usize]) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(folder)?;
        let addresses = latchkey_testkit::free_addresses(2 * size)?;
        let (clients, peers) = addresses.split_at(size);
        let cluster: Vec<_> = peers.iter().enumerate().map(|(index, peer)| format!("m{index}=http://{peer}")).collect();
        let mut members = Vec::new();
        for (index, (client, peer)) in clients.iter().zip(peers).enumerate() {
            let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
            let data = folder.join(format!("m{index}")).display().to_string();
            let arguments = [
                format!("--name=m{index}"),
                format!("--data-dir={data}"),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster={}", cluster.join(",")),
                "--logger=zap".to_owned(),
                "--log-level=error".to_owned(),
            ];
            members.push(Part::start_foreign("etcd", &arguments, cpus, &folder.join(format!("m{index}.log")))?);
        }
        let leader = tokio::time::timeout(READY_WITHIN, leader(clients)).await?;
        Ok(Self { members, leader })
    }

    /// The processes of all members.
    pub(crate) fn parts(&self) -> Vec<&Part> {
        self.members.iter().collect()
    }

    /// Where the leader answers clients.
    pub(crate) const fn leader(&self) -> SocketAddr {
        self.leader
    }

    /// Ends all members.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.members.into_iter().try_for_each(|member| member.stop().map(drop))
    }
}

/// Asks the members until one says that it leads.
async fn leader(members: &[SocketAddr]) -> SocketAddr {
    loop {
        for member in members {
            // Until it listens and knows a leader, it says nothing or that there is none.
            if let Ok(status) = status(*member).await
                && status.leader != 0
                && status.header.is_some_and(|header| header.member_id == status.leader)
            {
                return *member;
            }
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

async fn status(member: SocketAddr) -> Result<StatusResponse, Status> {
    let mut grpc = tonic::client::Grpc::new(channel(member));
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static("/etcdserverpb.Maintenance/Status");
    Ok(grpc.unary(Request::new(()), path, ProstCodec::default()).await?.into_inner())
}
