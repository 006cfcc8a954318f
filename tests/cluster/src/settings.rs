//! The settings files of the processes.

use crate::cluster::{Node, REGIONS};
use std::net::SocketAddr;
use std::path::Path;

/// Of one replica among `nodes`.
pub(crate) fn of_replica(node: &Node, nodes: &[Node], secret: &Path) -> String {
    let region = |id: u64| REGIONS[usize::try_from(id - 1).expect("a small number")];
    let mut text = format!(
        "listen = \"{}\"\nmetrics_listen = \"127.0.0.1:0\"\ncluster_secret_file = {:?}\nkek_file = {:?}\n\
         [node]\nid = {}\nregion = \"{}\"\ndata_folder = {:?}\n[raft]\nlisten = \"{}\"\n",
        node.api,
        secret,
        node.kek(),
        node.id,
        region(node.id),
        node.data(),
        node.raft
    );
    for member in nodes {
        text += &format!(
            "[[members]]\nid = {}\nregion = \"{}\"\napi_address = \"{}\"\nraft_address = \"{}\"\n",
            member.id,
            region(member.id),
            member.api,
            member.raft
        );
    }
    text
}

/// Of a service that keeps nothing of the replicated state.
pub(crate) fn of_service(listen: SocketAddr, nodes: &[Node], secret: &Path, kek: &Path) -> String {
    let endpoints: Vec<_> = nodes.iter().map(|node| format!("\"{}\"", node.api)).collect();
    format!(
        "listen = \"{listen}\"\nmetrics_listen = \"127.0.0.1:0\"\ncluster_secret_file = {secret:?}\nkek_file = {kek:?}\n\
         registry_endpoints = [{}]\n",
        endpoints.join(", ")
    )
}
