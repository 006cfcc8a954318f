//! Somebody's webhook: takes whatever comes over TLS, and remembers it.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::TLS13;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Hook {
    folder: TempDir,
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    calls: Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[&TLS13]).unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (taken, calls) = mpsc::unbounded_channel();
        let count = Arc::<AtomicUsize>::default();
        let counted = count.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(take(acceptor.clone(), tcp, taken.clone(), counted.clone()));
            }
        });
        Self { folder, address, count, calls: Mutex::new(calls) }
    }

    /// Where it takes calls.
    pub(crate) fn url(&self) -> String {
        format!("https://{}/keys", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with its certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The body of the next call.
    pub(crate) async fn next(&self, within: Duration) -> String {
        let mut calls = self.calls.lock().await;
        let call = tokio::time::timeout(within, calls.recv()).await;
        call.expect("a call comes").expect("it takes calls while it is there")
    }

    /// How often it was called.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

async fn take(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    taken: mpsc::UnboundedSender<String>,
    count: Arc<AtomicUsize>,
) -> Option<()> {
    let mut stream = BufReader::new(acceptor.accept(tcp).await.ok()?);
    let (mut length, mut line) = (0, String::new());
    while stream.read_line(&mut line).await.ok()? > 2 {
        let header = line.to_ascii_lowercase();
        length = header.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    count.fetch_add(1, Ordering::SeqCst);
    taken.send(String::from_utf8(body).unwrap()).ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.ok()?;
    stream.shutdown().await.ok()
}
