//! The settings files of the processes.

use crate::cluster::{Node, region_of};
use crate::shape::Shape;
use std::net::SocketAddr;
use std::path::Path;

/// Of one replica among `nodes`.
pub(crate) fn of_replica(node: &Node, nodes: &[Node], secret: &Path, shape: &Shape) -> String {
    let mut text = format!(
        "listen = \"{}\"\nmetrics_listen = \"127.0.0.1:0\"\ncluster_secret_file = {:?}\nkek_file = {:?}\n\
         [node]\nid = {}\nregion = \"{}\"\ndata_folder = {:?}\n[raft]\nlisten = \"{}\"\nprofile = \"{}\"\n",
        node.api,
        secret,
        node.kek(),
        node.id,
        region_of(node.id),
        node.data(),
        node.raft,
        shape.profile.word(),
    );
    for line in &shape.raft_lines {
        text += line;
        text.push('\n');
    }
    for member in nodes {
        text += &format!(
            "[[members]]\nid = {}\nregion = \"{}\"\napi_address = \"{}\"\nraft_address = \"{}\"\n",
            member.id,
            region_of(member.id),
            member.entrance.api,
            member.entrance.raft
        );
    }
    text
}

/// Of a service that keeps nothing of the replicated state. It stands beside each replica: no link is between them.
pub(crate) fn of_service(listen: SocketAddr, nodes: &[Node], secret: &Path, kek: &Path) -> String {
    let endpoints: Vec<_> = nodes.iter().map(|node| format!("\"{}\"", node.api)).collect();
    format!(
        "listen = \"{listen}\"\nmetrics_listen = \"127.0.0.1:0\"\ncluster_secret_file = {secret:?}\nkek_file = {kek:?}\n\
         registry_endpoints = [{}]\n",
        endpoints.join(", ")
    )
}
