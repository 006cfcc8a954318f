//! Links between replicas, in user space: each replica is known to the others by two proxies, one for raft and one for
//! its callers. A proxy finds out who dialled, so that each direction of each link has a weather of its own: a delay,
//! stalls, or a cut. Nothing here needs root, and callers who dial a replica itself see none of it.

mod carry;
mod source;
mod weather;

pub(crate) use weather::Weather;

use crate::random::Random;
use crate::report::Trouble;
use carry::Way;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use weather::Map;

/// The links of one cluster, on a thread of their own: what the harness does elsewhere delays nothing here.
pub(crate) struct Links {
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Arc<Notify>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    map: Map,
    /// Replicas and the ids of their processes.
    processes: Mutex<Vec<(u64, u32)>>,
    random: Mutex<Random>,
    /// Connections of which nobody could tell who dialled.
    strangers: AtomicU64,
    carried: AtomicU64,
}

/// Where the others reach one replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrance {
    pub(crate) api: SocketAddr,
    pub(crate) raft: SocketAddr,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Links").finish_non_exhaustive()
    }
}

impl Links {
    /// Begins with the same weather everywhere.
    pub(crate) fn open(weather: Weather, random: Random) -> Result<Self, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Trouble::not_run)?;
        let stop = Arc::new(Notify::new());
        let (handle, stopped) = (runtime.handle().clone(), stop.clone());
        let run = move || runtime.block_on(stopped.notified());
        let thread = thread::Builder::new().name("links".to_owned()).spawn(run).map_err(Trouble::not_run)?;
        let shared = Shared {
            map: Map::new(weather),
            processes: Mutex::default(),
            random: Mutex::new(random),
            strangers: AtomicU64::new(0),
            carried: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared), runtime: handle, stop, thread: Some(thread) })
    }

    /// Opens the entrance of one replica, which itself listens on `api` and `raft`.
    pub(crate) fn admit(&self, id: u64, api: SocketAddr, raft: SocketAddr) -> Result<Entrance, Trouble> {
        Ok(Entrance { api: self.proxy(id, api)?, raft: self.proxy(id, raft)? })
    }

    fn proxy(&self, id: u64, target: SocketAddr) -> Result<SocketAddr, Trouble> {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Trouble::not_run)?;
        listener.set_nonblocking(true).map_err(Trouble::not_run)?;
        let address = listener.local_addr().map_err(Trouble::not_run)?;
        self.runtime.spawn(self.shared.clone().accept(id, listener, target));
        Ok(address)
    }

    /// This process is this replica from now on.
    pub(crate) fn belongs(&self, id: u64, process: u32) {
        let mut processes = self.shared.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.retain(|(other, _)| *other != id);
        processes.push((id, process));
    }

    /// Nothing that `from` sends reaches `to`; what `to` sends still reaches `from`.
    pub(crate) fn cut_one_way(&self, from: u64, to: u64) {
        self.shared.map.cut(from, to);
    }

    /// Neither hears the other.
    pub(crate) fn cut(&self, one: u64, other: u64) {
        self.shared.map.cut(one, other);
        self.shared.map.cut(other, one);
    }

    /// What `from` sends reaches `to` again.
    pub(crate) fn mend(&self, from: u64, to: u64) {
        self.shared.map.mend(from, to);
    }

    /// All links are whole again.
    pub(crate) fn heal(&self) {
        self.shared.map.heal();
    }

    /// Connections that were turned away since nobody could tell who dialled, and those that were carried.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.shared.strangers.load(Ordering::Relaxed), self.shared.carried.load(Ordering::Relaxed))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics with its tasks only, and then there is nothing left to end.
            drop(thread.join());
        }
    }
}

impl Shared {
    async fn accept(self: Arc<Self>, id: u64, listener: Listener, target: SocketAddr) {
        let here = listener.local_addr().expect("a bound listener has an address");
        let listener = TcpListener::from_std(listener).expect("a listener that does not block is taken over");
        loop {
            let Ok((dialled, peer)) = listener.accept().await else { continue };
            let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Whoever dialled and has died since is nobody either: its connection is worth nothing.
            let Some(from) = source::of(peer, here, &processes) else {
                self.strangers.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            self.carried.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(self.clone().carry(from, id, dialled, target));
        }
    }

    /// Carries one connection, both ways, until both are over.
    async fn carry(self: Arc<Self>, from: u64, to: u64, dialled: TcpStream, target: SocketAddr) {
        // Where nothing gets through the one way or back, nothing is opened either; a dialler waits, and hears nothing.
        self.map.whole(from, to).await;
        self.map.whole(to, from).await;
        let Ok(onward) = TcpStream::connect(target).await else { return };
        drop((dialled.set_nodelay(true), onward.set_nodelay(true)));
        let (dialled_read, dialled_write) = dialled.into_split();
        let (onward_read, onward_write) = onward.into_split();
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner).fork();
        let loses = random.below(2) == 0;
        let there = Way { map: &self.map, from, to, loses, opens: true, random: random.fork() };
        let back = Way { map: &self.map, from: to, to: from, loses, opens: false, random };
        tokio::join!(there.carry(dialled_read, onward_write), back.carry(onward_read, dialled_write));
    }
}

#[cfg(test)]
mod tests;
