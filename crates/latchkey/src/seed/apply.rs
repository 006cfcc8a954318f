//! Applying a seed: at every start, and what is there already stays as it is.

use super::file::{Seed, SeedIdentity, SeedKey, word};
use super::keys::{MadeKey, Mints, SeededKey, malformed, request};
use crate::cli::{Api, CliError, GlobalArguments, Kind, Settings, grant};
use crate::{Layout, Ports};
use latchkey_domain::KeyspaceName;
use latchkey_kms::{FileKms, KekFileError};
use latchkey_link::{Link, Material, Registry as _};
use latchkey_transport::{ClusterSecret, ClusterSecretError, Dialer};
use latchkey_wire::pb::v1 as pb;
use pb::Outcome;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Code, Status};

/// How long the proof of who root is may take.
const ROOT_MAX: Duration = Duration::from_secs(10);

/// Why a seed was not applied whole. What was made stays, and the next start goes on.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A call of the public API failed.
    #[error("the seed stops at {what}")]
    Call {
        /// What of the seed.
        what: String,
        /// What the call said.
        #[source]
        source: Box<CliError>,
    },
    /// A step that no public call does failed.
    #[error("a key cannot be made: {}", .0.message())]
    Status(Status),
    /// A field of the file is not what it must be.
    #[error("{0}: {1}")]
    Field(String, String),
    /// The KEK.
    #[error("the key-encryption key cannot be had")]
    Kek(#[from] KekFileError),
    /// The cluster's secret.
    #[error("the secret of the cluster cannot be had")]
    Secret(#[from] ClusterSecretError),
}

fn failed(what: &str) -> impl FnOnce(CliError) -> SeedError {
    move |source| SeedError::Call { what: what.to_owned(), source: Box::new(source) }
}

/// Makes all that the seed says and that is not there; the text of each key lies in `secrets/seed`.
pub(crate) async fn apply(seed: &Seed, layout: &Layout, ports: Ports) -> Result<Vec<SeededKey>, SeedError> {
    let arguments = GlobalArguments {
        issuance_address: Some(ports.issuance().to_string()),
        validation_address: Some(ports.validation().to_string()),
        timeout: Duration::from_secs(15),
        ..GlobalArguments::default()
    };
    let settings = Settings::of(&arguments, &crate::cli::Profiles::default()).map_err(failed("the settings"))?;
    let root_key =
        crate::cli::read_key_text(&layout.root_key(), "the key of root").map_err(failed("the key of root"))?;
    let api = Api::new(&settings, Some(&root_key)).map_err(failed("the key of root"))?;
    directory(seed, &api).await?;

    let secret = ClusterSecret::read(&layout.cluster_secret(), Some(&layout.data()))?;
    let link = Link::new([ports.validation()], &Dialer::plain(), &secret.into());
    let material = Material::new(Arc::new(FileKms::open_with(&layout.kek(), &layout.keks_previous())?));
    let root = link.authenticate(&root_key, None, Instant::now() + ROOT_MAX).await.map_err(SeedError::Status)?;
    let mints = Mints { word: &seed.word, link: &link, material: &material, root: &root };
    let folder = layout.secrets().join("seed");
    let mut keys = Vec::new();
    same_word(&seed.word, &folder)?;
    for identity in &seed.identities {
        keys.push(management_key(identity, &mints, &folder).await?);
    }
    for key in &seed.keys {
        let text = make(key, &mints, &api).await?;
        let outcome = told(key, &text, &api).await?;
        keys.push(keep(&folder, &key.name, outcome, &text)?);
    }
    Ok(keys)
}

/// Refuses a folder that began with another word: its files would be overwritten by the texts of other keys.
fn same_word(word: &str, folder: &Path) -> Result<(), SeedError> {
    let file = folder.join("word");
    match std::fs::read_to_string(&file) {
        Ok(before) if before.trim_end_matches('\n') == word => Ok(()),
        Ok(_) => {
            let what =
                format!("{} says that a seed with another word was applied here; use another --data", file.display());
            Err(SeedError::Field("word".to_owned(), what))
        }
        Err(_) => crate::cli::write_private(&file, &format!("{word}\n")).map_err(failed("word")),
    }
}

/// The outcome of the seed, unless somebody changed the key since: a key that is there stays as it is.
async fn told(key: &SeedKey, text: &str, api: &Api) -> Result<String, SeedError> {
    let request = pb::ValidateKeyRequest { key_text: text.to_owned(), ..pb::ValidateKeyRequest::default() };
    let answer = api.validate_key(request).await.map_err(failed(&key.name))?;
    Ok(in_words(key.outcome(), answer.message.outcome()))
}

/// Only what becomes of a key is compared: the other outcomes depend on what is asked.
fn in_words(seeded: Outcome, found: Outcome) -> String {
    match found {
        Outcome::Revoked | Outcome::Suspended | Outcome::Expired if found != seeded => {
            format!("{} (no longer {})", word(found), word(seeded))
        }
        _ => word(seeded).to_owned(),
    }
}

/// Tenants, owners, roles, keyspaces and identities, in the order in which they refer to each other.
async fn directory(seed: &Seed, api: &Api) -> Result<(), SeedError> {
    for tenant in &seed.tenants {
        let request = pb::CreateTenantRequest {
            tenant_id: tenant.name.clone(),
            tenant: Some(pb::Tenant { display_name: tenant.display_name.clone(), ..pb::Tenant::default() }),
            ..pb::CreateTenantRequest::default()
        };
        there(&tenant.name, api.create_tenant(request).await)?;
    }
    for owner in &seed.owners {
        let (parent, owner_id) = split(Kind::Owner, &owner.name)?;
        let (display_name, contacts) = (owner.display_name.clone(), owner.contacts.clone());
        let owner_made = Some(pb::Owner { display_name, contacts, ..pb::Owner::default() });
        let request =
            pb::CreateOwnerRequest { parent, owner_id, owner: owner_made, ..pb::CreateOwnerRequest::default() };
        there(&owner.name, api.create_owner(request).await)?;
    }
    for role in &seed.roles {
        let (parent, role_id) = split(Kind::Role, &role.name)?;
        let role_made = pb::Role {
            display_name: role.display_name.clone(),
            permissions: role.permissions.clone(),
            methods: role.methods.clone(),
            ..pb::Role::default()
        };
        let request =
            pb::CreateRoleRequest { parent, role_id, role: Some(role_made), ..pb::CreateRoleRequest::default() };
        there(&role.name, api.create_role(request).await)?;
    }
    for keyspace in &seed.keyspaces {
        let (parent, keyspace_id) = split(Kind::Keyspace, &keyspace.name)?;
        let made = pb::Keyspace {
            display_name: keyspace.display_name.clone(),
            prefix: keyspace.prefix.clone(),
            environment: keyspace.environment.clone(),
            allowed_permissions: keyspace.allowed_permissions.clone(),
            networks: keyspace.networks.clone(),
            ..pb::Keyspace::default()
        };
        let request = pb::CreateKeyspaceRequest {
            parent,
            keyspace_id,
            keyspace: Some(made),
            ..pb::CreateKeyspaceRequest::default()
        };
        there(&keyspace.name, api.create_keyspace(request).await)?;
    }
    for identity in &seed.identities {
        let (parent, identity_id) = split(Kind::Identity, &identity.name)?;
        let grants: Result<Vec<pb::Grant>, String> = identity.grants.iter().map(|text| grant(text)).collect();
        let grants = grants.map_err(|what| SeedError::Field(identity.name.clone(), what))?;
        let display_name = identity.display_name.clone();
        let made = Some(pb::Identity { display_name, grants, ..pb::Identity::default() });
        let request =
            pb::CreateIdentityRequest { parent, identity_id, identity: made, ..pb::CreateIdentityRequest::default() };
        there(&identity.name, api.create_identity(request).await)?;
    }
    Ok(())
}

fn split(kind: Kind, name: &str) -> Result<(String, String), SeedError> {
    kind.parent_and_id(name, None).map_err(|error| SeedError::Field(name.to_owned(), error.to_string()))
}

/// What is there already is as good.
fn there<T>(name: &str, made: Result<T, CliError>) -> Result<(), SeedError> {
    match made {
        Ok(_) => Ok(()),
        Err(CliError::Call(call)) if call.code() == Code::AlreadyExists => Ok(()),
        Err(error) => Err(failed(name)(error)),
    }
}

/// The key with which an identity of the seed proves itself.
async fn management_key(identity: &SeedIdentity, mints: &Mints<'_>, folder: &Path) -> Result<SeededKey, SeedError> {
    let owner = Kind::Identity.full(&identity.name, None);
    let owner = owner.map_err(|error| SeedError::Field(identity.name.clone(), error.to_string()))?;
    let request = pb::CreateKeyRequest {
        parent: "tenants/system/keyspaces/management".to_owned(),
        display_name: format!("seed: {}", identity.name),
        owner,
        ..pb::CreateKeyRequest::default()
    };
    let made = mints.make(&format!("identity {}", identity.name), &request).await?;
    keep(folder, &identity.name.replace('/', "."), word(Outcome::Valid).to_owned(), &made.text)
}

/// The text of a key, which is made and brought into its state.
async fn make(key: &SeedKey, mints: &Mints<'_>, api: &Api) -> Result<String, SeedError> {
    let field = |error: String| SeedError::Field(key.name.clone(), error);
    let parent = Kind::Keyspace.full(&key.keyspace, None).map_err(|error| field(error.to_string()))?;
    let keyspace = KeyspaceName::parse(&parent).map_err(|error| field(error.to_string()))?;
    match key.outcome() {
        Outcome::NotFound => return mints.unmade(&keyspace, &key.name).await,
        Outcome::Malformed => return Ok(malformed(&mints.unmade(&keyspace, &key.name).await?)),
        _ => {}
    }
    let tenant = parent.split('/').nth(1);
    let full = |kind: Kind, name: &String| kind.full(name, tenant).map_err(|error| field(error.to_string()));
    let owner = if key.owner.is_empty() { String::new() } else { full(Kind::Owner, &key.owner)? };
    let roles = key.roles.iter().map(|role| full(Kind::Role, role)).collect::<Result<_, _>>()?;
    let MadeKey { name, text } = mints.make(&key.name, &request(key, parent, owner, roles)).await?;
    match key.outcome() {
        Outcome::Revoked => {
            let reason = pb::RevocationReason::Superseded.into();
            let request = pb::RevokeKeyRequest { name, reason, reason_text: "seed".to_owned(), ..Default::default() };
            api.revoke_key(request).await.map_err(failed(&key.name))?;
        }
        Outcome::Suspended => {
            let request = pb::SuspendKeyRequest { name, reason_text: "seed".to_owned(), ..Default::default() };
            api.suspend_key(request).await.map_err(failed(&key.name))?;
        }
        _ => {}
    }
    Ok(text)
}

fn keep(folder: &Path, name: &str, outcome: String, text: &str) -> Result<SeededKey, SeedError> {
    let file: PathBuf = folder.join(format!("{name}.key"));
    let written = crate::cli::write_private(&file, &format!("{text}\n"));
    written.map_err(failed(name))?;
    Ok(SeededKey { name: name.to_owned(), outcome, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_key_since_is_told() {
        assert_eq!(in_words(Outcome::Valid, Outcome::Revoked), "REVOKED (no longer VALID)");
        assert_eq!(in_words(Outcome::Revoked, Outcome::Revoked), "REVOKED");
        // Nobody calls from the network of this one here.
        assert_eq!(in_words(Outcome::NetworkNotAllowed, Outcome::Valid), "NETWORK_NOT_ALLOWED");
    }

    #[test]
    fn a_folder_has_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("seed");
        same_word("one", &folder).unwrap();
        same_word("one", &folder).unwrap();
        assert!(same_word("other", &folder).is_err());
    }
}
