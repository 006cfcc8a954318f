//! A cluster in processes of its own, made and filled through its public API.

use crate::clock;
use crate::process::{Part, bytes_on_disk};
use latchkey_config::{Sources, ValidationSettings};
use latchkey_testkit::free_addresses;
use latchkey_transport::channel;
use latchkey_validation::{Purpose, init};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::audit_service_client::AuditServiceClient;
use latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient;
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::error::Error;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Where all keys are.
pub(crate) const KEYSPACE: &str = "tenants/acme/keyspaces/payments";

/// What every key permits, and every validation asks for.
pub(crate) const PERMISSION: &str = "payments:read";

/// Whom every key belongs to.
pub(crate) const OWNER: &str = "tenants/acme/owners/checkout";

/// Keys in a batch, the most that one may have, and batches in flight.
const BATCH_KEYS: usize = 1_000;
const BATCHES_IN_FLIGHT: usize = 4;

/// How long a cluster may take until it does what is asked. One with 1,000,000 keys loads them first.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How often it is asked again.
const ASK_INTERVAL: Duration = Duration::from_millis(5);

/// How long audit has to be quiet until it has all.
const AUDIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(30);

/// One replica: where it listens, its folder, and its process while it runs.
struct Replica {
    flags: Vec<(String, String)>,
    api: SocketAddr,
    folder: PathBuf,
    part: Option<Part>,
}

/// A key that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// Its resource name.
    pub(crate) name: String,
    /// What its holder sends.
    pub(crate) key_text: String,
}

/// A cluster and its issuance.
pub(crate) struct Cluster {
    replicas: Vec<Replica>,
    issuance: SocketAddr,
    issuance_part: Option<Part>,
    issuance_flags: Vec<(String, String)>,
    audit: SocketAddr,
    audit_part: Option<Part>,
    audit_flags: Vec<(String, String)>,
    root: String,
}

impl Cluster {
    /// Makes the data folders of a cluster of `size` in `folder`. Nothing runs yet.
    pub(crate) async fn found(folder: &Path, size: u64) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(folder)?;
        let addresses = free_addresses(usize::try_from(2 * size + 2)?)?;
        let (pairs, [issuance, audit]) = addresses.split_last_chunk().ok_or("no addresses")?;
        let shared = shared_flags(folder);
        let mut members = Vec::new();
        for (index, pair) in pairs.chunks(2).enumerate() {
            for (name, value) in [
                ("id", (index + 1).to_string()),
                ("region", "local".to_owned()),
                ("api_address", pair[0].to_string()),
                ("raft_address", pair[1].to_string()),
            ] {
                members.push((format!("members[{index}].{name}"), value));
            }
        }

        let root_file = folder.join("root");
        let mut purpose = Purpose::Found { bootstrap_file: root_file.clone() };
        let mut replicas = Vec::new();
        for (index, pair) in pairs.chunks(2).enumerate() {
            let id = index + 1;
            let data = folder.join(format!("data-{id}"));
            let own = [
                ("node.id", id.to_string()),
                ("node.region", "local".to_owned()),
                ("node.data_folder", data.display().to_string()),
                ("listen", pair[0].to_string()),
                ("raft.listen", pair[1].to_string()),
            ];
            let own = own.map(|(name, value)| (name.to_owned(), value));
            let flags: Vec<_> = shared.iter().chain(&own).chain(&members).cloned().collect();
            let settings = ValidationSettings::load(&Sources { flags: flags.clone(), ..Sources::default() })?;
            let cluster = init(&settings, &purpose).await?;
            purpose = Purpose::Join { cluster, epoch: 1 };
            replicas.push(Replica { flags, api: pair[0], folder: data, part: None });
        }

        let endpoints = replicas.iter().map(|replica| replica.api.to_string()).collect::<Vec<_>>().join(",");
        let of_service = |listen: &SocketAddr| {
            let own = [("listen".to_owned(), listen.to_string()), ("registry_endpoints".to_owned(), endpoints.clone())];
            shared.iter().cloned().chain(own).collect::<Vec<_>>()
        };
        let (issuance_flags, mut audit_flags) = (of_service(issuance), of_service(audit));
        for (name, file) in [("data_folder", "audit"), ("checkpoint_key_file", "checkpoint.key")] {
            audit_flags.push((name.to_owned(), folder.join(file).display().to_string()));
        }
        audit_flags.push(("tiles_listen".to_owned(), "127.0.0.1:0".to_owned()));
        let root = fs::read_to_string(root_file)?.trim_end().to_owned();
        let (issuance, audit) = (*issuance, *audit);
        Ok(Self { replicas, issuance, issuance_part: None, issuance_flags, audit, audit_part: None, audit_flags, root })
    }

    /// Starts all replicas on `cpus`, with none on all, with `more` settings.
    pub(crate) fn start(&mut self, cpus: &[usize], more: &[(&str, String)]) -> io::Result<()> {
        (0..self.replicas.len()).try_for_each(|index| self.start_one(index, cpus, more))
    }

    /// Starts one replica.
    pub(crate) fn start_one(&mut self, index: usize, cpus: &[usize], more: &[(&str, String)]) -> io::Result<()> {
        let replica = &mut self.replicas[index];
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let flags: Vec<_> = replica.flags.iter().cloned().chain(more).collect();
        replica.part = Some(Part::start("replica", cpus, &flags)?);
        Ok(())
    }

    /// Starts issuance on `cpus`, with none on all, and waits until it answers, and so knows the leader.
    pub(crate) async fn start_issuance(&mut self, cpus: &[usize]) -> Result<(), Box<dyn Error>> {
        self.issuance_part = Some(Part::start("issuance", cpus, &self.issuance_flags)?);
        let mut directory = DirectoryServiceClient::new(channel(self.issuance));
        self.until_done(async || directory.list_tenants(self.signed(v1::ListTenantsRequest::default())).await).await?;
        Ok(())
    }

    /// Starts audit on `cpus`, with none on all.
    pub(crate) fn start_audit(&mut self, cpus: &[usize]) -> io::Result<()> {
        self.audit_part = Some(Part::start("audit", cpus, &self.audit_flags)?);
        Ok(())
    }

    /// A client of audit on a connection of its own.
    pub(crate) fn auditor(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(channel(self.audit)).max_decoding_message_size(16 * 1_024 * 1_024)
    }

    /// Waits until audit, which runs, has shown the same number of entries for a second: until it has all.
    pub(crate) async fn until_audited(&self) -> Result<u64, Box<dyn Error>> {
        let (mut client, one) = (self.auditor(), v1::ListEntriesRequest { page_size: 1, ..Default::default() });
        let mut last = None;
        loop {
            let answer = self.until_done(async || client.list_entries(self.signed(one.clone())).await).await?;
            if last.replace(answer.next_sequence) == Some(answer.next_sequence) {
                return Ok(answer.next_sequence);
            }
            tokio::time::sleep(AUDIT_INTERVAL).await;
        }
    }

    /// The memory of audit, which runs.
    pub(crate) fn audit_memory(&self) -> io::Result<crate::process::Memory> {
        self.audit_part.as_ref().expect("it was started").memory()
    }

    /// Stops all that runs.
    pub(crate) fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        let parts = self.audit_part.take().into_iter().chain(self.issuance_part.take());
        parts.chain(self.replicas.iter_mut().filter_map(|replica| replica.part.take())).try_for_each(stopped)
    }

    /// The first replica, which runs.
    pub(crate) fn replica(&self) -> (SocketAddr, &Part) {
        let first = &self.replicas[0];
        (first.api, first.part.as_ref().expect("it was started"))
    }

    /// All processes that run.
    pub(crate) fn parts(&self) -> Vec<&Part> {
        self.issuance_part.iter().chain(self.replicas.iter().filter_map(|replica| replica.part.as_ref())).collect()
    }

    /// Where issuance listens.
    pub(crate) const fn issuance(&self) -> SocketAddr {
        self.issuance
    }

    /// Bytes that the first replica's folder takes on the disk.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        bytes_on_disk(&self.replicas[0].folder)
    }

    /// The key text of root.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Waits for the first VALID answer of a replica. Gives it, and how long it took since `since`.
    pub(crate) async fn first_valid(
        &self,
        index: usize,
        key_text: &str,
        since: Instant,
    ) -> Result<(v1::ValidateKeyResponse, Duration), Box<dyn Error>> {
        let mut client = ValidationServiceClient::new(channel(self.replicas[index].api));
        let asked = v1::ValidateKeyRequest { key_text: key_text.to_owned(), ..Default::default() };
        let answer = self.until_done(async || client.validate_key(self.signed(asked.clone())).await).await?;
        match answer.outcome() {
            v1::Outcome::Valid => Ok((answer, clock::now() - since)),
            other => Err(format!("{} instead of VALID", other.as_str_name()).into()),
        }
    }

    /// Makes the tenant, the owner and the keyspace of all keys, once there is a leader.
    pub(crate) async fn furnish(&self) -> Result<(), Box<dyn Error>> {
        let mut directory = DirectoryServiceClient::new(channel(self.issuance));
        let tenant = v1::CreateTenantRequest {
            tenant_id: "acme".to_owned(),
            tenant: Some(v1::Tenant::default()),
            request_id: "5f0c1d5e-8f0b-4a6e-9d2e-3b7a51c80e11".to_owned(),
            ..Default::default()
        };
        // The first call waits for the leader; it may be tried again, having an id.
        self.until_done(async || directory.create_tenant(self.signed(tenant.clone())).await).await?;
        let owner = v1::CreateOwnerRequest {
            parent: "tenants/acme".to_owned(),
            owner_id: "checkout".to_owned(),
            owner: Some(v1::Owner::default()),
            ..Default::default()
        };
        directory.create_owner(self.signed(owner)).await?;
        self.make_keyspace("payments", "acme_live", Vec::new()).await?;
        Ok(())
    }

    /// Makes a keyspace whose key texts begin with `prefix`, and into which keys of `import_formats` may come. Gives its name.
    pub(crate) async fn make_keyspace(
        &self,
        keyspace_id: &str,
        prefix: &str,
        import_formats: Vec<v1::ImportFormat>,
    ) -> Result<String, Box<dyn Error>> {
        let keyspace = v1::CreateKeyspaceRequest {
            parent: "tenants/acme".to_owned(),
            keyspace_id: keyspace_id.to_owned(),
            keyspace: Some(v1::Keyspace {
                prefix: prefix.to_owned(),
                environment: "production".to_owned(),
                allowed_permissions: vec!["payments:*".to_owned()],
                import_formats,
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut directory = DirectoryServiceClient::new(channel(self.issuance));
        Ok(directory.create_keyspace(self.signed(keyspace)).await?.into_inner().name)
    }

    /// Makes `count` keys in batches. Gives one in `keep_one_in`, and how long all took.
    pub(crate) async fn fill(&self, count: usize, keep_one_in: usize) -> Result<(Vec<Made>, Duration), Box<dyn Error>> {
        let started = clock::now();
        let batches = count.div_ceil(BATCH_KEYS);
        let (mut running, mut kept) = (JoinSet::new(), Vec::new());
        let channels: Vec<Channel> = (0..BATCHES_IN_FLIGHT).map(|_| channel(self.issuance)).collect();
        for number in 0..batches + BATCHES_IN_FLIGHT {
            if number >= BATCHES_IN_FLIGHT
                && let Some(made) = running.join_next().await
            {
                let keys: v1::BatchCreateKeysResponse = made??;
                kept.extend(
                    keys.keys
                        .into_iter()
                        .step_by(keep_one_in)
                        .map(|issued| Made { name: issued.key.unwrap_or_default().name, key_text: issued.key_text }),
                );
            }
            if number < batches {
                let keys = BATCH_KEYS.min(count - number * BATCH_KEYS);
                let request = self.signed(batch(number * BATCH_KEYS, keys));
                let client = IssuanceServiceClient::new(channels[number % BATCHES_IN_FLIGHT].clone());
                let mut client = client.max_decoding_message_size(16 * 1_024 * 1_024);
                running.spawn(async move { client.batch_create_keys(request).await.map(tonic::Response::into_inner) });
            }
        }
        Ok((kept, clock::now() - started))
    }

    /// Makes one batch of keys that are named by numbers from `first` on.
    pub(crate) async fn make_batch(&self, first: usize, keys: usize) -> Result<(), Status> {
        let mut client = self.issuer().max_decoding_message_size(16 * 1_024 * 1_024);
        client.batch_create_keys(self.signed(batch(first, keys))).await.map(drop)
    }

    /// Makes an owner that has ten keys among all the others'.
    pub(crate) async fn add_owner_of_few(&self) -> Result<(), Box<dyn Error>> {
        let mut directory = DirectoryServiceClient::new(channel(self.issuance));
        let owner = v1::CreateOwnerRequest {
            parent: "tenants/acme".to_owned(),
            owner_id: "kiosk".to_owned(),
            owner: Some(v1::Owner::default()),
            ..Default::default()
        };
        // Issuance has just been started.
        self.until_done(async || directory.create_owner(self.signed(owner.clone())).await).await?;
        let of_few = |number| v1::CreateKeyRequest { owner: "tenants/acme/owners/kiosk".to_owned(), ..key(number) };
        let batch = v1::BatchCreateKeysRequest {
            parent: KEYSPACE.to_owned(),
            requests: (0..10).map(of_few).collect(),
            ..Default::default()
        };
        self.issuer().batch_create_keys(self.signed(batch)).await?;
        Ok(())
    }

    /// A client of issuance on a connection of its own.
    pub(crate) fn issuer(&self) -> IssuanceServiceClient<Channel> {
        IssuanceServiceClient::new(channel(self.issuance))
    }

    /// `message` as a request of root's.
    pub(crate) fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.root).parse().expect("a key text is ASCII");
        request.metadata_mut().insert("authorization", value);
        request.set_timeout(CALL_MAX);
        request
    }

    /// Asks until it is answered: a part that has just started, or has no leader yet, says UNAVAILABLE.
    async fn until_done<T>(
        &self,
        mut ask: impl AsyncFnMut() -> Result<tonic::Response<T>, Status>,
    ) -> Result<T, Box<dyn Error>> {
        let asking = async {
            loop {
                match ask().await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) if status.code() == tonic::Code::Unavailable => {}
                    Err(status) => return Err(status),
                }
                tokio::time::sleep(ASK_INTERVAL).await;
            }
        };
        Ok(tokio::time::timeout(READY_WITHIN, asking).await??)
    }
}

/// What is asked for one key, answered once committed.
pub(crate) fn ask_for_key(number: usize) -> v1::CreateKeyRequest {
    v1::CreateKeyRequest { parent: KEYSPACE.to_owned(), wait_for: v1::WaitFor::Committed.into(), ..key(number) }
}

/// What is asked for many, answered once committed.
fn batch(first: usize, keys: usize) -> v1::BatchCreateKeysRequest {
    v1::BatchCreateKeysRequest {
        parent: KEYSPACE.to_owned(),
        requests: (first..first + keys).map(key).collect(),
        wait_for: v1::WaitFor::Committed.into(),
        ..Default::default()
    }
}

fn stopped(part: Part) -> Result<(), Box<dyn Error>> {
    let status = part.stop()?;
    if status.success() { Ok(()) } else { Err(format!("a part ended with {status}").into()) }
}

/// A key as a team would make it: named, owned, with one permission.
fn key(number: usize) -> v1::CreateKeyRequest {
    v1::CreateKeyRequest {
        display_name: format!("till {number}"),
        owner: OWNER.to_owned(),
        permissions: vec![PERMISSION.to_owned()],
        ..Default::default()
    }
}

fn shared_flags(folder: &Path) -> Vec<(String, String)> {
    let text = |path: PathBuf| path.display().to_string();
    [
        ("metrics_listen", "127.0.0.1:0".to_owned()),
        ("cluster_secret_file", text(folder.join("secret"))),
        ("kek_file", text(folder.join("kek"))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
