mod reloading;

use std::fs;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use latchkey_domain::{NodeId, TrustDomain, Workload};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use time::{Duration as Time, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

use super::acceptor::{HANDSHAKE_MAX, HANDSHAKES_MAX};
use super::*;
use crate::dialer::Dialer;
use crate::proof::Proof;
use crate::test_support::{Running, TestService, run};

const DOMAIN: &str = "latchkey.example";
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// Whoever issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Issued {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// For these URIs, from and until so many days from now.
    fn issue(&self, uris: &[&str], from: i64, until: i64) -> Issued {
        self.issue_within(uris, Time::days(from), Time::days(until))
    }

    fn issue_within(&self, uris: &[&str], from: Time, until: Time) -> Issued {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        #[expect(clippy::disallowed_methods, reason = "a certificate is valid by the machine's clock")]
        let now = OffsetDateTime::from(std::time::SystemTime::now());
        (params.not_before, params.not_after) = (now + from, now + until);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn issue_to(&self, workload: &str) -> Issued {
        self.issue(&[&format!("spiffe://{DOMAIN}/{workload}")], -1, 1)
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// The files of one process.
struct Place {
    _folder: tempfile::TempDir,
    files: TlsFiles,
}

/// Replaces a file whole, as whoever renews certificates does.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

impl Place {
    fn new(issued: &Issued, trust: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let files = TlsFiles {
            certificate: path("own.pem"),
            key: path("own.key"),
            trust: path("trust.pem"),
            trust_domain: TrustDomain::parse(DOMAIN).unwrap(),
            workload: None,
        };
        let place = Self { _folder: folder, files };
        place.put(issued, trust);
        place
    }

    fn put(&self, issued: &Issued, trust: &str) {
        replace(&self.files.trust, trust);
        replace(&self.files.key, &issued.key);
        replace(&self.files.certificate, &issued.certificate);
    }

    /// What holds, whoever it says it is.
    fn forged(&self) -> Current {
        let chain = files::read_certificates(&self.files.certificate).unwrap();
        let key: PrivateKeyDer<'static> = files::read_key(&self.files.key).unwrap();
        Arc::new(ArcSwap::from_pointee(Material::forged(chain, key, &self.files).unwrap()))
    }

    fn current(&self) -> Current {
        Arc::new(ArcSwap::from_pointee(Material::read(&self.files).unwrap()))
    }
}

fn acceptor(current: &Current, admitted: Peer, certificates: ClientCertificates) -> Acceptor {
    Acceptor::new(config::server(current.clone(), admitted, certificates, config::H2))
}

/// Shakes hands as a client and then waits for what the server thinks of it, which TLS 1.3 tells afterwards.
async fn shake(config: Arc<rustls::ClientConfig>, io: DuplexStream) -> io::Result<()> {
    let name = ServerName::try_from("whatever.example").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, io).await?;
    stream.read_u8().await.map(drop)
}

/// What a listener for replicas says to a client who shows this.
async fn told_to(client: &Issued, trust: &str, listener: &Place) -> Result<Option<Workload>, HandshakeRefusal> {
    let client = Place::new(client, trust).forged();
    let (ours, theirs) = duplex(64 * 1024);
    let acceptor = acceptor(&listener.current(), Peer::AnyReplica, ClientCertificates::Required);
    let (accepted, _) = tokio::join!(
        async {
            // Dropped here, so that the client hears of it.
            acceptor.accept(ours, PEER).await.map(|secured| secured.workload.as_deref().cloned())
        },
        shake(config::client(client, Peer::Any, config::H2), theirs)
    );
    accepted
}

/// What a dialer that expects replica 3 says to a server who shows this.
async fn said_of(server: &Issued, trust: &str, dialer: &Place) -> Option<HandshakeRefusal> {
    let server =
        config::server(Place::new(server, trust).forged(), Peer::Any, ClientCertificates::Required, config::H2);
    let (ours, theirs) = duplex(64 * 1024);
    let client = config::client(dialer.current(), Peer::Replica(NodeId(3)), config::H2);
    let (_, shaken) =
        tokio::join!(async { TlsAcceptor::from(server).accept(ours).await.map(drop) }, shake(client, theirs));
    match shaken {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => Some(HandshakeRefusal::of(&error)),
        Ok(()) => None,
    }
}

#[tokio::test]
async fn a_peer_is_who_its_one_id_says_and_every_other_is_refused_on_both_sides() {
    let (root, foreign) = (Authority::new(), Authority::new());
    let trust = root.pem();
    let ours = Place::new(&root.issue_to("replica/1"), &trust);
    let id = |path: &str| format!("spiffe://{DOMAIN}/{path}");
    let replica = id("replica/3");
    let cases: [(&str, Issued, HandshakeRefusal); 8] = [
        ("ended", root.issue(&[&replica], -3, -1), HandshakeRefusal::Expired),
        ("not begun", root.issue(&[&replica], 1, 3), HandshakeRefusal::NotYetValid),
        ("foreign", foreign.issue_to("replica/3"), HandshakeRefusal::UnknownIssuer),
        ("two ids", root.issue(&[&replica, &id("audit")], -1, 1), HandshakeRefusal::Id),
        ("no id", root.issue(&[], -1, 1), HandshakeRefusal::Id),
        ("no workload", root.issue(&[&id("replica/03")], -1, 1), HandshakeRefusal::Id),
        ("wrong domain", root.issue(&["spiffe://elsewhere.example/replica/3"], -1, 1), HandshakeRefusal::TrustDomain),
        ("wrong role", root.issue_to("client/replica"), HandshakeRefusal::Role),
    ];
    for (what, issued, reason) in cases {
        assert_eq!(told_to(&issued, &trust, &ours).await, Err(reason), "{what}, to a listener");
        assert_eq!(said_of(&issued, &trust, &ours).await, Some(reason), "{what}, to a dialer");
    }
    let good = root.issue_to("replica/3");
    assert_eq!(told_to(&good, &trust, &ours).await, Ok(Some(Workload::Replica(NodeId(3)))));
    assert_eq!(said_of(&good, &trust, &ours).await, None);
    assert_eq!(said_of(&root.issue_to("replica/4"), &trust, &ours).await, Some(HandshakeRefusal::Role), "another node");
}

#[test]
fn a_uri_that_cannot_be_read_is_not_passed_over() {
    let id = format!("spiffe://{DOMAIN}/replica/3");
    // Two URIs (context 6), the second of which is no text.
    let names = [&[0x86, u8::try_from(id.len()).unwrap()], id.as_bytes(), &[0x86, 0x01, 0xff]].concat();
    let content = [&[0x30, u8::try_from(names.len()).unwrap()], &names[..]].concat();
    let mut params = CertificateParams::default();
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert_eq!(Leaf::read(certificate.der()), Err(LeafError::Ids { count: 2 }));
}

#[tokio::test]
async fn without_a_certificate_only_those_come_in_who_need_none() {
    let root = Authority::new();
    let ours = Place::new(&root.issue_to("replica/1"), &root.pem());
    for (certificates, expected) in
        [(ClientCertificates::Required, Err(HandshakeRefusal::NoCertificate)), (ClientCertificates::Optional, Ok(None))]
    {
        let stranger = Arc::new(ArcSwap::from_pointee(Material::of_stranger(&ours.files.trust).unwrap()));
        let (near, far) = duplex(64 * 1024);
        let acceptor = acceptor(&ours.current(), Peer::Any, certificates);
        let (accepted, _) = tokio::join!(
            async { acceptor.accept(near, PEER).await.map(|secured| secured.workload) },
            shake(config::client(stranger, Peer::Any, config::H2), far)
        );
        assert_eq!(accepted, expected);
    }
}

/// The first message of a client that speaks nothing newer than TLS 1.2: of the right form, without `supported_versions`.
fn tls_12_hello() -> Vec<u8> {
    let extensions = [
        &[0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x1d][..], // supported_groups: x25519
        &[0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],     // signature_algorithms: ecdsa_secp256r1_sha256
    ]
    .concat();
    let mut hello = vec![0x03, 0x03];
    hello.extend([7; 32]);
    hello.extend([0x00, 0x00, 0x02, 0xc0, 0x2b, 0x01, 0x00]); // no session, one suite, no compression
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).unwrap();
    [&[0x16, 0x03, 0x01, 0x00, length + 4, 0x01, 0x00, 0x00, length][..], &hello].concat()
}

#[tokio::test]
async fn whoever_speaks_tls_12_or_no_tls_at_all_is_refused() {
    let root = Authority::new();
    let ours = Place::new(&root.issue_to("replica/1"), &root.pem());
    let acceptor = acceptor(&ours.current(), Peer::Any, ClientCertificates::Optional);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    for (hello, reason) in [(tls_12_hello(), HandshakeRefusal::TlsVersion), (preface, HandshakeRefusal::Protocol)] {
        let (near, mut far) = duplex(64 * 1024);
        far.write_all(&hello).await.unwrap();
        assert_eq!(acceptor.accept(near, PEER).await.map(drop), Err(reason));
    }
    let (near, far) = duplex(64);
    drop(far);
    assert_eq!(acceptor.accept(near, PEER).await.map(drop), Err(HandshakeRefusal::Closed), "a look at the port");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_three_seconds_is_cut_and_not_before() {
    let root = Authority::new();
    let ours = Place::new(&root.issue_to("replica/1"), &root.pem());
    let acceptor = acceptor(&ours.current(), Peer::Any, ClientCertificates::Required);
    let (near, mut far) = duplex(64);
    far.write_all(&[0x16, 0x03]).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(acceptor.accept(near, PEER).await.map(drop), Err(HandshakeRefusal::Timeout));
    assert_eq!(began.elapsed(), HANDSHAKE_MAX);
}

#[tokio::test(start_paused = true)]
async fn handshakes_under_way_are_bounded_and_the_next_comes_in_when_one_has_ended() {
    let root = Authority::new();
    let ours = Place::new(&root.issue_to("replica/1"), &root.pem());
    let acceptor = acceptor(&ours.current(), Peer::Any, ClientCertificates::Required);
    let mut dawdling = tokio::task::JoinSet::new();
    let mut far_ends = Vec::new();
    for _ in 0..HANDSHAKES_MAX {
        let (near, far) = duplex(64);
        far_ends.push(far);
        let acceptor = acceptor.clone();
        dawdling.spawn(async move { acceptor.accept(near, PEER).await.map(drop) });
    }
    while acceptor.handshakes.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let one_more = || acceptor.accept(duplex(64).0, PEER);
    assert_eq!(one_more().await.map(drop), Err(HandshakeRefusal::Full));
    while let Some(ended) = dawdling.join_next().await {
        assert_eq!(ended.unwrap(), Err(HandshakeRefusal::Timeout));
    }
    assert_eq!(one_more().await.map(drop), Err(HandshakeRefusal::Closed), "there is room again");
}

async fn serve(current: &Current, admitted: Peer) -> Running {
    let acceptor = acceptor(current, admitted, ClientCertificates::Required);
    run(|server| server.tls(Some(acceptor)).service(Proof::Certificate.guard(TestService))).await
}

/// Calls once; the code of the answer.
async fn ask(mut channel: Channel) -> Result<Code, tonic::transport::Error> {
    let request = Request::post("/test.v1.TestService/Facts").body(Body::empty()).unwrap();
    let response = channel.ready().await?.call(request).await?;
    Ok(Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code()))
}

#[tokio::test]
async fn a_call_over_tls_reaches_its_handler_where_the_caller_is_one_of_ours() {
    let root = Authority::new();
    let ours = Place::new(&root.issue_to("replica/1"), &root.pem());
    let server = serve(&ours.current(), Peer::Any).await;
    for (workload, expected) in [("issuance", Code::AlreadyExists), ("client/me", Code::Unauthenticated)] {
        let client = TlsClient::once(&Place::new(&root.issue_to(workload), &root.pem()).files).unwrap();
        let channel = Dialer::tls(client).channel(&server.address.to_string(), Peer::Replica(NodeId(1)));
        assert_eq!(ask(channel).await.unwrap(), expected, "{workload}");
    }
    // Over plain text nobody answers, and from another replica nothing is believed.
    assert!(ask(crate::channel(server.address)).await.is_err());
    let client = TlsClient::once(&ours.files).unwrap();
    assert!(ask(Dialer::tls(client).channel(&server.address.to_string(), Peer::Replica(NodeId(2)))).await.is_err());
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_is_cut_soon_after_the_certificate_of_its_caller_has_ended() {
    let root = Authority::new();
    let ours = Place::new(&root.issue_to("replica/1"), &root.pem());
    let server = serve(&ours.current(), Peer::Any).await;
    let id = format!("spiffe://{DOMAIN}/audit");
    let theirs = root.issue_within(&[&id], Time::days(-1), Time::seconds(60));
    let client = TlsClient::once(&Place::new(&theirs, &root.pem()).files).unwrap();
    let mut channel = Dialer::tls(client).channel(&server.address.to_string(), Peer::Replica(NodeId(1)));
    let request = Request::post("/test.v1.TestService/Stream").body(Body::empty()).unwrap();
    let began = tokio::time::Instant::now();
    let mut answers = channel.ready().await.unwrap().call(request).await.unwrap().into_body();
    let next = poll_fn(|context| http_body::Body::poll_frame(std::pin::Pin::new(&mut answers), context));
    let ended = tokio::time::timeout(Duration::from_secs(3_600), next).await.expect("it does not go on");
    assert!(ended.is_none_or(|frame| frame.is_err()));
    let lasted = began.elapsed().as_secs();
    assert!((50..=66).contains(&lasted), "{lasted} s");
    server.stop().await;
}

#[tokio::test]
async fn a_message_is_believed_only_from_the_replica_that_it_names() {
    let mut extensions = tonic::Extensions::default();
    assert!(!Proof::Certificate.bears(&extensions, NodeId(3)));
    let workload = Some(Arc::new(Workload::Replica(NodeId(3))));
    extensions.insert(crate::Caller { workload, ..crate::Caller::default() });
    assert!(Proof::Certificate.bears(&extensions, NodeId(3)));
    assert!(!Proof::Certificate.bears(&extensions, NodeId(4)));
}

#[tokio::test]
async fn while_one_root_takes_the_place_of_another_both_are_believed() {
    let (old, new) = (Authority::new(), Authority::new());
    let both = format!("{}{}", old.pem(), new.pem());
    let good = Ok(Some(Workload::Replica(NodeId(3))));
    // Each step of a change of roots: trust both, then issue anew, then trust the new one alone.
    for (ours, theirs, trust) in
        [(&old, &old, &both), (&old, &new, &both), (&new, &old, &both), (&new, &new, &new.pem())]
    {
        let listener = Place::new(&ours.issue_to("replica/1"), trust);
        assert_eq!(told_to(&theirs.issue_to("replica/3"), trust, &listener).await, good);
    }
    let listener = Place::new(&new.issue_to("replica/1"), &new.pem());
    let late = told_to(&old.issue_to("replica/3"), &both, &listener).await;
    assert_eq!(late, Err(HandshakeRefusal::UnknownIssuer), "the old root is gone");
}
